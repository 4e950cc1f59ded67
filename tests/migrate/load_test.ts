import assert from "node:assert/strict";
import { writeDump } from "../../bench/load/dump.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { generations, makeDump, makeOddDump, runMigrate, spawnMigrate } from "./support/program.ts";

const progress = silentProgress;
const loadFrom = async (sql: Pool, path: string) => await load(sql, await openSource(path), { progress });
const verifyFrom = async (sql: Pool, path: string) => await verify(sql, await openSource(path), { progress });

/** Indexes and constraints of the biggest table, as the server words them. */
async function listParts(sql: Pool): Promise<string[]> {
  const rows = await sql`
    select indexdef as part from pg_indexes where tablename = 'subtasks'
    union all
    select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'subtasks'::regclass and convalidated
    order by 1`;
  return rows.map(({ part }) => part);
}

/** Everything a load writes, as one text. */
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

Deno.test("every generation loads, verifies equal, and a second load changes nothing", async () => {
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
  Deno.test(`of the dump '${form}' every document has its row or its reason`, async () => {
    await using database = await createDatabase();
    await using dump = await makeOddDump(form);
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
    const [loser] = await sql`
      select convert_from(original, 'UTF8') as original, detail
      from migration.quarantine
      where reason = 'duplicate_email'`;
    assert.match(loser!.original, /"fullname":"dup"/);
    assert.match(loser!.detail, /67ecd9f7a1b2c3d4e544cb68/);
  });
}

Deno.test("imported tasks count their subtasks, know their owner, and wait where they are unfinished", async () => {
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

Deno.test("kill -9 in the middle of a load, again and again: nothing lost, nothing doubled", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  try {
    writeDump(folder, 6000);
    const flags = ["data", "load", "--from", folder, "--range-bytes", "65536", "--quiet"];
    const parts = await listParts(sql);
    let killed = 0;
    for (const wanted of [3, 20, 45]) {
      const child = spawnMigrate(url, ...flags);
      const ended = child.status.then(() => true);
      while (!await Promise.race([ended, new Promise<false>((go) => setTimeout(() => go(false), 5))])) {
        const [row] = await sql`select count(*)::integer as done from migration.ranges where state = 'done'`;
        if (row!.done < wanted) continue;
        child.kill("SIGKILL");
        killed++;
        break;
      }
      await child.output();
      const [row] = await sql`
        select (select count(*) from subtasks)::integer as rows,
          (select coalesce(sum(exact + adjusted), 0) from migration.ranges
            where collection = 'dramatiq_tasks' and state = 'done')::integer as counted`;
      assert.equal(row!.rows, row!.counted);
      // What is done is the source's beginning, though two ranges are under way at a time.
      const [gap] = await sql`
        select exists (
          select from migration.ranges d join migration.ranges p using (fingerprint, collection)
          where d.state = 'done' and p.state = 'planned' and p.number < d.number) as there`;
      assert.equal(gap!.there, false);
      assert.notDeepEqual(await listParts(sql), parts);
      // The server may still be ending the killed session, which holds the fence.
      while ((await sql`select from pg_locks where locktype = 'advisory' limit 1`).length > 0) {
        await new Promise((go) => setTimeout(go, 5));
      }
    }
    assert.equal(killed, 3);
    assert.equal((await readStatus(sql)).verdict, "incomplete");
    const last = await runMigrate(url, ...flags);
    assert.equal(last.code, 0, last.err);
    assert.equal((await readStatus(sql)).verdict, "balanced");
    assert.deepEqual(await listParts(sql), parts);
    const verdict = await verifyFrom(sql, folder);
    assert.deepEqual([verdict.differences, verdict.rows], [0, verdict.documents]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("SIGINT stops between two transactions, and the next run goes on", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  try {
    writeDump(folder, 6000);
    const flags = ["data", "load", "--from", folder, "--range-bytes", "65536", "--quiet"];
    const child = spawnMigrate(url, ...flags);
    while ((await sql`select from migration.ranges where state = 'done' limit 1`).length === 0) {
      await new Promise((go) => setTimeout(go, 5));
    }
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

Deno.test("a second migrator is turned away while one works", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const held = await sql.reserve();
  await held`select pg_advisory_lock(${0x636f6e75})`;
  const { code, err } = await runMigrate(url, "data", "load", "--quiet", "--from", generations);
  await held`select pg_advisory_unlock(${0x636f6e75})`;
  held.release();
  assert.equal(code, 75);
  assert.match(err, /another migrator/);
});

Deno.test("documents that are in from an earlier dump are excluded by name, new ones come in", async () => {
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
  const counts = status.sources[1]!.collections.map((
    { exact, excluded, quarantined },
  ) => [exact, excluded, quarantined]);
  assert.deepEqual(counts, [[0, 8, 0], [0, 28, 0], [1, 611, 0]]);
  assert.equal((await verifyFrom(sql, dump.path)).differences, 0);
});

Deno.test("a doubled subtask id keeps the first of the source, also far apart", async () => {
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
    assert.deepEqual(rows.map(({ reason, path }) => [reason, path]), [["duplicate_id", "id"], [
      "duplicate_id",
      "id",
    ]]);
    assert.equal((await readStatus(sql)).verdict, "balanced");
    assert.equal((await verifyFrom(sql, folder)).differences, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("status finds one row too few, one too many, and a ledger line gone", async () => {
  await using database = await createDatabase();
  await using dump = await makeOddDump("odd");
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
      await tx.unsafe("savepoint never");
      throw new Error("back");
    }).catch((error) => assert.equal(error.message, "back"));
  }
  assert.equal((await readStatus(sql)).verdict, "balanced");
  await sql`delete from subtasks where id = (select id from subtasks limit 1)`;
  const { code, out, err } = await runMigrate(url, "data", "status", "--json");
  assert.equal(code, 3);
  assert.equal(JSON.parse(out).verdict, "unbalanced");
  assert.match(err, /does not add up/);
});
