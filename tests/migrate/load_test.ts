import assert from "node:assert/strict";
import { writeDump } from "../../bench/load/dump.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";
import { waitForUnlock } from "./support/locks.ts";
import { generations, makeDump, makeEdgeCaseDump, runMigrate, spawnMigrate } from "./support/program.ts";

const progress = silentProgress;
const loadFrom = async (sql: Pool, path: string) => await load(sql, await openSource(path), { progress });
const verifyFrom = async (sql: Pool, path: string) => await verify(sql, await openSource(path), { progress });

/** Lists the definitions of the indexes and validated constraints of `subtasks`. */
async function listDefinitions(sql: Pool): Promise<string[]> {
  const rows = await sql`
    select indexdef as definition
    from pg_indexes
    where tablename = 'subtasks'
    union all
    select pg_get_constraintdef(oid)
    from pg_constraint
    where conrelid = 'subtasks'::regclass and convalidated
    order by 1`;
  return rows.map(({ definition }) => definition);
}

/** Returns all rows that a load writes as one text. */
async function snapshot(sql: Pool): Promise<string> {
  const texts: string[] = [];
  for (
    const table of [
      "users",
      "tasks",
      "subtasks",
      "migration.ranges",
      "migration.quarantine",
      "migration.adjustments",
    ]
  ) {
    const rows = await sql.unsafe(`select t::text as row from ${table} t order by 1`);
    texts.push(rows.map(({ row }) => row).join("\n"));
  }
  return texts.join("\n\n");
}

Deno.test("documents of every generation load and verify equal; a second load changes nothing", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  assert.equal((await loadFrom(sql, generations)).documents, 647);
  const before = await snapshot(sql);
  assert.equal((await loadFrom(sql, generations)).documents, 0);
  assert.equal(await snapshot(sql), before);
  assert.equal((await readStatus(sql)).verdict, "balanced");
  const verdict = await verifyFrom(sql, generations);
  assert.deepEqual([verdict.differences, verdict.rows, verdict.quarantined], [0, 647, 0]);
});

for (const form of ["odd", "odd-canonical"] as const) {
  Deno.test(`every document of the dump '${form}' gets a row or a reason`, async () => {
    await using database = await createDatabase();
    await using dump = await makeEdgeCaseDump(form);
    const { sql } = database;
    await loadFrom(sql, dump.path);
    const status = await readStatus(sql);
    assert.equal(status.verdict, "balanced");
    const reasons = status.quarantine.map(({ collection, reason, documents }) =>
      `${collection} ${reason} ${documents}`
    );
    assert.deepEqual(reasons.sort(), [
      "dramatiq_tasks duplicate_id 1",
      "dramatiq_tasks missing_status 1",
      "dramatiq_tasks orphan 3",
      "dramatiq_tasks unknown_status 1",
      "tasks duplicate_id 1",
      "users duplicate_email 1",
      "users missing_email 1",
    ]);
    const verdict = await verifyFrom(sql, dump.path);
    assert.deepEqual(verdict.mismatches, []);
    const [duplicate] = await sql`
      select convert_from(original, 'UTF8') as original, detail
      from migration.quarantine
      where reason = 'duplicate_email'`;
    assert.match(duplicate!.original, /"fullname":"dup"/);
    assert.match(duplicate!.detail, /67ecd9f7a1b2c3d4e544cb68/);
  });
}

Deno.test("imported tasks have counters and owners, and unfinished ones are held", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await loadFrom(sql, generations);
  const [wrong] = await sql`
    select count(*)::integer as tasks
    from tasks t
    where t.subtasks_total <> (select count(*) from subtasks s where s.parent_task_id = t.id)
      or t.subtasks_completed <>
        (select count(*) from subtasks s where s.parent_task_id = t.id and s.status = 'completed')
      or (t.hold is null) = (t.status in ('pending', 'processing') or exists (
        select from subtasks s where s.parent_task_id = t.id and s.status in ('pending', 'processing')))
      or (t.owner_id is null) = exists (select from users u where u.email = t.username)`;
  assert.equal(wrong!.tasks, 0);
});

