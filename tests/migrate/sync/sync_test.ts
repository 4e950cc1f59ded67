import assert from "node:assert/strict";
import type { Pool } from "../../../db/pg/connect.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { follow } from "../../../migrate/data/sync/follow.ts";
import { Lease } from "../../../migrate/data/sync/lease.ts";
import { startFollow, type StartOptions } from "../../../migrate/data/sync/start.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { createDatabase } from "../../support/database.ts";
import {
  assertFollowed,
  databaseName,
  type Followed,
  makeEdgeCases,
  startFollowed,
} from "../support/followed.ts";
import { mongod } from "../support/sources.ts";

const testSync = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `sync ${name}`, ignore: !mongod, fn });

async function syncOnce(sql: Pool, { mongo }: Followed, options: Partial<StartOptions> = {}): Promise<void> {
  await using source = await openFollowed(mongo.url, databaseName);
  await using lease = await Lease.acquire(sql, "sync");
  const onNote = () => {};
  const all = { mode: "stream" as const, restart: false, acceptShortOplog: true, ...options };
  const { fingerprint } = await startFollow(sql, source, all, onNote);
  const signal = AbortSignal.timeout(60_000);
  await follow(
    { pool: sql, source, lease, fingerprint, progress: silentProgress, onNote, signal },
    { once: true, onBatch: () => {}, onRetry: onNote },
  );
  signal.throwIfAborted();
}

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
