/** `deno task migrate partition`: tables are replaced with everything they have, or left as they are. */
import assert from "node:assert/strict";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { createFollowIndex } from "../../migrate/data/sync/copy.ts";
import { silentProgress as progress } from "../../migrate/data/tools/progress.ts";
import { partition, type PartitionOptions } from "../../migrate/partition/partition.ts";
import { taskTables } from "../../migrate/partition/tables.ts";
import { migrateDown, migrateUp, readSteps } from "../../migrate/schema/runner.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

/** Creates a database with plain tables, also when the template's are partitioned. */
async function createPlain(): Promise<TestDatabase> {
  const database = await createDatabase({ template: "template0" });
  await migrateUp(database.sql);
  return database;
}

const run = (sql: Pool, options: Partial<PartitionOptions> = {}) =>
  partition(sql, { partitions: 4, offline: false, dryRun: false, progress, ...options });

/** Inserts tasks whose subtasks have a row in every table that belongs to them. */
async function fill(sql: Pool, tasks: number): Promise<void> {
  await sql`
    with u as (
      insert into users (email, hashed_password) values ('rater@example.com', '!') returning id
    ), t as (
      insert into tasks (task_name, username, tags, variables, settings, subtasks_total)
      select 'task ' || n, 'rater@example.com', '[]', '{}', '{}', 2 from generate_series(1, ${tasks}) as n
      returning id
    ), s as (
      insert into subtasks (parent_task_id, cell, error, result)
      select t.id, n, repeat(md5(random()::text), 200), '{"b": 1, "a": 1.0}' from t, generate_series(0, 1) as n
      returning parent_task_id as task_id, id, cell
    ), pairs as (
      select a.task_id, a.id as left_id, b.id as right_id
      from s as a join s as b on b.task_id = a.task_id and a.cell = 0 and b.cell = 1
    ), a as (
      insert into attempts (task_id, subtask_id, attempt, outcome) select task_id, id, 1, 'done' from s
    ), g as (
      insert into cell_tags (task_id, subtask_id, tag, author_id) select task_id, s.id, 'tag', u.id from s, u
    ), e as (
      insert into evaluations (task_id, subtask_id, version, author_id, text) select task_id, s.id, 1, u.id, 'text' from s, u
    ), f as (
      insert into favourites (task_id, subtask_id, user_id) select task_id, s.id, u.id from s, u
    ), h as (
      insert into rating_history (task_id, subtask_id, version, rater_id, action) select task_id, s.id, 1, u.id, 'rated' from s, u
    ), r as (
      insert into ratings (task_id, subtask_id, version, rater_id, stars) select task_id, s.id, 1, u.id, 5 from s, u
    ), w as (
      insert into reservations (task_id, subtask_id, rater_id, until) select task_id, s.id, u.id, now() from s, u
    )
    insert into votes (task_id, left_id, left_version, right_id, right_version, outcome, rater_id)
    select task_id, left_id, 1, right_id, 1, 'left', u.id from pairs, u`;
}

/** Returns rows, keys, indexes, triggers, privileges and sequences of the task tables, without the names of partitions. */
async function describeTables(sql: Pool) {
  const tables = [];
  for (const { name } of taskTables) {
    const [rows] = await sql.unsafe(
      `select count(*)::int as rows, md5(string_agg(t::text, ',' order by t::text)) as digest from ${name} as t`,
    );
    const parts = await sql<{ part: string }[]>`
      select replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') as part
      from pg_index where indrelid = ${name}::regclass and not indisprimary
      union all
      select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
      where conrelid = ${name}::regclass and contype <> 'p' and conparentid = 0
      union all
      select translate(pg_get_triggerdef(oid), '()', '') || ' ' || tgenabled::text from pg_trigger where tgrelid = ${name}::regclass and not tgisinternal
      union all
      select relacl::text || obj_description(oid, 'pg_class') from pg_class where oid = ${name}::regclass
      union all
      select format('%s %s %s', attname, format_type(atttypid, atttypmod), attstattarget) from pg_attribute
      where attrelid = ${name}::regclass and attnum > 0
      order by part`;
    tables.push({ name, rows, parts: parts.map(({ part }) => part) });
  }
  const sequences =
    await sql`select sequencename, last_value from pg_sequences where schemaname = 'public' order by 1`;
  return { tables, sequences };
}

Deno.test("the task tables are those with a foreign key to subtasks, each with the column of its task", async () => {
  await using database = await createPlain();
  const found = await database.sql<{ name: string; key: string }[]>`
    select distinct c.relname as name, a.attname as key
    from pg_constraint as k
    join pg_class as c on c.oid = k.conrelid
    join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.conkey[1]
    where k.contype = 'f' and k.confrelid = 'subtasks'::regclass
    order by name`;
  assert.deepEqual([{ name: "subtasks", key: "parent_task_id" }, ...found], [...taskTables]);
});