Deno.test("a load that is killed several times loses and duplicates nothing", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  try {
    writeDump(folder, 6000);
    const flags = ["data", "load", "--from", folder, "--range-bytes", "65536", "--quiet"];
    const definitions = await listDefinitions(sql);
    let killed = 0;
    for (const wanted of [3, 20, 45]) {
      const child = spawnMigrate(url, ...flags);
      let hasEnded = false;
      child.status.then(() => hasEnded = true);
      await waitFor(`${wanted} ranges, or the end of the load`, async () => {
        const [row] = await sql`select count(*)::integer as done from migration.ranges where state = 'done'`;
        return hasEnded || row!.done >= wanted;
      });
      if (!hasEnded) {
        child.kill("SIGKILL");
        killed++;
      }
      await child.output();
      const [row] = await sql`
        select (select count(*) from subtasks)::integer as rows,
          (select coalesce(sum(exact + adjusted), 0) from migration.ranges
            where collection = 'dramatiq_tasks' and state = 'done')::integer as counted`;
      assert.equal(row!.rows, row!.counted);
      // Ranges are committed in the source's order, although two of them are written at a time.
      const [gap] = await sql`
        select exists (
          select
          from migration.ranges d
          join migration.ranges p using (fingerprint, collection)
          where d.state = 'done' and p.state = 'planned' and p.number < d.number
        ) as found`;
      assert.equal(gap!.found, false);
      assert.notDeepEqual(await listDefinitions(sql), definitions);
      await waitForUnlock(sql);
    }
    assert.equal(killed, 3);
    assert.equal((await readStatus(sql)).verdict, "incomplete");
    const last = await runMigrate(url, ...flags);
    assert.equal(last.code, 0, last.err);
    assert.equal((await readStatus(sql)).verdict, "balanced");
    assert.deepEqual(await listDefinitions(sql), definitions);
    const verdict = await verifyFrom(sql, folder);
    assert.deepEqual([verdict.differences, verdict.rows], [0, verdict.documents]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("indexes that an earlier version dropped before its load was interrupted are recreated", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const definitions = await listDefinitions(sql);
  const [index] = await sql`
    select relname as name, format('drop index %I', relname) as drop, pg_get_indexdef(indexrelid) as create
    from pg_index join pg_class on pg_class.oid = indexrelid
    where indrelid = 'subtasks'::regclass and not indisunique and indpred is null
    limit 1`;
  // The text as the first version stored it.
  const comment = `a load has taken off, and puts back when it settles: ${JSON.stringify([index])}`;
  await sql.unsafe(`comment on table subtasks is '${comment.replaceAll("'", "''")}'`);
  await sql.unsafe(index!.drop);
  assert.notDeepEqual(await listDefinitions(sql), definitions);
  await loadFrom(sql, generations);
  assert.deepEqual(await listDefinitions(sql), definitions);
});

Deno.test("SIGINT stops a load between two transactions, and the next run continues it", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  try {
    writeDump(folder, 6000);
    const flags = ["data", "load", "--from", folder, "--range-bytes", "65536", "--quiet"];
    const child = spawnMigrate(url, ...flags);
    await waitFor("the first range", async () => {
      const done = await sql`select from migration.ranges where state = 'done' limit 1`;
      return done.length > 0;
    });
    child.kill("SIGINT");
    const { code, stderr } = await child.output();
    assert.equal(code, 130);
    assert.match(new TextDecoder().decode(stderr), /run the same command again/);
    assert.equal((await readStatus(sql)).verdict, "incomplete");
    assert.equal((await runMigrate(url, ...flags)).code, 0);
    assert.equal((await verifyFrom(sql, folder)).differences, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a load fails with busy while another migrator is working", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const other = await sql.reserve();
  await other`select pg_advisory_lock(${0x636f6e75})`;
  const { code, err } = await runMigrate(url, "data", "load", "--quiet", "--from", generations);
  await other`select pg_advisory_unlock(${0x636f6e75})`;
  other.release();
  assert.equal(code, 75);
  assert.match(err, /another migrator/);
});

Deno.test("a second dump adds its new documents and excludes those that are already loaded", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await loadFrom(sql, generations);
  const [users, tasks, subtasks] = await Promise.all(
    ["users", "tasks", "dramatiq_tasks"].map((name) => Deno.readTextFile(`${generations}/${name}.json`)),
  );
  const more = subtasks!.trimEnd().split("\n").at(-1)!
    .replace(/"\$oid":"[0-9a-f]{24}"/, '"$oid":"67ffffffffffffffffffffff"')
    .replace(/"id":"[0-9a-f-]{36}"/, '"id":"00000000-0000-4000-8000-000000000001"');
  await using dump = await makeDump({ users: users!, tasks: tasks!, dramatiq_tasks: `${subtasks}${more}\n` });
  await loadFrom(sql, dump.path);
  const status = await readStatus(sql);
  assert.equal(status.verdict, "balanced");
  const { collections } = status.sources[1]!;
  const counts = collections.map(({ exact, excluded, quarantined }) => [exact, excluded, quarantined]);
  assert.deepEqual(counts, [[0, 8, 0], [0, 28, 0], [1, 611, 0]]);
  assert.equal((await verifyFrom(sql, dump.path)).differences, 0);
});

Deno.test("of several subtasks with one id, the first in the source is loaded", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  try {
    writeDump(folder, 1000);
    const path = `${folder}/dramatiq_tasks.json`;
    const lines = (await Deno.readTextFile(path)).trimEnd().split("\n");
    const other = (line: string) =>
      line.replace(/"\$oid":"[0-9a-f]{24}"/, '"$oid":"67ffffffffffffffffffffff"');
    await Deno.writeTextFile(path, [...lines, other(lines[0]!), other(lines[999]!)].join("\n"));
    const source = await openSource(folder);
    await load(sql, source, { progress, rangeBytes: 65536 });
    const rows = await sql`select reason, path, detail from migration.quarantine`;
    const duplicate = ["duplicate_id", "id"];
    assert.deepEqual(rows.map(({ reason, path }) => [reason, path]), [duplicate, duplicate]);
    assert.equal((await readStatus(sql)).verdict, "balanced");
    assert.equal((await verifyFrom(sql, folder)).differences, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("status finds a missing row, an extra row, a missing ledger entry and a wrong count", async () => {
  await using database = await createDatabase();
  await using dump = await makeEdgeCaseDump("odd");
  const { sql, url } = database;
  await loadFrom(sql, dump.path);
  const cases = [
    "delete from subtasks where id = (select id from subtasks limit 1)",
    "insert into users (email, hashed_password, generation) values ('extra@example.com', '', 'U')",
    "delete from migration.quarantine where reason = 'missing_email'",
    "update migration.ranges set exact = exact + 1 where collection = 'users'",
  ];
  for (const change of cases) {
    await sql.begin(async (tx) => {
      await tx.unsafe(change);
      assert.equal((await readStatus(tx)).verdict, "unbalanced", change);
      throw new Error("rollback");
    }).catch((error) => assert.equal(error.message, "rollback"));
  }
  assert.equal((await readStatus(sql)).verdict, "balanced");
  await sql`delete from subtasks where id = (select id from subtasks limit 1)`;
  const { code, out, err } = await runMigrate(url, "data", "status", "--json");
  assert.equal(code, 3);
  assert.equal(JSON.parse(out).verdict, "unbalanced");
  assert.match(err, /do not add up/);
});
