/** HintBitSetter reads each page that a load has written exactly once, one step later. */
import assert from "node:assert/strict";
import { HintBitSetter } from "../../migrate/data/load/hint_bits.ts";
import { createDatabase } from "../support/database.ts";

Deno.test("HintBitSetter reads each new page once, one step later, and no page that existed before", async () => {
  await using database = await createDatabase();
  const sql = await database.sql.reserve();
  // The statistics of a single transaction are exact.
  await sql`begin`;
  const [task] = await sql`
    insert into tasks (task_name, username, tags, variables, settings)
    values ('swept', 'swept@example.com', '[]', '{}', '{}')
    returning id`;
  const add = (rows: number) =>
    sql`
      insert into subtasks (parent_task_id, error)
      select ${task!.id}, repeat('x', 500)
      from generate_series(1, ${rows})`;
  // The table, or the partition that has the task.
  let relation = "subtasks";
  const countPages = async () => {
    const [row] = await sql`
      select pg_relation_size(${relation}::regclass) / current_setting('block_size')::int as pages`;
    return Number(row!.pages);
  };
  const countRead = async () => {
    const [row] = await sql`
      select seq_tup_read as rows
      from pg_stat_xact_user_tables
      where relname = ${relation}`;
    return Number(row!.rows);
  };
  const countRows = async (from: number, to: number) => {
    const [row] = await sql`
      select count(*)::int as n from ${sql(relation)}
      where ctid >= ${`(${from},0)`}::tid and ctid < ${`(${to},0)`}::tid`;
    return row!.n as number;
  };

  const hintBits = new HintBitSetter(64 * 1024);
  const step = async () => {
    const before = await countRead();
    await hintBits.step(sql);
    return await countRead() - before;
  };
  await add(500);
  const [filled] = await sql<
    { name: string }[]
  >`select tableoid::regclass::text as name from subtasks limit 1`;
  relation = filled!.name;
  const start = await countPages();
  assert.equal(await step(), 0, "existing pages are not read");
  await add(5);
  assert.equal(await step(), 0, "too few pages were added");
  let from = start;
  let to = start;
  for (let round = 0; round < 4; round++) {
    await add(200);
    const pages = await countPages();
    const wanted = await countRows(from, to);
    assert.equal(await step(), wanted);
    assert.equal(wanted > 0, round > 0);
    from = to;
    to = pages;
    assert.equal(await step(), 0, "no pages were added since");
  }
  await sql`rollback`;
  sql.release();
});
