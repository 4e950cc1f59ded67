/** What a claim reads: the cells it is asked for, however many others are pending. */
import assert from "node:assert/strict";
import type { Sql } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { claimSubtasks } from "../../db/queue/subtasks.ts";
import { insertWorker } from "../../db/queue/workers.ts";
import { openRows } from "../support/queue_rig.ts";

const prompts = Array.from({ length: 60 }, (_, i) => `p${i}`);
const seeds = Array.from({ length: 50 }, (_, i) => i);

/** Rows of subtasks that this connection has read and not yet added to the server's statistics. */
async function countRead(sql: Sql): Promise<number> {
  const [row] = await sql<{ read: number }[]>`
    select (seq_tup_read + idx_tup_fetch)::int as read
    from pg_stat_xact_user_tables where relname = 'subtasks'`;
  return row!.read;
}

for (const known of ["knows nothing of", "has seen empty of pending cells", "has seen full"]) {
  Deno.test(`a claim of 20 cells out of 3,000 reads no others, on a table the planner ${known}`, async () => {
    await using rows = await openRows();
    await insertWorker(rows.sql, { id: "a", host: "h", pid: 1, queues: ["standard"] });
    if (known === "has seen empty of pending cells") {
      await rows.submit(prompts, seeds);
      await rows.sql`update subtasks set status = 'completed', completed_at = now()`;
      await rows.sql`analyze subtasks`;
    }
    await rows.submit(prompts, seeds);
    if (known === "has seen full") await rows.sql`analyze subtasks`;
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
