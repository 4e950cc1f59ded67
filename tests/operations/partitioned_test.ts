/** The product on partitioned tables: the command of docs/scaling.md, the queue, ratings, a load, a backup, a deletion. */
import assert from "node:assert/strict";
import { cancelTaskRow } from "../../db/queue/tasks.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { readSubtasks, readTask, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";
import { startApi } from "../support/api.ts";
import { addMatrix, addPeople, call } from "../v2/support/api.ts";
import { generations, runMigrate } from "../migrate/support/program.ts";

/** Runs a command that must succeed, and returns its output. */
async function migrate({ url }: TestDatabase, ...args: string[]): Promise<string> {
  const { code, out, err } = await runMigrate(url, ...args);
  assert.equal(code, 0, err);
  return out;
}

/** Creates a database of four partitions each by the command. */
async function createPartitioned(): Promise<TestDatabase> {
  const database = await createDatabase({ template: "template0" });
  await migrateUp(database.sql);
  await migrate(database, "partition", "--partitions", "4", "--quiet");
  return database;
}

Deno.test("migrate partition plans, converts, refuses what it cannot do, and status tells of it", async () => {
  await using database = await createDatabase({ template: "template0" });
  await migrateUp(database.sql);
  assert.match(await migrate(database, "status"), /^subtasks and the tables .* are not partitioned$/m);
  const plan = await migrate(database, "partition", "--dry-run");
  assert.match(plan, /^table +16 partitions by +rows, estimated +size$/m);
  assert.match(plan, /^subtasks +hash \(parent_task_id\) /m);
  for (const number of ["0", "3", "512", "many", "-4"]) {
    const { code, err } = await runMigrate(database.url, "partition", "--partitions", number);
    assert.equal(code, 64, number);
    assert.match(err, /--partitions '.*': wanted a power of two from 2 to 256/);
  }
  assert.match(
    await migrate(database, "partition", "--quiet"),
    /^partitioned 9 tables into 16 partitions each: 0 rows/,
  );
  assert.match(await migrate(database, "partition"), /^nothing to do: the tables have 16 partitions each$/m);
  assert.match(await migrate(database, "check"), /^the schema is up to date\n.* have 16 partitions each$/m);
  assert.deepEqual(JSON.parse(await migrate(database, "status", "--json")).partitions, 16);
});

Deno.test("workers draw tasks on partitions with one POST per cell, and a cancelled task is swept", async () => {
  const database = await createPartitioned();
  await using rig = await startRig({ database });
  const cancelled = await rig.submit(["a", "b", "c"], [1, 2]);
  // Two cells are left for the leader to sweep.
  await cancelTaskRow(rig.sql, cancelled, 4);
  await rig.startWorker();
  const tasks = await Promise.all([1, 2, 3].map((n) => rig.submit([`cat ${n}`, "a dog"], [1, 2, 3])));
  for (const task of tasks) {
    const { status, subtasks_completed } = await waitForEnd(rig.sql, task);
    assert.deepEqual({ status, subtasks_completed }, { status: "completed", subtasks_completed: 6 });
  }
  assert.equal(rig.api.posts.length, 18);
  const swept = await waitFor("the sweep", async () => {
    const state = await readTask(rig.sql, cancelled);
    return state.cancelling ? undefined : state;
  });
  assert.equal(swept.subtasks_cancelled, 6);
  assert.ok((await readSubtasks(rig.sql, cancelled)).every(({ status }) => status === "cancelled"));
});

Deno.test("ratings and evaluations are stored on partitions, captured for the way back, and end with their task", async () => {
  await using database = await createPartitioned();
  await using api = await startApi({ database });
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const rated = await call(api, user, "PUT", `/tasks/${task}/cells/1/rating`, { stars: 4 });
  assert.equal(rated.status, 200, rated.text);
  const evaluated = await call(api, user, "POST", `/tasks/${task}/cells/1/evaluations`, { text: "sharp" });
  assert.equal(evaluated.status, 201, evaluated.text);
  const { sql } = database;
  await sql`call migration.set_capture(true)`;
  await sql`update subtasks set status = 'failed' where parent_task_id = ${task} and cell = 2`;
  const [changes] = await sql`select count(*)::int as n from migration.changes where parent_id = ${task}`;
  assert.equal(changes!.n, 1);
  await assert.rejects(sql`truncate subtasks cascade`, /truncate of subtasks while changes are captured/);
  await sql`call migration.set_capture(false)`;
  await sql`call migration.set_fence(true)`;
  await assert.rejects(
    sql`update subtasks set status = 'failed' where parent_task_id = ${task}`,
    /the old backend is in charge: subtasks are changed by what comes from MongoDB only/,
  );
  await sql`call migration.set_fence(false)`;
  await sql`delete from tasks where id = ${task}`;
  for (const table of ["subtasks", "ratings", "rating_history", "evaluations"]) {
    const [row] = await sql`select count(*)::int as n from ${sql(table)}`;
    assert.equal(row!.n, 0, table);
  }
});

Deno.test("a load, its verification and a backup give the same rows on partitions as on plain tables", async () => {
  const folder = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const partitioned = stack.use(await createPartitioned());
  const plain = stack.use(await createDatabase({ template: "template0" }));
  await migrateUp(plain.sql);
  await migrate(partitioned, "data", "load", "--from", generations, "--quiet");
  assert.match(await migrate(partitioned, "data", "verify", "--from", generations, "--quiet"), /equal/);
  const [invalid] = await partitioned.sql`select count(*)::int as n from pg_index where not indisvalid`;
  assert.equal(invalid!.n, 0);
  const digest = async ({ sql }: TestDatabase) =>
    (await sql`select count(*)::int as rows, md5(string_agg(s::text, ',' order by s::text)) as digest from subtasks as s`)[
      0
    ];
  await migrate(partitioned, "data", "backup", "--to", `${folder}/backup`, "--quiet");
  await migrate(plain, "data", "restore", "--backup", `${folder}/backup`, "--quiet");
  assert.deepEqual({ ...await digest(plain) }, { ...await digest(partitioned) });
  await migrate(plain, "data", "backup", "--to", `${folder}/back`, "--quiet");
  await migrate(partitioned, "data", "restore", "--backup", `${folder}/back`, "--replace", "--quiet");
  assert.deepEqual({ ...await digest(plain) }, { ...await digest(partitioned) });
});
