/** Pages that a load has just written are read once, a step behind, and nothing else is. */
import assert from "node:assert/strict";
import { Sweeper } from "../../migrate/data/load/sweep.ts";
import { createDatabase } from "../support/database.ts";

Deno.test("the sweeper reads each page of the rows that come in once, a step behind, and none from before", async () => {
  await using database = await createDatabase();
  const sql = await database.sql.reserve();
  // In one transaction, whose own statistics are exact.
  await sql`begin`;
  const [task] = await sql`
    insert into tasks (task_name, username, tags, variables, settings)
    values ('swept', 'swept@example.com', '[]', '{}', '{}')
    returning id`;
  const add = (rows: number) =>
    sql`insert into subtasks (parent_task_id, error) select ${
      task!.id
    }, repeat('x', 500) from generate_series(1, ${rows})`;
  const countPages = async () =>
    Number((await sql`select pg_relation_size('subtasks') / current_setting('block_size')::int as n`)[0]!.n);
  const countRead = async () =>
    Number(
      (await sql`select seq_tup_read as n from pg_stat_xact_user_tables where relname = 'subtasks'`)[0]!.n,
    );
  const countRows = async (from: number, to: number) => {
    const [row] = await sql`
      select count(*)::int as n from subtasks
      where ctid >= ${`(${from},0)`}::tid and ctid < ${`(${to},0)`}::tid`;
    return row!.n as number;
  };

  const sweeper = new Sweeper(64 * 1024);
  const step = async () => {
    const before = await countRead();
    await sweeper.step(sql);
    return await countRead() - before;
  };
  await add(500);
  const start = await countPages();
  assert.equal(await step(), 0, "what was there before is nobody's");
  await add(5);
  assert.equal(await step(), 0, "too little came in");
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
    assert.equal(await step(), 0, "nothing came in since");
  }
  await sql`rollback`;
  sql.release();
});
