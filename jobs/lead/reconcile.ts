/** Repairs rows that dead workers and interrupted cancellations left behind. */
import type { Sql } from "../../db/pg/connect.ts";
import { releaseOrphans } from "../../db/queue/dispatch.ts";
import { listCancelling, sweepCancelled } from "../../db/queue/tasks.ts";
import { overdueMs } from "../../db/queue/times.ts";
import { deleteDeadWorkers } from "../../db/queue/workers.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";

export interface ReconcileDeps {
  sql: Sql;
  log: Log;
  metrics: Metrics;
}

/** Number of cells that one statement sweeps, and maximum number of statements for a task in one round. */
const sweepCells = 5_000;
const sweepChunks = 20;

/**
 * Deletes dead workers, makes their subtasks pending, and continues to cancel the cells of cancelled tasks.
 *
 * @param deadAfterMs maximum age of a heartbeat; null deletes no workers, because PostgreSQL was unavailable
 *   too
 * @returns the number of subtasks that it made pending
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
    log.info("cells of a cancelled task are cancelled", { task_id });
  }
  return orphans.length;
}
