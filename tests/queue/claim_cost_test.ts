/** The cost of a claim: it reads only the requested cells, however many others are pending. */
import assert from "node:assert/strict";
import type { Sql } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { claimSubtasks } from "../../db/queue/subtasks.ts";
import { insertWorker } from "../../db/queue/workers.ts";
import { openRows } from "../support/queue_rig.ts";

const prompts = Array.from({ length: 60 }, (_, i) => `p${i}`);
const seeds = Array.from({ length: 50 }, (_, i) => i);

/** Returns the number of rows of `subtasks` that the current transaction has read. */
async function countRead(sql: Sql): Promise<number> {
  const [row] = await sql<{ read: number }[]>`
    select (seq_tup_read + idx_tup_fetch)::int as read
    from pg_stat_xact_user_tables where relname = 'subtasks'`;
  return row!.read;
}

for (const statistics of ["missing", "without pending cells", "current"]) {
  Deno.test(`a claim of 20 cells out of 3,000 reads no others, table statistics: ${statistics}`, async () => {
    await using rows = await openRows();
    await insertWorker(rows.sql, { id: "a", host: "h", pid: 1, queues: ["standard"] });
    if (statistics === "without pending cells") {
      await rows.submit(prompts, seeds);
      await rows.sql`update subtasks set status = 'completed', completed_at = now()`;
      await rows.sql`analyze subtasks`;
    }
    await rows.submit(prompts, seeds);
    if (statistics === "current") await rows.sql`analyze subtasks`;
    const refs = await listDispatchable(rows.sql, "standard", 20);
    const { claimed, read } = await rows.sql.begin(async (sql) => {
      const before = await countRead(sql);
      const claimed = await claimSubtasks(sql, "a", refs);
      return { claimed: claimed.length, read: await countRead(sql) - before };
    });
    assert.equal(claimed, 20);
    assert.ok(read <= 100, `${read} rows read`);
  });
}
