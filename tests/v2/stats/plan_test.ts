/** Cost of the statistics queries, measured by the counters of PostgreSQL instead of time. */
import assert from "node:assert/strict";
import { connect } from "../../../db/pg/connect.ts";
import { readDataset, readVotes } from "../../../db/views/stats.ts";
import { startApi } from "../../support/api.ts";
import { rateAll, vote } from "../support/stats.ts";
import { addMatrix, addPeople } from "../support/api.ts";

Deno.test("ratings and votes are joined to their cells in bulk, not looked up one by one", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 80, ratios: 50 });
  for (const { id } of [user, other, manager]) await rateAll(api, task, id, (cell) => 1 + cell % 5);
  await vote(
    api,
    task,
    user.id,
    Array.from({ length: 3_000 }, (_, cell) => [cell, cell + 1, "left"]),
  );
  await api.database.sql`vacuum analyze`;
  const sql = connect(api.database.url, { max: 1 });
  const countLookups = async () => {
    await sql`select pg_stat_force_next_flush()`;
    const [row] = await sql<{ lookups: number }[]>`
      select sum(idx_scan)::int as lookups from pg_stat_user_tables where relname in ('ratings', 'subtasks', 'attempts', 'votes')`;
    return row!.lookups;
  };
  const before = await countLookups();
  const { cells, ratings } = await readDataset(sql, task, { ratings: true });
  const votes = await readVotes(sql, task);
  assert.deepEqual([cells.length / 8, ratings.map(({ packed }) => packed.length / 4), votes.length / 8], [
    4_000,
    [4_000, 4_000, 4_000],
    3_000,
  ]);
  const lookups = await countLookups() - before;
  assert.ok(lookups < 200, `${lookups} lookups`);
  await sql.end();
});
