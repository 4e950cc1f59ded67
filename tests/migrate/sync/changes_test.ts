import assert from "node:assert/strict";
import type { Db } from "mongodb";
import type { Pool } from "../../../db/pg/connect.ts";
import { createDatabase } from "../../support/database.ts";
import { assertFollowed, type RunningSync, startFollowed, startSync } from "../support/followed.ts";
import { completed, makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { mongod } from "../support/sources.ts";

interface Running {
  sql: Pool;
  db: Db;
  sync: RunningSync;
  /** Waits for all changes and compares both sides in full. */
  check(): Promise<void>;
}

/** Runs a test with a sync beside it. */
const testChange = (name: string, fn: (running: Running) => Promise<void>) =>
  Deno.test({
    name: `a running sync ${name}`,
    ignore: !mongod,
    fn: async () => {
      await using database = await createDatabase();
      await using followed = await startFollowed();
      const { sql } = database;
      const { db } = followed;
      await using sync = startSync(sql, followed);
      const check = async () => {
        await sync.settle();
        await assertFollowed(sql, db);
      };
      await fn({ sql, db, sync, check });
    },
  });

const countWaiting = async (sql: Pool): Promise<number> =>
  (await sql`select count(*)::int as n from migration.waiting`)[0]!.n;

testChange("inserts, updates, replaces and deletes rows", async ({ sql, db, check }) => {
  const user = makeUser("a@example.com");
  const task = makeTask(user.email);
  const subtasks = [0, 1, 2].map((i) => makeSubtask(task.id, i));
  await db.collection("users").insertOne(user);
  await db.collection("tasks").insertOne(task);
  await db.collection("dramatiq_tasks").insertMany(subtasks);
  await check();
  await db.collection("dramatiq_tasks").updateOne({ _id: subtasks[0]!._id }, {
    $set: completed("https://x/1.webp"),
  });
  await db.collection("dramatiq_tasks").replaceOne({ _id: subtasks[1]!._id }, {
    id: subtasks[1]!.id,
    parent_task_id: task.id,
    status: "failed",
    error: "no",
  });
  await db.collection("dramatiq_tasks").deleteOne({ _id: subtasks[2]!._id });
  await check();
  const [row] = await sql`select subtasks_total, subtasks_completed, subtasks_failed from tasks`;
  assert.deepEqual({ ...row }, { subtasks_total: 2, subtasks_completed: 1, subtasks_failed: 1 });
});

testChange("keeps ratings, and tells live views what changed", async ({ sql, db, check }) => {
  const task = makeTask("a@example.com");
  const subtask = makeSubtask(task.id);
  await db.collection("tasks").insertOne(task);
  await db.collection("dramatiq_tasks").insertOne(subtask);
  await check();
  await sql`update subtasks set rating = 4, evaluate = '{good}'`;
  const [before] = await sql`select revision from tasks`;
  await db.collection("dramatiq_tasks").updateOne({ _id: subtask._id }, {
    $set: completed("https://x/1.webp"),
  });
  await check();
  const [row] = await sql`
    select s.rating, s.evaluate, s.revision = t.revision as stamped, t.revision > ${
    before!.revision
  } as raised
    from subtasks s join tasks t on t.id = s.parent_task_id`;
  assert.deepEqual({ ...row }, { rating: 4, evaluate: ["good"], stamped: true, raised: true });
});

testChange("lets two users exchange their e-mails", async ({ sql, db, check }) => {
  const [a, b] = [makeUser("a@example.com"), makeUser("b@example.com")];
  const users = db.collection("users");
  await users.insertMany([a, b]);
  await db.collection("tasks").insertMany([makeTask(a.email), makeTask(b.email)]);
  await check();
  // The old backend has a unique index, so an exchange takes three updates.
  await users.updateOne({ _id: a._id }, { $set: { email: "c@example.com" } });
  await users.updateOne({ _id: b._id }, { $set: { email: a.email } });
  await users.updateOne({ _id: a._id }, { $set: { email: b.email } });
  await check();
  const rows = await sql`select legacy_id, email from users order by email`;
  assert.deepEqual(rows.map((row) => row.legacy_id), [b._id.toHexString(), a._id.toHexString()]);
  assert.equal(await countWaiting(sql), 0);
});

testChange("resolves a ring of e-mails that arrives in parts", async ({ sql, db, sync, check }) => {
  const users = ["a", "b", "c"].map((name) => makeUser(`${name}@example.com`));
  await db.collection("users").insertMany(users);
  await check();
  for (const [i, user] of users.entries()) {
    await db.collection("users").updateOne({ _id: user._id }, { $set: { email: users[(i + 1) % 3]!.email } });
    await sync.settle();
  }
  await check();
  assert.equal(await countWaiting(sql), 0);
});

testChange("lets subtasks wait for their task, whichever comes first", async ({ sql, db, sync, check }) => {
  const task = makeTask("a@example.com");
  await db.collection("dramatiq_tasks").insertMany([makeSubtask(task.id), makeSubtask(task.id, 1)]);
  await sync.settle();
  assert.equal(await countWaiting(sql), 2);
  await db.collection("tasks").insertOne(task);
  await check();
  assert.equal(await countWaiting(sql), 0);
});

testChange("keeps the subtasks of a deleted task waiting, with their bytes", async ({ sql, db, check }) => {
  const task = makeTask("a@example.com");
  const subtasks = [makeSubtask(task.id), makeSubtask(task.id, 1)];
  await db.collection("tasks").insertOne(task);
  await db.collection("dramatiq_tasks").insertMany(subtasks);
  await check();
  await db.collection("tasks").deleteOne({ _id: task._id });
  await check();
  assert.equal(await countWaiting(sql), 2);
  await db.collection("dramatiq_tasks").deleteOne({ _id: subtasks[0]!._id });
  await db.collection("tasks").insertOne(task);
  await check();
  const [row] = await sql`select count(*)::int as n from subtasks`;
  assert.equal(row!.n, 1);
});

testChange(
  "takes a poison document into quarantine, and out again when it is mended",
  async ({ sql, db, check }) => {
    const user = makeUser("a@example.com");
    await db.collection("users").insertOne(user);
    await check();
    await db.collection("users").updateOne({ _id: user._id }, { $set: { email: 5 } });
    await check();
    const [entry] = await sql`select reason, has_row from migration.quarantine`;
    assert.deepEqual({ ...entry }, { reason: "missing_email", has_row: true });
    assert.equal(
      (await sql`select email from users`)[0]!.email,
      "a@example.com",
      "the last accepted version stays",
    );
    await db.collection("users").updateOne({ _id: user._id }, { $set: { email: "b@example.com" } });
    await check();
    assert.equal((await sql`select from migration.quarantine`).length, 0);
    await db.collection("users").insertOne(Object.assign(makeUser("x"), { email: null }) as never);
    await check();
    await db.collection("users").deleteMany({});
    await check();
  },
);

testChange("moves a subtask to another task or another id", async ({ sql, db, check }) => {
  const tasks = [makeTask("a@example.com"), makeTask("a@example.com")];
  const subtask = makeSubtask(tasks[0]!.id);
  await db.collection("tasks").insertMany(tasks);
  await db.collection("dramatiq_tasks").insertOne(subtask);
  await check();
  await db.collection("dramatiq_tasks").updateOne({ _id: subtask._id }, {
    $set: { parent_task_id: tasks[1]!.id },
  });
  await check();
  await db.collection("dramatiq_tasks").updateOne({ _id: subtask._id }, {
    $set: { id: crypto.randomUUID() },
  });
  await check();
  await db.collection("tasks").updateOne({ _id: tasks[1]!._id }, { $set: { id: crypto.randomUUID() } });
  await check();
  assert.equal(await countWaiting(sql), 1, "the subtask names a task that is gone");
});

testChange("lets a document wait while another one has its id", async ({ sql, db, sync, check }) => {
  const task = makeTask("a@example.com");
  const twin = makeTask("b@example.com", task.id);
  await db.collection("tasks").insertOne(task);
  await sync.settle();
  await db.collection("tasks").insertOne(twin);
  await check();
  assert.equal(await countWaiting(sql), 1);
  await db.collection("tasks").deleteOne({ _id: task._id });
  await check();
  assert.equal(await countWaiting(sql), 0);
  assert.equal((await sql`select username from tasks`)[0]!.username, "b@example.com");
});

testChange(
  "keeps a faulty subtask in quarantine while its task goes and returns",
  async ({ sql, db, check }) => {
    const task = makeTask("a@example.com");
    const subtask = makeSubtask(task.id);
    await db.collection("tasks").insertOne(task);
    await db.collection("dramatiq_tasks").insertOne(subtask);
    await check();
    await db.collection("dramatiq_tasks").updateOne({ _id: subtask._id }, { $set: { status: "unheard of" } });
    await check();
    await db.collection("tasks").deleteOne({ _id: task._id });
    await check();
    await db.collection("tasks").insertOne(task);
    await check();
    assert.equal(
      (await sql`select from subtasks`).length,
      0,
      "the row of the earlier version does not come back",
    );
  },
);

testChange("applies ten thousand updates of one task, many of them at once", async ({ sql, db, check }) => {
  const task = makeTask("a@example.com");
  const subtasks = Array.from({ length: 1000 }, (_, i) => makeSubtask(task.id, i));
  await db.collection("tasks").insertOne(task);
  await db.collection("dramatiq_tasks").insertMany(subtasks);
  await Promise.all(
    ["processing", "failed", "pending", "cancelled", "completed"].map((status) =>
      db.collection("dramatiq_tasks").updateMany({}, { $set: { status }, $inc: { retry_count: 1 } })
    ),
  );
  await check();
  const [row] = await sql`select min(retry_count) as min, max(retry_count) as max from subtasks`;
  assert.deepEqual({ ...row }, { min: 5, max: 5 });
});
