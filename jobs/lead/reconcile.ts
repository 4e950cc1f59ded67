/** Repairs rows that dead and silent workers and interrupted cancellations left behind. */
import type { Sql } from "../../db/pg/connect.ts";
import { releaseOrphans } from "../../db/queue/dispatch.ts";
import { listCancelling, sweepCancelled } from "../../db/queue/tasks.ts";
import { deadAfterMs, overdueMs, takeOverAfterMs } from "../../db/queue/times.ts";
import { deleteDeadWorkers, withdrawSlots } from "../../db/queue/workers.ts";
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
 * Takes over what silent workers hold, deletes dead workers, and continues to cancel the cells of cancelled
 * tasks.
 *
 * A worker is current, silent or dead, by the age of its last heartbeat:
 * - From `takeOverAfterMs` on it is silent. Its jobs with a saved id and its free slots go to others. It keeps
 *   the subtasks whose POST may be under way, and can still save the ids of their jobs under its leases.
 * - A heartbeat makes a silent worker current again. It drops the attempts that were taken from it.
 * - From `deadAfterMs` on it is dead. Its row is deleted and the rest of its subtasks go to others.
 *
 * @param silenceMs age of the oldest heartbeat, as far as it can be judged
 * @returns the number of subtasks that it made pending
 */
export async function reconcile({ sql, log, metrics }: ReconcileDeps, silenceMs: number): Promise<number> {
  const dead = silenceMs > deadAfterMs ? await deleteDeadWorkers(sql, deadAfterMs) : [];
  for (const worker of dead) log.warn("worker declared dead", { worker });
  const isSilent = silenceMs > takeOverAfterMs;
  const orphans = await releaseOrphans(sql, overdueMs, isSilent ? takeOverAfterMs : null);
  // This follows the release, because the slots of released subtasks are free only then.
  if (isSilent) await withdrawSlots(sql);
  if (orphans.length > 0) {
    const unsaved = orphans.filter(({ remote_id, intent_at }) => remote_id === null && intent_at !== null);
    metrics.unsavedPosts.inc(unsaved.length);
    metrics.repairs.inc({ kind: "orphan" }, orphans.length);
    log.warn("subtasks of silent or dead workers are pending again", {
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
