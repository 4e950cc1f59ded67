import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { decideUnfinished, type UnfinishedGroup } from "../../migrate/data/ledger/unfinished.ts";
import { createDatabase } from "../support/database.ts";
import { generations, runMigrate } from "./support/program.ts";
import { startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const loadSample = async (sql: Pool) =>
  await load(sql, await openSource(generations), { progress: silentProgress });

/** Returns a digest of all values that a decision may change. */
async function digestCells(sql: Pool): Promise<string> {
  const [row] = await sql`
    select md5(string_agg(s::text || t.status || coalesce(t.hold, ''), ',' order by s.id)) as digest
    from subtasks s join tasks t on t.id = s.parent_task_id
    where t.generation is not null`;
  return row!.digest;
}

const cellsOf = (groups: UnfinishedGroup[], group: UnfinishedGroup["group"]) =>
  groups.find((one) => one.group === group)?.cells ?? 0;

Deno.test("a worker draws new tasks but no held tasks, and draws those after resume", async () => {
  await using rig = await startRig();
  const { sql } = rig;
  await loadSample(sql);
  const before = await digestCells(sql);
  const [held] = await sql`select count(*)::int as tasks from tasks where hold = 'import'`;
  assert.equal(held!.tasks > 0, true);
  const worker = await rig.startWorker();
  // The worker draws a new task, which shows that it could have drawn the held cells too.
  const submitted = await rig.submit(["a", "b", "c"], [1, 2]);
  assert.equal((await waitForEnd(sql, submitted)).subtasks_completed, 6);
  assert.equal(await digestCells(sql), before);
  assert.equal(rig.api.posts.length, 6);

  const result = await decideUnfinished(sql, "resume");
  assert.ok(result.tasks_resumed > 0);
  await waitFor("the resumed tasks to end", async () => {
    const [row] = await sql`
      select count(*)::int as tasks from tasks
      where generation is not null and hold is null and not is_deleted and status in ('pending', 'processing')`;
    return row!.tasks === 0;
  });
  assert.equal(rig.api.posts.length, 6 + result.cells_resumed);
  await worker.stop();
});

Deno.test("cancel ends all held tasks and updates their counters; a second cancel finds nothing", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await loadSample(sql);
  const first = await decideUnfinished(sql, "cancel");
  assert.ok(first.cells_cancelled > 0);
  assert.deepEqual(first.held, []);
  const [row] = await sql`
    select
      (select count(*) from subtasks where status in ('pending', 'processing'))::int as cells,
      (select count(*) from tasks where status in ('pending', 'processing') or hold is not null)::int as tasks,
      (select count(*) from tasks t where subtasks_completed + subtasks_failed + subtasks_cancelled
        <> (select count(*) from subtasks s where s.parent_task_id = t.id))::int as miscounted`;
  assert.deepEqual({ ...row }, { cells: 0, tasks: 0, miscounted: 0 });
  const second = await decideUnfinished(sql, "cancel");
  assert.deepEqual([second.before, second.cells_cancelled, second.tasks_cancelled], [[], 0, 0]);
});

Deno.test("a load keeps unfinished tasks on hold, and unfinished without a decision changes nothing", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const loaded = await runMigrate(url, "data", "load", "--quiet", "--json", "--from", generations);
  assert.equal(loaded.code, 0, loaded.err);
  const { unfinished } = JSON.parse(loaded.out);
  assert.equal(unfinished.decision, "keep");
  assert.ok(cellsOf(unfinished.held, "drawable") > 0);
  const before = await digestCells(sql);
  const shown = await runMigrate(url, "data", "unfinished");
  assert.match(shown.out, /Held tasks are not drawn until/);
  assert.equal(await digestCells(sql), before);
});

Deno.test("load --unfinished cancel decides at once, so that unfinished finds nothing afterwards", async () => {
  await using database = await createDatabase();
  const { url } = database;
  const loaded = await runMigrate(
    url,
    ...["data", "load", "--quiet", "--json", "--unfinished", "cancel", "--from", generations],
  );
  assert.equal(loaded.code, 0, loaded.err);
  assert.ok(JSON.parse(loaded.out).unfinished.cells_cancelled > 0);
  const again = await runMigrate(url, "data", "unfinished", "resume", "--json");
  assert.deepEqual(JSON.parse(again.out).before, []);
});

Deno.test("unfinished rejects an unknown decision", async () => {
  await using database = await createDatabase();
  const { code, err } = await runMigrate(database.url, "data", "unfinished", "perhaps");
  assert.equal(code, 64);
  assert.match(err, /unfinished 'perhaps': wanted one of resume, cancel, keep/);
});
