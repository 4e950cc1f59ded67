/** What puts right, from the rows alone, what a dead worker or a wiped Redis left behind. */
import type { Sql } from "../../db/pg/connect.ts";
import { releaseOrphans } from "../../db/queue/dispatch.ts";
import { listCancelling, sweepCancelled } from "../../db/queue/tasks.ts";
import { deleteDeadWorkers } from "../../db/queue/workers.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";

export interface ReconcileDeps {
  sql: Sql;
  log: Log;
  metrics: Metrics;
}

/** An attempt is given up after five minutes by its worker; this is for a worker that does not. */
export const overdueMs = 6 * 60_000;
const sweepCells = 5_000;
const sweepChunks = 20;

/**
 * Declares workers dead, makes what they held pending, and goes on cancelling big tasks.
 *
 * @param deadAfterMs without a sign of life; null while it is too early to judge, since PostgreSQL itself was away
 * @returns how many rows it put right
 */
export async function reconcile(
  { sql, log, metrics }: ReconcileDeps,
  deadAfterMs: number | null,
): Promise<number> {
  const dead = deadAfterMs === null ? [] : await deleteDeadWorkers(sql, deadAfterMs);
  for (const worker of dead) log.warn("worker declared dead", { worker });
  const orphans = await releaseOrphans(sql, overdueMs);
  if (orphans.length > 0) {
    const unsaved = orphans.filter(({ remote_id, intent_at }) => remote_id === null && intent_at !== null);
    metrics.unsavedPosts.inc(unsaved.length);
    metrics.repairs.inc({ kind: "orphan" }, orphans.length);
    log.warn("subtasks of dead workers are pending again", {
      subtasks: orphans.length,
      maybe_paid_twice: unsaved.length,
    });
  }
  for (const task_id of await listCancelling(sql)) {
    for (let chunk = 0; chunk < sweepChunks && await sweepCancelled(sql, task_id, sweepCells); chunk++);
    log.info("cells of a cancelled task swept", { task_id });
  }
  return orphans.length;
}
