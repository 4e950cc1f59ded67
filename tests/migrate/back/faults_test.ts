/** The way back and faults: refusals before the first write, refused documents, elections, late commands. */
import assert from "node:assert/strict";
import type { Document } from "mongodb";
import { DocumentSequence } from "mongodb/lib/cmap/commands.js";
import { writeBack } from "../../../migrate/data/back/back.ts";
import { disableCapture, enableCapture } from "../../../migrate/data/back/capture.ts";
import { checkPreconditions } from "../../../migrate/data/back/preconditions.ts";
import { CommandNumbers, replaceStatement, runWrites } from "../../../migrate/data/back/raw_writes.ts";
import { findBack } from "../../../migrate/data/back/state.ts";
import { writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import { BsonDocument, ObjectId } from "../../../migrate/data/documents/tree.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { Lease } from "../../../migrate/data/sync/lease.ts";
import { startMongo } from "../../../dev/servers/mongo.ts";
import { wait } from "../../../wait.ts";
import { createDatabase } from "../../support/database.ts";
import { waitFor } from "../../support/wait.ts";
import { backOnce, compareSides } from "../support/back.ts";
import { databaseName, startFollowed, syncOnce } from "../support/followed.ts";
import { makeTask, makeUser } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";

const testBack = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `the way back ${name}`, ignore: !mongod, fn });

testBack("relies on the driver's document sequence, which this version has", () => {
  const sequence = new DocumentSequence("updates");
  const bytes = writeBson(new BsonDocument(["q"], [new BsonDocument([], [])]));
  sequence.push({}, bytes);
  const section = sequence.toBin();
  assert.equal(section[0], 1);
  assert.deepEqual([...section.slice(-bytes.length)], [...bytes]);
  return Promise.resolve();
});

testBack("refuses to begin, with one message each, and writes nothing", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql, url } = database;
  const { mongo, db } = followed;
  await db.collection("users").insertOne(makeUser("a@example.com") as Document);
  await syncOnce(sql, followed);
  const target = mongo.url.replace("/?", `/${databaseName}?`);
  const run = (...args: string[]) => runMigrate(url, "data", "back", "--quiet", ...args);
  const expect = async (exit: number, pattern: RegExp, ...args: string[]) => {
    const { code, err } = await run(...args);
    assert.match(err, pattern);
    assert.equal(code, exit, err);
  };
  await expect(1, /changes are not captured.*capture on/, "--to", target, "--once");
  await enableCapture(sql);
  await sql`update users set fullname = 'changed'`;
  await expect(64, /--to 'folder': wanted 'mongodb'/, "--to", "folder");
  await expect(66, /has no collection users/, "--to", target.replace(databaseName, "wrong"), "--once");
  for (const collection of collections) await db.client.db("another").createCollection(collection);
  await expect(
    1,
    /is not the database that was followed/,
    "--to",
    target.replace(databaseName, "another"),
    "--once",
  );
  {
    await using _sync = await Lease.acquire(sql, "sync");
    await expect(75, /the forward sync still runs \(process .*\); stop it first/, "--to", target, "--once");
  }
  {
    // The sync ends during the wait, so the next check is reached, which refuses.
    const sync = await Lease.acquire(sql, "sync");
    const waiting = expect(
      1,
      /is not the database that was followed/,
      "--to",
      target.replace(databaseName, "another"),
      "--once",
    );
    await wait(2_000);
    await sync[Symbol.asyncDispose]();
    await waiting;
  }
  {
    await using _other = await Lease.acquire(sql, "back");
    await expect(75, /back: process .* has been running since/, "--to", target, "--once");
  }
  const admin = db.client.db("admin");
  await admin.command({ setUserWriteBlockMode: 1, global: true });
  await expect(
    1,
    /the server blocks writes; unblock it with .*setUserWriteBlockMode/,
    "--to",
    target,
    "--once",
  );
  await admin.command({ setUserWriteBlockMode: 1, global: false });
  assert.notEqual((await db.collection("users").findOne())!.fullname, "changed");
  assert.equal(await findBack(sql), undefined);

  const { code, out } = await run("--to", target, "--once", "--json");
  assert.equal(code, 0);
  const { changes, documents, refused, pending } = JSON.parse(out);
  assert.deepEqual({ changes, documents, refused, pending }, {
    changes: 1,
    documents: 1,
    refused: [],
    pending: 0,
  });
  assert.equal((await findBack(sql))!.state, "ended");
  const verdict = await run("--to", target, "--verify", "--json");
  assert.equal(verdict.code, 0, verdict.err);
  assert.equal(JSON.parse(verdict.out).verdict, "equal");
  await db.collection("users").updateOne({}, { $set: { fullname: "outside" } });
  const different = await run("--to", target, "--verify");
  assert.equal(different.code, 4);
  assert.match(different.out, /fullname\s+"outside"\s+"changed"/);
});

testBack("names an account that may not write, before it writes", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await using mongo = await startMongo(mongod!, { root: { user: "root", password: "secret" } });
  const as = (user: string) =>
    mongo.url.replace("mongodb://", `mongodb://${user}:secret@`).replace("/?", "/old?authSource=admin&");
  {
    await using root = await openRoot(as("root"));
    for (const collection of collections) await root.db("old").createCollection(collection);
    await root.db("admin").command({
      createUser: "reader",
      pwd: "secret",
      roles: [{ role: "read", db: "old" }],
    });
  }
  await enableCapture(sql);
  await using source = await openFollowed(as("reader"));
  await assert.rejects(
    checkPreconditions(sql, source, { acceptOther: false, onNote: () => {} }),
    (error: Error) => {
      assert.match(error.message, /may not write there.*'readWrite'/s);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    },
  );
});

