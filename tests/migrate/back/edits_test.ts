/** Edits made here arrive in MongoDB as the old backend would have written them, and nothing else is touched. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Db, Document } from "mongodb";
import type { Pool } from "../../../db/pg/connect.ts";
import { deleteUser, insertUser, updateUser } from "../../../db/people/users.ts";
import { cancelTaskRow, deleteTaskRow } from "../../../db/queue/tasks.ts";
import { retrySubtasks, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { type JsonObject, parseJson } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { enableCapture } from "../../../migrate/data/back/capture.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { tagId } from "../../../migrate/data/documents/ids.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import {
  BsonDocument,
  type BsonValue,
  DateMs,
  Double,
  findDifferences,
} from "../../../migrate/data/documents/tree.ts";
import { idOf } from "../../../migrate/data/sources/mongo_follow.ts";
import { claim, done, join } from "../../support/cells.ts";
import { createDatabase } from "../../support/database.ts";
import { backOnce, compareSides } from "../support/back.ts";
import {
  assertFollowed,
  type Followed,
  makeEdgeCases,
  readAll,
  startFollowed,
  syncOnce,
} from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { mongod } from "../support/sources.ts";

const testBack = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `the way back ${name}`, ignore: !mongod, fn });

/** All documents by collection and `_id`. */
type Snapshot = Map<string, Uint8Array>;

async function takeSnapshot(db: Db): Promise<Snapshot> {
  const snapshot: Snapshot = new Map();
  for (const collection of collections) {
    for (const bytes of await readAll(db, collection)) {
      snapshot.set(`${collection} ${tagId(idOf(bytes))}`, bytes);
    }
  }
  return snapshot;
}

/** Returns the fields that changed, by document; new and deleted documents as `(new)` and `(deleted)`. */
function findChanges(before: Snapshot, after: Snapshot): Map<string, string[]> {
  const changes = new Map<string, string[]>();
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const [a, b] = [before.get(name), after.get(name)];
    if (a && b && Buffer.compare(a, b) === 0) continue;
    const fields = !a
      ? ["(new)"]
      : !b
      ? ["(deleted)"]
      : findDifferences(readBson(a), readBson(b)).map(({ path }) => path);
    changes.set(name, [...new Set(fields.map((path) => path.split(".")[0]!))].sort());
  }
  return changes;
}

const parse = (value: unknown) => parseJson(JSON.stringify(value)) as JsonObject;

/** Follows the documents once and begins to capture. */
async function prepare(sql: Pool, followed: Followed): Promise<Snapshot> {
  await syncOnce(sql, followed);
  await enableCapture(sql);
  return await takeSnapshot(followed.db);
}

const tagOf = (collection: string, { _id }: { _id: { toHexString(): string } }) =>
  `${collection} {"$oid":"${_id.toHexString()}"}`;

const typesOf = (document: BsonDocument): Record<string, string> =>
  Object.fromEntries(document.keys.map((key, i) => [key, typeName(document.values[i]!)]));

const typeName = (value: BsonValue): string =>
  value === null
    ? "null"
    : Array.isArray(value)
    ? "array"
    : typeof value === "object"
    ? value.constructor.name
    : typeof value;

