import assert from "node:assert/strict";
import { createDatabase } from "../../support/database.ts";
import { assertFollowed, makeEdgeCases, startFollowed, syncOnce } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";

const testSync = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `sync ${name}`, ignore: !mongod, fn });

testSync("copies all edge cases and applies what changes afterwards", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const { db } = followed;
  await followed.insert(await makeEdgeCases());
  await syncOnce(sql, followed);
  await assertFollowed(sql, db);
  const [task] = await db.collection("tasks").find({ id: { $type: "string" } }).limit(1).toArray();
  await db.collection("tasks").updateOne({ _id: task!._id }, {
    $set: { task_name: "renamed", updated_at: new Date() },
  });
  await db.collection("dramatiq_tasks").updateMany({ status: "pending" }, {
    $set: { status: "failed", error: "x" },
  });
  await db.collection("users").deleteMany({ email: /tester1/ });
  await syncOnce(sql, followed);
  await assertFollowed(sql, db);
  const [renamed] = await sql`select task_name from tasks where task_name = 'renamed'`;
  assert.ok(renamed);
});