async function openRoot(url: string) {
  const { MongoClient } = await import("mongodb");
  const client = await new MongoClient(url).connect();
  return {
    db: (name: string) => client.db(name),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

testBack("keeps the changes of documents that MongoDB refuses, and writes all others", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const { db } = followed;
  await db.collection("users").createIndex({ email: 1 }, { unique: true });
  const user = makeUser("a@example.com");
  const tasks = Array.from({ length: 3 }, () => makeTask(user.email));
  await db.collection("users").insertOne(user as Document);
  await db.collection("tasks").insertMany(tasks as Document[]);
  await syncOnce(sql, followed);
  await enableCapture(sql);
  await db.collection("users").insertOne(makeUser("taken@example.com") as Document);
  await sql`update users set email = 'taken@example.com' where email = 'a@example.com'`;
  await sql`update tasks set task_name = repeat('x', 17000000) where id = ${tasks[1]!.id}`;
  await sql`update tasks set task_name = 'renamed' where id <> ${tasks[1]!.id}`;
  const { refused } = await backOnce(sql, followed);
  assert.deepEqual(refused.map(({ collection }) => collection).sort(), ["tasks", "users"]);
  assert.match(refused.find(({ collection }) => collection === "users")!.reason, /duplicate key/);
  const names = (await db.collection("tasks").find().sort({ _id: 1 }).toArray()).map(({ task_name }) =>
    task_name
  );
  assert.deepEqual(names, ["renamed", "a task", "renamed"]);
  assert.equal((await sql`select from migration.changes`).length, 2);
  const verdict = await compareSides(sql, followed);
  assert.deepEqual(
    verdict.mismatches.map(({ collection, path, cause }) => `${collection} ${path} ${cause}`),
    [
      "users email not_written",
      "users  unknown",
      "tasks task_name not_written",
    ],
  );
  await db.collection("users").deleteOne({ email: "taken@example.com" });
  await sql`update tasks set task_name = 'short' where id = ${tasks[1]!.id}`;
  assert.deepEqual((await backOnce(sql, followed)).refused, []);
  assert.equal((await compareSides(sql, followed)).verdict, "equal");
});

testBack("rides out elections and restarts of the servers", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const { db, mongo } = followed;
  const user = makeUser("a@example.com");
  await db.collection("users").insertOne(user as Document);
  await syncOnce(sql, followed);
  await enableCapture(sql);
  await using source = await openFollowed(mongo.url, databaseName);
  await using lease = await Lease.acquire(sql, "back");
  const stop = new AbortController();
  const notes: string[] = [];
  const running = writeBack({ pool: sql, source, lease }, {
    once: false,
    onBatch: () => {},
    onNote: (note) => notes.push(note),
    signal: stop.signal,
  });
  running.catch(() => {});
  for (let round = 0; round < 3; round++) {
    await sql`update users set fullname = ${`name ${round}`}`;
    await db.client.db("admin").command({ replSetStepDown: 1, secondaryCatchUpPeriodSecs: 0, force: true })
      .catch(() => {});
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state = 'idle'`.catch(() => {});
    await sql`update users set is_active = not is_active`.catch(() =>
      sql`update users set is_active = not is_active`
    );
    await waitFor("the change to arrive", async () => {
      const document = await db.collection("users").findOne().catch(() => undefined);
      const [row] = await sql`select fullname, is_active from users`.catch(() => []);
      return document && row && document.fullname === row.fullname && document.is_active === row.is_active;
    }, 60_000);
  }
  stop.abort();
  await running;
  assert.equal((await compareSides(sql, followed)).verdict, "equal");
});

testBack(
  "is refused by MongoDB after a later process has written, however late its command arrives",
  async () => {
    await using followed = await startFollowed();
    await using source = await openFollowed(followed.mongo.url, databaseName);
    const id = crypto.getRandomValues(new Uint8Array(16));
    const document = (name: string) =>
      new BsonDocument(["_id", "name"], [new ObjectId("6".repeat(24)), name]);
    const write = (numbers: CommandNumbers, name: string) =>
      runWrites(
        source.db,
        "update",
        "users",
        [replaceStatement(document(name), writeBson(document(name)))],
        numbers,
      );
    const old = new CommandNumbers(source.startSession(), id, 3);
    const next = new CommandNumbers(source.startSession(), id, 4);
    await write(old, "first");
    await write(next, "second");
    await assert.rejects(write(old, "late"), (error: { code?: number }) => error.code === 225);
    assert.equal((await followed.db.collection("users").findOne())!.name, "second");
    await old.session.endSession();
    await next.session.endSession();
  },
);

testBack("writes to a standalone server too", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed({ replicaSet: false });
  const { sql } = database;
  await enableCapture(sql);
  await sql`insert into users (email, hashed_password) values ('a@example.com', 'x')`;
  await backOnce(sql, followed);
  assert.equal((await followed.db.collection("users").findOne())!.email, "a@example.com");
  assert.equal((await compareSides(sql, followed)).verdict, "equal");
  await disableCapture(sql);
});