testBack("writes the ends of imported subtasks, and the counters that their task stores", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const { db } = followed;
  const user = makeUser("a@example.com");
  const task = Object.assign(makeTask(user.email), { processed_images: 0, progress: 0 });
  const other = Object.assign(makeTask(user.email), { processed_images: 7, progress: 100 });
  const subtasks = [0, 1, 2].map((i) => makeSubtask(task.id, i));
  await db.collection("users").insertOne(user as Document);
  await db.collection("tasks").insertMany([task, other] as Document[]);
  await db.collection("dramatiq_tasks").insertMany(subtasks as Document[]);
  const before = await prepare(sql, followed);
  await sql`update tasks set hold = null`;
  await join(sql);
  const [first, second] = await claim(sql, 2);
  await retrySubtasks(sql, [{ ...first!, retry_count: 1, attempt: 2, error: "TIMEOUT", wait_ms: 0 }]);
  const result =
    '{"url":"http://i/1","width":8,"height":8,"seed":1,"created_at":"2026-01-02T11:04:05.678000+08:00"}';
  const end = { status: "completed" as const, retry_count: 1, error: null, result, image_url: "http://i/1" };
  await settleSubtasks(sql, [Object.assign({}, first!, end)]);
  await settleSubtasks(sql, [
    Object.assign({}, second!, end, { status: "failed", retry_count: 0, result: null, error: "no" }),
  ]);
  await deleteTaskRow(sql, other.id);
  await backOnce(sql, followed);
  const after = await takeSnapshot(db);
  const cell = (id: string) => tagOf("dramatiq_tasks", subtasks.find((subtask) => subtask.id === id)!);
  assert.deepEqual(
    Object.fromEntries(findChanges(before, after)),
    {
      [tagOf("tasks", task)]: ["processed_images", "progress", "updated_at"],
      // A deletion changes no counters, so what was stored stays, right or wrong.
      [tagOf("tasks", other)]: ["is_deleted", "updated_at"],
      [cell(first!.id)]: ["error", "result", "retry_count", "status", "updated_at"],
      [cell(second!.id)]: ["error", "status", "updated_at"],
    },
  );
  const stored = readBson(after.get(tagOf("tasks", task))!);
  assert.deepEqual(stored.keys, Object.keys(task));
  assert.equal(stored.get("processed_images"), 2);
  assert.equal(stored.get("progress"), 66);
  const ended = readBson(after.get(cell(first!.id))!);
  assert.deepEqual(typesOf(ended), {
    _id: "ObjectId",
    id: "string",
    parent_task_id: "string",
    variable_indices: "array",
    variable_types_map: "BsonDocument",
    type_to_variable: "BsonDocument",
    status: "string",
    result: "BsonDocument",
    error: "string",
    retry_count: "number",
    prompts: "array",
    ratio: "string",
    seed: "number",
    use_polish: "boolean",
    created_at: "DateMs",
    updated_at: "DateMs",
  });
  assert.deepEqual((ended.get("result") as BsonDocument).keys, [
    "url",
    "width",
    "height",
    "seed",
    "created_at",
  ]);
  assert.deepEqual((await compareSides(sql, followed)).mismatches, []);
});

