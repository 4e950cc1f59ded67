/** The fenced writes of attempts, gathered: each answers whether the lease was still held. */
import type { Sql } from "../../db/pg/connect.ts";
import { holdCanaries } from "../../db/queue/canary.ts";
import {
  announceSettled,
  beginAttempts,
  type Held,
  type Retry,
  retrySubtasks,
  saveRemoteIds,
  type Settlement,
  settleSubtasks,
} from "../../db/queue/subtasks.ts";
import type { Log } from "../../log.ts";
import { createBatcher, withPatience } from "../../batch.ts";

/** False: the lease is somebody else's now, the attempt must stop without a trace. */
export interface Writes {
  saveRemote(saved: Held & { remote_id: string }): Promise<boolean>;
  retry(retry: Retry): Promise<boolean>;
  begin(held: Held): Promise<boolean>;
  settle(end: Settlement): Promise<boolean>;
}

/** Opens the writes of one worker; while PostgreSQL is away they wait, until `signal` is aborted. */
export function createWrites(
  { sql, log, signal, gatherMs = 2 }: { sql: Sql; log: Log; signal: AbortSignal; gatherMs?: number },
): Writes {
  let complained = false;
  const patient = <T>(work: () => Promise<T>) =>
    withPatience(work, {
      signal,
      onWait: (error) => {
        if (!complained) {
          log.warn("PostgreSQL is away: holding results until it is back", { cause: String(error) });
        }
        complained = true;
      },
    }).then((answer) => {
      complained = false;
      return answer;
    });
  const fenced = <Item extends Held>(write: (sql: Sql, items: Item[]) => Promise<Set<string>>, ms = 0) =>
    createBatcher<Item, boolean>(async (items) => {
      const held = await patient(() => write(sql, items));
      return items.map(({ lease_id }) => held.has(lease_id));
    }, { gatherMs: ms });
  const judge = async (sql: Sql, tasks: string[]) => {
    for (const { task_id, reason } of await holdCanaries(sql, tasks)) {
      log.warn("task held: its first cells fail for one cause", { task_id, reason });
    }
  };
  const settleAll = async (sql: Sql, ends: Settlement[]) => {
    const { leases, closed, doubtful } = await settleSubtasks(sql, ends);
    for (const task_id of closed) log.info("task ended", { task_id });
    // Results are safe by now; what cannot be judged here is judged with the next of them.
    if (doubtful.length > 0) await judge(sql, doubtful).catch(() => {});
    if (leases.size > 0) await announceSettled(sql).catch(() => {});
    return leases;
  };
  return {
    saveRemote: fenced(saveRemoteIds),
    retry: fenced(retrySubtasks),
    begin: fenced(beginAttempts),
    settle: fenced(settleAll, gatherMs),
  };
}
