/** Kills the migrator at failpoints and compares what it leaves. */
import assert from "node:assert/strict";
import type { Pool } from "../../../db/pg/connect.ts";
import { type Failpoint, failpoints, syncFailpoints } from "../../../migrate/data/tools/failpoint.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { waitForUnlock } from "./locks.ts";
import { spawnMigrateTo } from "./program.ts";

/** Returns digests of everything that a load writes, except times and run ids. */
export async function snapshot(sql: Pool): Promise<string> {
  const queries = [
    "select u::text as row from users u",
    "select t::text as row from tasks t",
    "select s::text as row from subtasks s",
    `select (collection, number, state, documents, exact, adjusted, quarantined, excluded, digest)::text as row
     from migration.ranges`,
    "select (collection, position, reason, path, detail, original, attempts)::text as row from migration.quarantine",
    "select (collection, position, row_id, rule, path)::text as row from migration.adjustments",
    "select (collection, position, row_id, original)::text as row from migration.originals",
    "select (collection, position, rule)::text as row from migration.exclusions",
    "select (state, ended_at is null)::text as row from migration.runs where state in ('done', 'running')",
    "select indexdef as row from pg_indexes where tablename = 'subtasks'",
    "select pg_get_constraintdef(oid) as row from pg_constraint where conrelid = 'subtasks'::regclass",
    "select obj_description('subtasks'::regclass, 'pg_class') as row",
  ];
  const digests: string[] = [];
  for (const query of queries) {
    const [row] = await sql.unsafe(`
      select count(*) || ' ' || coalesce(md5(string_agg(row, '/' order by row)), '') as digest
      from (${query}) as q`);
    digests.push(row!.digest);
  }
  return digests.join("\n");
}

/** A failpoint, and the number of the pass at which the process is killed. */
export interface Kill {
  point: Failpoint;
  pass: number;
}

export interface KilledRun {
  /** How often the process passed each failpoint. */
  passes: Partial<Record<Failpoint, number>>;
}

/** Runs the migrator until it is killed at a failpoint. */
export async function kill(
  { point, pass }: Kill,
  { url, sql }: TestDatabase,
  args: string[],
): Promise<KilledRun> {
  const child = spawnMigrateTo(`${point}:${pass}`, url, "data", ...args);
  const { signal, stderr, stdout } = await child.output();
  const err = new TextDecoder().decode(stderr);
  const out = new TextDecoder().decode(stdout);
  assert.equal(signal, "SIGKILL", `it was not killed at ${point}:${pass}: ${err}${out}`);
  await waitForUnlock(sql);
  return { passes: JSON.parse(err.trimEnd().split("\n").at(-1)!) };
}

/** Creates a database that other databases are cloned from, and closes it. */
export async function prepareTemplate(
  fill: (sql: Pool, url: string) => Promise<void>,
): Promise<TestDatabase & { name: string }> {
  const database = await createDatabase();
  await fill(database.sql, database.url);
  await database.sql.end();
  return { ...database, name: new URL(database.url).pathname.slice(1) };
}

/** Number of databases in use at a time. */
const lanes = 3;

/**
 * Calls `check` in each lane with its share of the kills, in the order of the failpoints, and with a database of its
 * own. Collects the failures of all lanes.
 */
export async function killAtEach(
  kills: Kill[],
  template: string | undefined,
  check: (kills: Kill[], database: TestDatabase) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  const order = [...failpoints, ...syncFailpoints];
  const sorted = kills.toSorted((a, b) => order.indexOf(a.point) - order.indexOf(b.point));
  await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
    const share = sorted.filter((_, i) => i % lanes === lane);
    if (share.length === 0) return;
    await using database = await createDatabase({ template });
    await check(share, database).catch((error) => failures.push(error.message));
  }));
  assert.deepEqual(failures, []);
}