testBack("writes tasks, subtasks and users that were born here as the newest generation", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const before = await prepare(sql, followed);
  const account = { hashed_password: "$2b$04$x", fullname: null, roles: ["user" as const], is_active: true };
  const user = (await insertUser(sql, Object.assign({ email: "new@example.com" }, account)))!;
  const values = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ id: String(i), value: String(i + 1) }));
  const body = parse({
    tags: [
      { id: "1", type: "seed", isVariable: true, name: "s", value: "" },
      { id: "2", type: "prompt", isVariable: true, name: "p", value: "" },
      { id: "3", type: "ratio", isVariable: false, value: "3:4" },
    ],
    variables: {
      v0: { tag_id: "1", name: "s", values: values(10) },
      v1: { tag_id: "2", name: "p", values: values(5) },
    },
  });
  const settingsText = '{"client_args":{"cfg":7.0,"steps":20},"10":"ten","2":"two"}';
  const task = await submitTask({ sql, log: silentLog }, {
    user,
    taskName: "born here",
    tags: body.get("tags") as never,
    variables: body.get("variables") as JsonObject,
    settings: parseJson(settingsText) as JsonObject,
  });
  await backOnce(sql, followed);
  const after = await takeSnapshot(followed.db);
  const changes = [...findChanges(before, after)];
  assert.equal(changes.length, 52);
  assert.ok(changes.every(([, fields]) => fields.join() === "(new)"));
  const documents = (collection: string) =>
    [...after].filter(([name]) => name.startsWith(`${collection} `)).map(([, bytes]) => readBson(bytes));
  const [storedUser] = documents("users");
  assert.deepEqual(
    storedUser!.keys,
    ["_id", "email", "hashed_password", "fullname", "roles", "is_active", "created_at", "updated_at"],
  );
  const [stored] = documents("tasks");
  assert.deepEqual(typesOf(stored!), {
    _id: "ObjectId",
    id: "string",
    task_name: "string",
    username: "string",
    tags: "array",
    variables: "BsonDocument",
    settings: "BsonDocument",
    status: "string",
    created_at: "DateMs",
    updated_at: "DateMs",
    total_images: "number",
    all_subtasks_completed: "boolean",
    processed_images: "number",
    progress: "number",
    is_deleted: "boolean",
    priority: "number",
  });
  assert.equal(stored!.get("total_images"), 50);
  const v0 = (stored!.get("variables") as BsonDocument).get("v0") as BsonDocument;
  assert.equal(v0.get("values_count"), 10);
  const settings = stored!.get("settings") as BsonDocument;
  assert.deepEqual(settings.keys.slice(0, 3), ["client_args", "10", "2"]);
  assert.deepEqual((settings.get("client_args") as BsonDocument).values, [new Double(7), 20]);
  const [cell] = documents("dramatiq_tasks");
  assert.deepEqual(cell!.keys, [
    ...[
      "_id",
      "id",
      "parent_task_id",
      "variable_indices",
      "variable_types_map",
      "type_to_variable",
      "status",
      "result",
    ],
    ...["error", "retry_count", "prompts", "ratio", "seed", "use_polish", "created_at", "updated_at"],
  ]);
  assert.equal((cell!.get("variable_indices") as BsonValue[]).length, 6);
  assert.equal(cell!.get("result"), null);

  await join(sql);
  await settleSubtasks(sql, (await claim(sql, 25)).map(done));
  await cancelTaskRow(sql, task.id);
  await sql`update tasks set error = 'stopped' where id = ${task.id}`;
  await backOnce(sql, followed);
  const [ended] = [...await takeSnapshot(followed.db)].filter(([name]) => name.startsWith("tasks ")).map((
    [, bytes],
  ) => readBson(bytes));
  assert.deepEqual(ended!.keys, [...stored!.keys, "error"]);
  assert.equal(ended!.get("processed_images"), 25);
  assert.equal(ended!.get("progress"), 50);
  assert.equal(ended!.get("status"), "cancelled");
  assert.deepEqual((await compareSides(sql, followed)).mismatches, []);

  // A second trip: the documents lead to the same rows.
  const readRows = async () =>
    (await sql`
      select (to_jsonb(s) - '{generation,extra,revision,queue}'::text[])::text as row from subtasks s
      union all select (to_jsonb(t) - '{generation,extra,revision,hold}'::text[])::text from tasks t
      union all select (to_jsonb(u) - '{generation,extra}'::text[])::text from users u`)
      .map(({ row }) => row).sort();
  const rows = await readRows();
  await syncOnce(sql, followed);
  assert.equal((await readRows()).join("\n"), rows.join("\n"));
  await assertFollowed(sql, followed.db);
  assert.deepEqual((await compareSides(sql, followed)).mismatches, []);
});

