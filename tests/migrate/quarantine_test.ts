import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { listQuarantine } from "../../migrate/data/ledger/quarantine.ts";
import { replayQuarantine } from "../../migrate/data/repair/replay.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { generations, makeDump, makeEdgeCaseDump, runMigrate } from "./support/program.ts";

const progress = silentProgress;
const read = (name: string) => Deno.readTextFile(`${generations}/${name}.json`);
const loadFrom = async (sql: Pool, path: string) => await load(sql, await openSource(path), { progress });

const countRows = async (sql: Pool) => {
  const [row] = await sql`
    select (select count(*) from users)::int as users, (select count(*) from tasks)::int as tasks,
      (select count(*) from subtasks)::int as subtasks,
      (select count(*) from migration.quarantine)::int as quarantined`;
  return { ...row };
};

Deno.test("quarantine lists documents by reason and path, with readable samples", async () => {
  await using database = await createDatabase();
  await using dump = await makeEdgeCaseDump("odd");
  const { sql, url } = database;
  await loadFrom(sql, dump.path);
  const groups = await listQuarantine(sql, { samples: 2 });
  const status = await readStatus(sql);
  assert.deepEqual(
    groups.map(({ collection, reason, path, documents }) => ({ collection, reason, path, documents })),
    status.quarantine.map((group) => ({ ...group })),
  );
  for (const { documents, samples } of groups) {
    assert.equal(samples.length, Math.min(2, documents));
    for (const { document } of samples) assert.match(document, /^\{/);
  }
  const { code, out } = await runMigrate(url, "data", "quarantine", "--reason", "orphan");
  assert.equal(code, 0);
  assert.match(out, /dramatiq_tasks: orphan at 'parent_task_id', 3/);
  assert.doesNotMatch(out, /missing_email/);
  const one = await runMigrate(url, "data", "quarantine", "--json", "--samples", "0");
  assert.deepEqual(
    JSON.parse(one.out).groups.map((group: { samples: [] }) => group.samples),
    groups.map(() => []),
  );
});

Deno.test("replay gives orphans their rows once their tasks have been loaded, and updates ledger and counters", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  await using orphans = await makeDump({ dramatiq_tasks: await read("dramatiq_tasks") });
  await loadFrom(sql, orphans.path);
  const cells = (await countRows(sql)).quarantined as number;
  assert.ok(cells > 600);
  await using parents = await makeDump({ users: await read("users"), tasks: await read("tasks") });
  await loadFrom(sql, parents.path);
  const before = await countRows(sql);

  const dryRun = await runMigrate(url, "data", "quarantine", "--replay", "--json", "--quiet");
  assert.equal(dryRun.code, 0, dryRun.err);
  const { applied, loaded, stay } = JSON.parse(dryRun.out);
  assert.deepEqual([applied, loaded, stay], [false, cells, 0]);
  assert.deepEqual(await countRows(sql), before);

  const done = await runMigrate(url, "data", "quarantine", "--replay", "--apply", "--quiet");
  assert.match(done.out, new RegExp(`${cells} of ${cells} got a row, 0 stay`));
  assert.deepEqual(await countRows(sql), { ...before, subtasks: cells, quarantined: 0 });
  assert.deepEqual((await readStatus(sql)).faults, []);

  // A single load of all documents gives the same rows.
  await using other = await createDatabase();
  await loadFrom(other.sql, generations);
  for (const table of ["subtasks", "tasks"]) {
    const digest = (pool: Pool) =>
      pool.unsafe(`
        select md5(string_agg((to_jsonb(t) - 'revision')::text, ',' order by id)) as digest
        from ${table} t`);
    assert.deepEqual(await digest(sql), await digest(other.sql), table);
  }
});

Deno.test("replay loads documents that the current rules accept, with their adjustments and originals", async () => {
  await using database = await createDatabase();
  await using dump = await makeEdgeCaseDump("odd-canonical");
  const { sql } = database;
  await loadFrom(sql, dump.path);
  // Moves loaded subtasks into quarantine, as an older version of the rules would have done.
  const lines = (await Deno.readTextFile(`${dump.path}/dramatiq_tasks.json`)).split("\n");
  const chosen = await sql`
    select distinct on (row_id) * from migration.adjustments where collection = 'dramatiq_tasks' order by row_id`;
  for (const { fingerprint, range_number, position, row_id } of chosen) {
    await sql`delete from subtasks where id = ${row_id}`;
    await sql`delete from migration.adjustments where row_id = ${row_id}`;
    await sql`
      insert into migration.quarantine
        (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
      values (${fingerprint}, 'dramatiq_tasks', ${range_number}, ${position}, 'x', 'old_rule', 'result', '',
        convert_to(${lines[Number(position) - 1]!}, 'UTF8'))`;
    await sql`
      update migration.ranges set quarantined = quarantined + 1, adjusted = adjusted - 1
      where collection = 'dramatiq_tasks' and number = ${range_number}`;
  }
  const [moved] = await sql`
    select count(*)::int as documents from migration.quarantine where reason = 'old_rule'`;
  assert.ok(moved!.documents > 3);
  assert.deepEqual((await readStatus(sql)).faults, []);
  const result = await replayQuarantine(sql, { apply: true, progress, reason: "old_rule" });
  assert.deepEqual([result.loaded, result.stay], [moved!.documents, 0]);
  assert.deepEqual((await readStatus(sql)).faults, []);
  assert.deepEqual((await verify(sql, await openSource(dump.path), { progress })).mismatches, []);
});

Deno.test("a document that is rejected again stays in quarantine with its bytes and one more attempt", async () => {
  await using database = await createDatabase();
  await using dump = await makeEdgeCaseDump("odd");
  const { sql } = database;
  await loadFrom(sql, dump.path);
  const before = await sql`select document_id, reason, path, original from migration.quarantine order by id`;
  const result = await replayQuarantine(sql, { apply: true, progress });
  assert.deepEqual([result.loaded, result.stay], [0, before.length]);
  const after = await sql`
    select document_id, reason, path, original, attempts from migration.quarantine order by id`;
  assert.deepEqual(after.map(({ attempts: _, ...rest }) => rest), [...before]);
  assert.ok(after.every(({ attempts }) => attempts === 2));
  assert.deepEqual((await readStatus(sql)).faults, []);
});

Deno.test("a replay fails with busy while another migrator is working", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const other = await sql.reserve();
  await other`select pg_advisory_lock(${0x636f6e75})`;
  const { code } = await runMigrate(url, "data", "quarantine", "--replay");
  assert.equal(code, 75);
  other.release();
});

Deno.test("quarantine rejects --apply without --replay", async () => {
  await using database = await createDatabase();
  const { code, err } = await runMigrate(database.url, "data", "quarantine", "--apply");
  assert.equal(code, 64);
  assert.match(err, /--apply: wanted together with --replay/);
});