Deno.test("empty tables are partitioned with their indexes, keys, triggers, privileges and settings", async () => {
  await using database = await createPlain();
  const { sql } = database;
  await sql`comment on table subtasks is 'a comment'`;
  await sql`alter table subtasks alter column status set statistics 500`;
  await sql`alter table ratings set (autovacuum_vacuum_scale_factor = 0.05)`;
  await sql`grant select on subtasks to public`;
  await sql`call migration.set_capture(true)`;
  const before = await describeTables(sql);
  assert.equal((await run(sql)).partitions, 4);
  assert.deepEqual(await describeTables(sql), before);
  const [options] = await sql`select reloptions from pg_class where oid = 'ratings_p2'::regclass`;
  assert.deepEqual(options!.reloptions, ["autovacuum_vacuum_scale_factor=0.05"]);
  const again = await run(sql, { partitions: undefined });
  assert.deepEqual(again.tables, []);
  await assert.rejects(run(sql, { partitions: 8 }), /the tables have 4 partitions already, wanted 8/);
});

Deno.test("tables with rows are only copied offline, and keep every row and the values of their sequences", async () => {
  await using database = await createPlain();
  const { sql } = database;
  await fill(sql, 50);
  const before = await describeTables(sql);
  await assert.rejects(
    run(sql),
    /the tables have rows; copying .* takes about .*migrate partition --offline/,
  );
  assert.equal((await run(sql, { dryRun: true })).tables.length, taskTables.length);
  const worker = connect(database.url, { max: 1, name: "contactsheet worker" });
  await worker`select`;
  await assert.rejects(
    run(sql, { offline: true }),
    /other processes .*: 'contactsheet worker' \(1 session\)/,
  );
  await worker.end();
  const { copied } = await run(sql, { offline: true });
  assert.equal(copied!.subtasks, 100);
  assert.equal(copied!.votes, 50);
  assert.deepEqual(await describeTables(sql), before);
  // Identity columns continue behind the copied rows.
  await sql`delete from tasks`;
  for (const { name } of taskTables) {
    const [row] = await sql.unsafe(`select count(*)::int as rows from ${name}`);
    assert.equal(row!.rows, 0, `a deleted task leaves no row in ${name}`);
  }
});

Deno.test("a conversion that fails or is stopped leaves the plain tables as they were", async (t) => {
  await using database = await createPlain();
  const { sql } = database;
  await fill(sql, 5);
  const before = await describeTables(sql);
  await t.step("a view that reads a table", async () => {
    await sql`create view newest as select id from subtasks`;
    await assert.rejects(run(sql, { offline: true }), /cannot drop table migration\.subtasks/);
    await sql`drop view newest`;
  });
  await t.step("a publication that sends a table", async () => {
    await sql`create publication replicated for table ratings`;
    await assert.rejects(
      run(sql, { offline: true }),
      /table ratings has parts .*: publication replicated; drop them/,
    );
    await sql`drop publication replicated`;
  });
  await t.step("a signal", async () => {
    const controller = new AbortController();
    const stopping = { ...progress, begin: () => controller.abort() };
    await assert.rejects(run(sql, { offline: true, progress: stopping, signal: controller.signal }), {
      code: "interrupted",
    });
  });
  await t.step("a transaction that does not end", async () => {
    const other = await sql.reserve();
    await other`begin`;
    await other`select from subtasks`;
    await assert.rejects(run(sql, { offline: true, lockMs: 100 }), { code: "busy" });
    await other`commit`;
    other.release();
  });
  assert.deepEqual(await describeTables(sql), before);
});

Deno.test("a sync creates its index on partitions, also after it was killed meanwhile", async () => {
  await using database = await createPlain();
  const { sql } = database;
  await run(sql);
  await sql`create index subtasks_legacy_id_idx on only subtasks (legacy_id)`;
  await sql`create index subtasks_p2_subtasks_legacy_id_idx on subtasks_p2 (legacy_id)`;
  await createFollowIndex(sql);
  await createFollowIndex(sql);
  const [index] = await sql`
    select indisvalid from pg_index where indexrelid = 'subtasks_legacy_id_idx'::regclass`;
  assert.equal(index!.indisvalid, true);
});

Deno.test("a partitioned database migrates down and up again, and builds indexes concurrently", async () => {
  await using database = await createPlain();
  const { sql } = database;
  await run(sql);
  const steps = await readSteps();
  await migrateDown(sql, 15);
  assert.equal((await migrateUp(sql)).length, steps.length - 15);
  const valid = await sql`
    select c.relname, i.indisvalid
    from pg_index as i join pg_class as c on c.oid = i.indexrelid
    where c.relname in ('subtasks_processing_idx', 'ratings_updated_idx')`;
  assert.deepEqual(valid.map(({ indisvalid }) => indisvalid), [true, true]);
  // The tables of ratings are created anew, so they are plain until they are partitioned, too.
  await migrateDown(sql, 6);
  await migrateUp(sql);
  const { tables } = await run(sql, { partitions: undefined });
  assert.ok(tables.some(({ name }) => name === "ratings") && !tables.some(({ name }) => name === "subtasks"));
  assert.deepEqual((await run(sql)).tables, []);
  await migrateDown(sql, 0);
  const left = await sql`select relname from pg_class where relnamespace = 'public'::regnamespace`;
  assert.deepEqual([...left], []);
});