testBack("changes only the fields that changed in documents of any shape", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await followed.insert(await makeEdgeCases());
  const before = await prepare(sql, followed);
  await sql`update users set fullname = 'renamed', is_active = not is_active`;
  await sql`update tasks set task_name = 'renamed', is_deleted = true, updated_at = now()`;
  await sql`update subtasks set retry_count = retry_count + 1, error = 'no', updated_at = now()`;
  const { documents, refused } = await backOnce(sql, followed);
  assert.deepEqual(refused, []);
  const after = await takeSnapshot(followed.db);
  const allowed: Record<string, string[]> = {
    users: ["fullname", "is_active"],
    tasks: ["is_deleted", "task_name", "updated_at"],
    dramatiq_tasks: ["error", "retry_count", "updated_at"],
  };
  const changes = findChanges(before, after);
  assert.equal(changes.size, documents);
  for (const [name, fields] of changes) {
    const collection = name.split(" ")[0]!;
    assert.deepEqual(fields.filter((field) => !allowed[collection]!.includes(field)), [], name);
    const [a, b] = [readBson(before.get(name)!), readBson(after.get(name)!)];
    // The fields keep their order; new ones follow at the end.
    assert.deepEqual(b.keys.slice(0, a.keys.length), a.keys, name);
  }
  assert.deepEqual((await compareSides(sql, followed)).mismatches, []);
  await syncOnce(sql, followed);
  await assertFollowed(sql, followed.db);
  assert.deepEqual((await compareSides(sql, followed)).mismatches, []);
});

testBack("writes exchanged e-mails, changed ones and deletions", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const { db } = followed;
  await db.collection("users").createIndex({ email: 1 }, { unique: true });
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => makeUser(`${name}@example.com`));
  await db.collection("users").insertMany([a, b, c, d] as Document[]);
  const before = await prepare(sql, followed);
  const idOfUser = async (email: string) => (await sql`select id from users where email = ${email}`)[0]!.id;
  const [idA, idB, idC, idD] = await Promise.all([a, b, c, d].map((user) => idOfUser(user!.email)));
  await updateUser(sql, idA, { email: "tmp@example.com" });
  await updateUser(sql, idB, { email: "a@example.com" });
  await updateUser(sql, idA, { email: "b@example.com" });
  await deleteUser(sql, idD);
  await updateUser(sql, idC, { email: "d@example.com" });
  const { refused } = await backOnce(sql, followed);
  assert.deepEqual(refused, []);
  const changes = findChanges(before, await takeSnapshot(db));
  assert.deepEqual(Object.fromEntries(changes), {
    [tagOf("users", a!)]: ["email", "updated_at"],
    [tagOf("users", b!)]: ["email", "updated_at"],
    [tagOf("users", c!)]: ["email", "updated_at"],
    [tagOf("users", d!)]: ["(deleted)"],
  });
  const emails = await db.collection("users").find().sort({ _id: 1 }).toArray();
  assert.deepEqual(emails.map(({ email }) => email), ["b@example.com", "a@example.com", "d@example.com"]);
  assert.deepEqual((await compareSides(sql, followed)).mismatches, []);
});

testBack("keeps the order and the types of fields that a column cannot hold", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const user = makeUser("a@example.com");
  await followed.db.collection("users").insertOne(user as Document);
  const keys = [
    "_id",
    "10",
    "id",
    "task_name",
    "2",
    "username",
    "tags",
    "status",
    "settings",
    "variables",
    "retries",
  ];
  const values = (id: string, hex: string): BsonValue[] => [
    readBson(writeBson(new BsonDocument(["_id"], [hex]))).get("_id")!,
    new Double(1),
    id,
    "name",
    5n,
    user.email,
    [],
    "pending",
    new BsonDocument(["b", "1"], [new DateMs(9e15), new Double(-0)]),
    new BsonDocument([], []),
    2n ** 40n,
  ];
  const id = crypto.randomUUID();
  const document = new BsonDocument(keys, values(id, "a text as _id"));
  await followed.insert({ tasks: [writeBson(document)] });
  await prepare(sql, followed);
  await sql`update tasks set status = 'cancelled', completed_at = now() where id = ${id}`;
  await backOnce(sql, followed);
  const [stored] = await readAll(followed.db, "tasks");
  const wanted = new BsonDocument(
    keys,
    values(id, "a text as _id").map((value) => value === "pending" ? "cancelled" : value),
  );
  assert.equal(Buffer.compare(stored!, writeBson(wanted)), 0);
});
