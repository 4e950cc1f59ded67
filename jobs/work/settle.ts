/** The writes of attempts, in batches. Each succeeds only while the attempt's lease is held. */
import type { Sql } from "../../db/pg/connect.ts";
import { applyCanaryHolds } from "../../db/queue/canary.ts";
import {
  announceSettled,
  beginAttempts,
  type LeasedSubtask,
  retrySubtasks,
  saveRemoteIds,
  type Settlement,
  settleSubtasks,
  type SubtaskRetry,
} from "../../db/queue/subtasks.ts";
import type { Log } from "../../log.ts";
import { createBatcher, withPatience } from "../../batch.ts";

/**
 * Writes under a lease. Each returns false when the lease is lost; the attempt must then end without further
 * writes.
 */
export interface Writes {
  saveRemote(saved: LeasedSubtask & { remote_id: string }): Promise<boolean>;
  retry(retry: SubtaskRetry): Promise<boolean>;
  begin(held: LeasedSubtask): Promise<boolean>;
  settle(end: Settlement): Promise<boolean>;
}

/** Creates the writes of a worker. While PostgreSQL is unavailable they wait, until `signal` is aborted. */
export function createWrites(
  { sql, log, signal }: { sql: Sql; log: Log; signal: AbortSignal },
): Writes {
  let isReported = false;
  const patient = <T>(work: () => Promise<T>) =>
    withPatience(work, {
      signal,
      onWait: (error) => {
        if (!isReported) {
          log.warn("PostgreSQL is unavailable: results wait until it answers", { cause: String(error) });
        }
        isReported = true;
      },
    }).then((answer) => {
      isReported = false;
      return answer;
    });
  const fenced = <Item extends LeasedSubtask>(
    write: (sql: Sql, items: Item[]) => Promise<Set<string>>,
  ) =>
    createBatcher<Item, boolean>(async (items) => {
      const held = await patient(() => write(sql, items));
      return items.map(({ lease_id }) => held.has(lease_id));
    });
  const judge = async (sql: Sql, tasks: string[]) => {
    for (const { task_id, reason } of await applyCanaryHolds(sql, tasks)) {
      log.warn("task held: its first cells failed with the same cause", { task_id, reason });
    }
  };
  const settleAll = async (sql: Sql, ends: Settlement[]) => {
    const { leases, closed, canaryTasks } = await settleSubtasks(sql, ends);
    for (const task_id of closed) log.info("task ended", { task_id });
    // The results are already written. After an error here, the next settlement judges the canary again.
    if (canaryTasks.length > 0) await judge(sql, canaryTasks).catch(() => {});
    if (leases.size > 0) await announceSettled(sql).catch(() => {});
    return leases;
  };
  return {
    saveRemote: fenced(saveRemoteIds),
    retry: fenced(retrySubtasks),
    begin: fenced(beginAttempts),
    settle: fenced(settleAll),
  };
}
