/**
 * The fence: triggers with which PostgreSQL refuses changes of users and tasks, other than those that come from MongoDB.
 * A rollback raises it in the transaction that puts the old backend in charge, and the next switch lowers it, so that a
 * process that stood still meanwhile cannot write.
 */
import type { Pool, Sql } from "../pg/connect.ts";
import { transact } from "../pg/transaction.ts";
import { changeTraffic, type Phase, type Traffic, type TrafficChange } from "./traffic.ts";

/** Time that a change of the phase by hand waits for transactions that write, in milliseconds. */
const lockMs = 2_000;

/** Raises or lowers the fence. Waits for transactions that have written, and locks out others until the commit. */
export async function setFence(sql: Sql, isUp: boolean): Promise<void> {
  await sql`call migration.set_fence(${isUp})`;
}

/** Reports whether the fence is up. */
export async function isFenceUp(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ is_up: boolean }[]>`
    select exists (select from pg_trigger where tgname in ('users_fence', 'tasks_fence', 'subtasks_fence')
      and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass) and tgenabled <> 'D') as is_up`;
  return row!.is_up;
}

/** What a change to the phase `next` by hand does to the fence; undefined: it stays. */
function fenceAfter(now: Phase, next: Phase): boolean | undefined {
  if (next === "new") return false;
  return now === "new" ? true : undefined;
}

/**
 * Changes the phase by hand. A forced change that puts the other system in charge raises or lowers the fence.
 *
 * @returns the new phase, or undefined if another change came first
 */
export async function changeTrafficByHand(
  pool: Pool,
  { phase, version }: Traffic,
  change: TrafficChange,
): Promise<Traffic | undefined> {
  const isUp = fenceAfter(phase, change.phase);
  if (isUp === undefined) return await changeTraffic(pool, version, change);
  return await transact(pool, async (sql) => {
    const changed = await changeTraffic(sql, version, change);
    if (changed !== undefined) await setFence(sql, isUp);
    return changed;
  }, { lock_timeout: String(lockMs) });
}
