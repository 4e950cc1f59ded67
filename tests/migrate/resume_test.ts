/** An interrupted verification continues from its checkpoints and gives the same result as an uninterrupted one. */
import assert from "node:assert/strict";
import { writeDump } from "../../bench/load/dump.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { type Progress, silentProgress } from "../../migrate/data/tools/progress.ts";
import { applyRepair } from "../../migrate/data/repair/repair.ts";
import { planRepair } from "../../migrate/data/repair/plan.ts";
import type { Source } from "../../migrate/data/documents/source.ts";
import { type Verdict, verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { waitForUnlock } from "./support/locks.ts";
import { type Folder, runMigrate, spawnMigrateTo } from "./support/program.ts";

const rangeBytes = 65_536;
const subtasks = 2000;

/** Creates a dump and loads it in many ranges into a template database. */
async function loadDump(): Promise<Folder & { template: string; ranges: number }> {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  writeDump(path, subtasks);
  const { sql, url } = await createDatabase({});
  const { ranges } = await load(sql, await openSource(path), { progress: silentProgress, rangeBytes });
  await sql.end();
  return {
    path,
    ranges,
    template: new URL(url).pathname.slice(1),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Makes differences in the first, a middle and the last range, and one in a derived column. */
async function damage(sql: Pool): Promise<void> {
  await sql`update users set fullname = 'damaged'`;
  await sql`update tasks set subtasks_total = subtasks_total + 1 where id = (select min(id::text)::uuid from tasks)`;
  await sql`
    update subtasks set retry_count = 77
    where legacy_id in (select legacy_id from subtasks order by legacy_id limit 3)`;
  await sql`
    delete from subtasks
    where legacy_id in (select legacy_id from subtasks order by legacy_id desc limit 2)`;
}

/** Wraps a source and records the ranges that are read from it. */
function countReads(source: Source): { source: Source; reads: string[] } {
  const reads: string[] = [];
  const recorded = Object.create(source, {
    read: {
      value: (range: Parameters<Source["read"]>[0]) => {
        reads.push(`${range.collection}/${range.number}`);
        return source.read(range);
      },
    },
    survey: { value: source.survey.bind(source) },
    fingerprint: { value: source.fingerprint.bind(source) },
    bytes: { value: source.bytes },
    location: { value: source.location },
  });
  return { source: recorded, reads };
}

const withoutResumed = ({ resumed: _, ...verdict }: Verdict) => verdict;

/** Lists the last ended verification with its differences. */
async function listDifferences(sql: Pool) {
  const rows = await sql`
    select v.verdict, v.documents, v.rows, v.differences, d.collection, d.document_id, d.kind, d.path,
      d.source_value, d.row_value, d.cause
    from migration.verifications v
    left join migration.differences d on d.verification_id = v.id
    where v.id = (select max(id) from migration.verifications where ended_at is not null)
    order by d.number`;
  return rows.map((row) => ({ ...row }));
}

/** Returns a progress and a signal that the progress aborts after `ranges` verified ranges. */
function stopAfter(ranges: number): { progress: Progress; signal: AbortSignal } {
  const stop = new AbortController();
  let stage = "";
  let left = ranges;
  return {
    progress: {
      ...silentProgress,
      begin: (name) => stage = name,
      add: () => {
        if (stage === "verifying" && --left === 0) stop.abort();
      },
    },
    signal: stop.signal,
  };
}

async function interrupt(sql: Pool, path: string, ranges = 5): Promise<void> {
  await assert.rejects(verify(sql, await openSource(path), stopAfter(ranges)), { code: "interrupted" });
}

const countDone = async (sql: Pool) =>
  (await sql`select count(*)::int as done from migration.verified_ranges`)[0]!.done as number;

/** Completes an interrupted verification and compares its result with that of an uninterrupted one. */
async function assertCompletes(
  { sql }: TestDatabase,
  loaded: { path: string; ranges: number },
  uninterrupted: Verdict,
  differences: unknown,
) {
  const [{ done, bytes }] = await sql<[{ done: number; bytes: number }]>`
    select count(*)::int as done, coalesce(sum(r.bytes), 0)::float8 as bytes
    from migration.verified_ranges
    join migration.ranges r using (collection, number)`;
  const { source, reads } = countReads(await openSource(loaded.path));
  const resumedBytes: number[] = [];
  const progress: Progress = { ...silentProgress, resume: (bytes) => resumedBytes.push(bytes) };
  const verdict = await verify(sql, source, { progress });
  assert.deepEqual(withoutResumed(verdict), withoutResumed(uninterrupted));
  assert.deepEqual(await listDifferences(sql), differences);
  // Only ranges without a checkpoint are read. A range with differences is read twice.
  assert.equal(new Set(reads).size, loaded.ranges - done);
  assert.equal(verdict.resumed?.ranges ?? 0, done);
  assert.equal(resumedBytes.length, done === 0 ? 0 : 1);
  assert.equal(resumedBytes[0] ?? 0, bytes);
}

Deno.test("a verification continues after it was killed, stopped or disconnected", async (t) => {
  await using loaded = await loadDump();
  const { path } = loaded;
  assert.ok(loaded.ranges > 10);
  const { sql, url } = await createDatabase({ template: loaded.template });
  await damage(sql);
  await sql.end();
  const template = new URL(url).pathname.slice(1);
  await using reference = await createDatabase({ template });
  const uninterrupted = await verify(reference.sql, await openSource(path), { progress: silentProgress });
  assert.ok(uninterrupted.differences >= 6, JSON.stringify(uninterrupted.mismatches));
  assert.equal(uninterrupted.resumed, null);
  const differences = await listDifferences(reference.sql);
  assert.deepEqual(differences.filter(({ cause }) => cause === null), []);
  for (
    const point of [
      "verify.begun",
      "verify.compared:1",
      "verify.explained:3",
      "verify.range_saved:7",
      "verify.extra_begun",
    ]
  ) {
    await t.step(`killed at ${point}`, async () => {
      await using database = await createDatabase({ template });
      const child = spawnMigrateTo(point, database.url, "data", "verify", "--quiet", "--from", path);
      assert.equal((await child.output()).signal, "SIGKILL");
      await waitForUnlock(database.sql);
      if (point === "verify.extra_begun") assert.equal(await countDone(database.sql), loaded.ranges);
      await assertCompletes(database, loaded, uninterrupted, differences);
    });
  }
  await t.step("stopped twice", async () => {
    await using database = await createDatabase({ template });
    await interrupt(database.sql, path, 3);
    const done = await countDone(database.sql);
    assert.ok(done >= 3 && done <= 5, String(done));
    await interrupt(database.sql, path, 3);
    await assertCompletes(database, loaded, uninterrupted, differences);
    const again = await verify(database.sql, await openSource(path), { progress: silentProgress });
    assert.equal(again.resumed, null);
    assert.deepEqual(withoutResumed(again), withoutResumed(uninterrupted));
  });
  await t.step("its session was terminated", async () => {
    await using database = await createDatabase({ template });
    let stage = "";
    let ranges = 0;
    const progress: Progress = {
      ...silentProgress,
      begin: (name) => stage = name,
      add: () => {
        if (stage !== "verifying" || ++ranges !== 4) return;
        void reference.sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = ${new URL(database.url).pathname.slice(1)} and state <> 'idle'`.execute();
      },
    };
    // The verification may complete before the server terminates its session.
    const hasCompleted = await verify(database.sql, await openSource(path), { progress }).then(
      () => true,
      () => false,
    );
    if (!hasCompleted) await assertCompletes(database, loaded, uninterrupted, differences);
  });
});

Deno.test("an interrupted verification starts over with --again, after a repair, or while another session continues it", async () => {
  await using loaded = await loadDump();
  const { path } = loaded;
  await using database = await createDatabase({ template: loaded.template });
  const { sql } = database;
  const run = async (again = false) =>
    (await verify(sql, await openSource(path), { progress: silentProgress, again })).resumed;
  await interrupt(sql, path);
  assert.equal(await run(true), null);
  assert.equal(await run(), null, "the older verification is not continued");
  await sql`update users set fullname = 'damaged'`;
  await interrupt(sql, path);
  await applyRepair(sql, await planRepair(sql, await openSource(path), { progress: silentProgress }));
  assert.equal(await run(), null);
  await interrupt(sql, path);
  const other = await sql.reserve();
  await other`select pg_advisory_lock(${0x636f6e78}, (select max(id) from migration.verifications)::int)`;
  assert.equal(await run(), null);
  other.release();
});

Deno.test("verify rejects a source that changed after the interruption", async () => {
  await using loaded = await loadDump();
  const { path } = loaded;
  await using database = await createDatabase({ template: loaded.template });
  const { sql, url } = database;
  await interrupt(sql, path);
  const file = `${path}/users.json`;
  const users = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, users.replace("Bench", "Other"));
  const refused = await runMigrate(url, "data", "verify", "--quiet", "--from", path);
  assert.equal(refused.code, 71, refused.err);
  assert.match(refused.err, /the source changed after the last verify was interrupted.*--again/);
  const restarted = await runMigrate(url, "data", "verify", "--quiet", "--again", "--from", path);
  assert.equal(restarted.code, 4, restarted.err);
  await Deno.writeTextFile(file, users);
  const continued = await runMigrate(url, "data", "verify", "--quiet", "--from", path);
  assert.equal(continued.code, 0, continued.err);
  assert.match(continued.out, /^continued an interrupted run: \d+ of \d+ ranges were compared since \d{4}-/);
});
