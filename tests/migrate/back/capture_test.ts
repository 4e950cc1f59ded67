/** The capture of changes: which statements record which keys, and which do not. */
import assert from "node:assert/strict";
import type { Pool } from "../../../db/pg/connect.ts";
import { deleteUser, insertUser, updateUser } from "../../../db/people/users.ts";
import { cancelTaskRow, deleteTaskRow } from "../../../db/queue/tasks.ts";
import { claimSubtasks, saveRemoteIds, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { acquireSlots, insertWorker, saveHeartbeat } from "../../../db/queue/workers.ts";
import { saveRatings } from "../../../db/judging/ratings.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { type JsonObject, parseJson } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { disableCapture, enableCapture, isCaptureEnabled } from "../../../migrate/data/back/capture.ts";
import { backup } from "../../../migrate/data/backup/backup.ts";
import { restore } from "../../../migrate/data/backup/restore.ts";
import { migrateDown, migrateUp } from "../../../migrate/schema/runner.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { createDatabase } from "../../support/database.ts";

/** Returns what was recorded since the last call: collection and number of keys, and forgets it. */
async function take(sql: Pool): Promise<Record<string, number>> {
  const rows = await sql<{ collection: string; keys: number }[]>`
    with taken as (delete from migration.changes returning *)
    select collection, count(distinct (parent_id, row_id))::int as keys from taken group by collection`;
  return Object.fromEntries(rows.map(({ collection, keys }) => [collection, keys]));
}

/** Creates a user and a task of three cells. */
async function makeTask(sql: Pool): Promise<{ user: { id: string; email: string }; id: string }> {
  const email = `${crypto.randomUUID()}@example.com`;
  const account = { email, hashed_password: "x", fullname: null, roles: ["user" as const], is_active: true };
  const user = (await insertUser(sql, account))!;
  const body = parseJson(JSON.stringify({
    tags: [{ id: "1", type: "seed", isVariable: true, name: "s", value: "" }],
    variables: {
      v0: { tag_id: "1", name: "s", values: ["1", "2", "3"].map((value) => ({ id: value, value })) },
    },
  })) as JsonObject;
  const { id } = await submitTask({ sql, log: silentLog }, {
    user,
    taskName: "t",
    tags: body.get("tags") as never,
    variables: body.get("variables") as JsonObject,
    settings: new Map() as unknown as JsonObject,
  });
  return { user, id };
}

Deno.test("captured are all changes that documents show, and no others", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const quiet = await makeTask(sql);
  assert.deepEqual(await take(sql), {}, "disabled at first");
  assert.equal(await isCaptureEnabled(sql), false);
  await enableCapture(sql);
  assert.equal(await isCaptureEnabled(sql), true);

  const { user, id } = await makeTask(sql);
  assert.deepEqual(
    await take(sql),
    { users: 1, tasks: 1, dramatiq_tasks: 3 },
    "a new user, a task with its cells",
  );
  await insertWorker(sql, { id: "w", host: "h", pid: 1, queues: ["standard"] });
  await saveHeartbeat(sql, "w");
  await acquireSlots(sql, "w", () => ({ standard: 1 }));
  assert.deepEqual(await take(sql), {}, "workers have no documents");
  const refs = await sql<{ task_id: string; id: string }[]>`
    select parent_task_id as task_id, id from subtasks where parent_task_id = ${id} order by cell limit 2`;
  const claimed = await claimSubtasks(sql, "w", [...refs]);
  assert.deepEqual(await take(sql), { dramatiq_tasks: 2 }, "a claim makes cells 'processing'");
  await saveRemoteIds(sql, claimed.map((lease) => Object.assign({ remote_id: "r" }, lease)));
  assert.deepEqual(await take(sql), {}, "the id of a remote job has no field");
  const end = { status: "completed" as const, retry_count: 0, error: null, image_url: "http://i/1" };
  const result = '{"url":"http://i/1","width":8,"height":8,"seed":1,"created_at":"2026-01-01"}';
  await settleSubtasks(sql, claimed.map((lease) => Object.assign({ result }, lease, end)));
  assert.deepEqual(await take(sql), { tasks: 1, dramatiq_tasks: 2 }, "results and counters");
  const rating = {
    task_id: id,
    cell: 0,
    rater_id: user.id,
    stars: 5,
    skipped: null,
    blind: false,
    took_ms: null,
  };
  const [rated] = await saveRatings(sql, [rating]);
  assert.equal(typeof rated, "object");
  assert.deepEqual(await take(sql), {}, "ratings have no fields");
  await sql`update tasks set revision = revision + 1, hold = 'pause' where id = ${id}`;
  await sql`update tasks set task_name = task_name, tags = tags where id = ${id}`;
  assert.deepEqual(await take(sql), {}, "a revision, a hold and an update without a change");
  await cancelTaskRow(sql, id);
  assert.deepEqual(await take(sql), { tasks: 1, dramatiq_tasks: 1 });
  await deleteTaskRow(sql, id);
  assert.deepEqual(await take(sql), { tasks: 1 });
  await updateUser(sql, user.id, { email: "new@example.com" });
  assert.equal((await take(sql)).users, 1);
  await deleteUser(sql, quiet.user.id);
  assert.deepEqual(await take(sql), { users: 1 }, "the owner of a task is no field");
});

