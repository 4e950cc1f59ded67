/** The leader's measures of the whole queue, which `/metrics` shows. */
import type { Sql } from "../../db/pg/connect.ts";
import { measureQueue } from "../../db/queue/system.ts";
import { deadAfterMs } from "../../db/queue/times.ts";
import type { Metrics } from "../../metrics.ts";

/** Interval of the measures. */
export const measureMs = 5_000;

/** Measures the queue and sets its metrics. */
export async function showMeasures({ sql, metrics }: { sql: Sql; metrics: Metrics }): Promise<void> {
  const measures = await measureQueue(sql, deadAfterMs);
  metrics.leading.set(1);
  metrics.workersAlive.set(measures.workers);
  for (const { queue, pending, age_seconds } of measures.queues) {
    metrics.queuePending.set({ queue }, pending);
    metrics.queueAge.set({ queue }, age_seconds);
  }
  for (const { hold, tasks } of measures.held) metrics.heldTasks.set({ hold }, tasks);
  metrics.noticeLate.set(measures.notice_late_seconds);
}

/** Removes what this worker showed while it led: another worker shows it from now on. */
export function forgetMeasures(metrics: Metrics): void {
  for (const gauge of [metrics.leading, metrics.workersAlive, metrics.noticeLate]) gauge.set(0);
  for (const gauge of [metrics.queuePending, metrics.queueAge, metrics.heldTasks]) gauge.reset();
}