Deno.test("captured deletions keep the _id of their documents", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await enableCapture(sql);
  const { id } = await makeTask(sql);
  await sql`update subtasks set extra = '{"_id":7.5}' where parent_task_id = ${id} and cell = 0`;
  await take(sql);
  await sql`delete from tasks where id = ${id}`;
  const rows =
    await sql`select collection, deleted_id from migration.changes order by collection, deleted_id`;
  const ids = rows.map(({ collection, deleted_id }) =>
    `${collection} ${deleted_id.replace(/[0-9a-f]{24}/, "…")}`
  );
  assert.deepEqual(ids.sort(), [
    "dramatiq_tasks 7.5",
    'dramatiq_tasks {"$oid":"…"}',
    'dramatiq_tasks {"$oid":"…"}',
    'tasks {"$oid":"…"}',
  ]);
});

Deno.test("a session with contactsheet.capture off is not captured; TRUNCATE is refused in any other", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const { id } = await makeTask(sql);
  await enableCapture(sql);
  await sql.begin(async (session) => {
    await session`set local contactsheet.capture = off`;
    await session`update tasks set task_name = 'x' where id = ${id}`;
    await session`update subtasks set error = 'x' where parent_task_id = ${id}`;
  });
  assert.deepEqual(await take(sql), {});
  await assert.rejects(sql`truncate users cascade`.execute(), /truncate of \w+ while changes are captured/);
  await sql.begin(async (session) => {
    await session`set local contactsheet.capture = off`;
    await session`truncate users cascade`;
  });
  await disableCapture(sql);
  await sql`truncate users cascade`;
  assert.equal(await isCaptureEnabled(sql), false);
});

Deno.test("enabling the capture waits for transactions that write, and is not deterred by them", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const { id } = await makeTask(sql);
  const writer = await sql.reserve();
  await writer`begin`;
  await writer`update tasks set task_name = 'before' where id = ${id}`;
  const enabled = enableCapture(sql);
  await new Promise((resolve) => setTimeout(resolve, 1300));
  assert.equal(await isCaptureEnabled(sql), false);
  await writer`commit`;
  await enabled;
  assert.equal(await isCaptureEnabled(sql), true);
  writer.release();
});

Deno.test("a capture of which some triggers are disabled is reported", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await enableCapture(sql);
  await sql`alter table subtasks disable trigger subtasks_capture_updated`;
  await assert.rejects(isCaptureEnabled(sql), /12 of 13 triggers/);
  await enableCapture(sql);
  assert.equal(await isCaptureEnabled(sql), true);
});

Deno.test("a restore ends the capture, since it is not recorded, and leaves no trigger enabled that was not", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await makeTask(sql);
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-backup-" });
  try {
    await backup(sql, `${folder}/b`, { progress: silentProgress } as never);
    await enableCapture(sql);
    await restore(sql, `${folder}/b`, { progress: silentProgress, replace: true, dryRun: false });
    assert.equal(await isCaptureEnabled(sql), false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the step of the capture can be reverted and applied again", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await enableCapture(sql);
  await migrateDown(sql, 12);
  await migrateUp(sql);
  assert.equal(await isCaptureEnabled(sql), false);
});
