/** The switch: one transaction after which this system is in charge, or nothing has happened. */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { transact } from "../../../db/pg/transaction.ts";
import { setFence } from "../../../db/traffic/fence.ts";
import { changeTraffic } from "../../../db/traffic/traffic.ts";
import { AppError } from "../../../errors.ts";
import { isLockTimeout } from "../../../passing.ts";
import { failpoint } from "../tools/failpoint.ts";
import { formatSpan } from "../tools/format.ts";
import { endStep } from "./journal.ts";

/** Longest wait for a lock: the writes wait as well. */
const lockMs = 500;
const attemptsMax = 3;

export interface SwitchRequest {
  cutover: number;
  step: number;
  /** Version of the hold. */
  version: number;
  /** Cluster time up to which everything must be applied. */
  frozenAt: bigint;
  by: string;
}

/** Thrown to roll the rehearsed transaction back. */
class Rehearsed extends Error {}

/** Locks the phase. @throws AppError conflict when the hold is not in force any more */
export async function lockHold(sql: Sql, version: number): Promise<void> {
  const [held] = await sql`
    select from migration.traffic
    where version = ${version} and phase = 'holding' and hold_until > clock_timestamp()
    for update`;
  if (held) return;
  throw new AppError("conflict", "switching: the hold is over, or somebody changed the phase");
}

/** Takes the lease of a process away, after its present transaction. Its next transaction fails. */
export async function takeLease(sql: Sql, role: "sync" | "back", by: string): Promise<void> {
  await sql`select from leaders where role = ${role} for update`;
  await sql`
    update leaders
    set holder = ${by}, term = term + 1, since = now(), lease_until = now() - interval '1 ms'
    where role = ${role}`;
}

async function switchOnce(pool: Pool, request: SwitchRequest, isRehearsal: boolean): Promise<void> {
  const { cutover, step, version, frozenAt, by } = request;
  await transact(pool, async (sql) => {
    await lockHold(sql, version);
    failpoint("switch.locked");
    await takeLease(sql, "sync", `cut-over ${cutover}`);
    const [follow] = await sql`
      update migration.follows
      set state = 'ended'
      where state = 'following' and position >= ${String(frozenAt)}::bigint
      returning 1`;
    if (!follow) throw new AppError("conflict", "switching: not everything is applied");
    failpoint("switch.sync_ended");
    const [left] = await sql`select exists (select from migration.changes) as changes`;
    if (left!.changes) {
      throw new AppError("conflict", "switching: rows were changed here before, which MongoDB does not have");
    }
    await sql`call migration.set_capture(true)`;
    await setFence(sql, false);
    failpoint("switch.captured");
    const change = {
      phase: "new" as const,
      share: 0,
      by,
      reason: `cut-over ${cutover}`,
      forced: false,
      holdMs: null,
    };
    if (await changeTraffic(sql, version, change) === undefined) {
      throw new AppError("conflict", "switching: somebody changed the phase at the same moment");
    }
    failpoint("switch.phase_set");
    if (isRehearsal) throw new Rehearsed();
    await endStep(sql, cutover, step, "done", {});
    failpoint("switch.before_commit");
  }, { lock_timeout: String(lockMs), synchronous_commit: "on" });
}

/**
 * Makes this system the one in charge. The forward sync ends, changes are captured for the way back, and the held writes
 * come here.
 *
 * @throws AppError conflict, and errors of PostgreSQL, after which nothing has changed, or it is to be found out
 */
export async function makeSwitch(pool: Pool, request: SwitchRequest): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return await switchOnce(pool, request, false);
    } catch (error) {
      if (attempt === attemptsMax || !isLockTimeout(error)) throw error;
    }
  }
}

/** Does everything that the switch does, and rolls it back. */
export async function rehearseSwitch(pool: Pool, request: SwitchRequest): Promise<void> {
  try {
    await switchOnce(pool, request, true);
  } catch (error) {
    if (!(error instanceof Rehearsed)) throw error;
  }
}

/** A session that keeps a switch from its locks, because its process stands still in a transaction. */
interface Blocker {
  pid: number;
  name: string;
  address: string;
  seconds: number;
}

/** Lists other sessions that have written users, tasks or subtasks and did not end their transaction. */
const listBlockers = (pool: Pool) =>
  pool<Blocker[]>`
    select distinct a.pid, a.application_name as name, coalesce(host(a.client_addr), 'a local socket') as address,
      extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds
    from pg_locks l
    join pg_stat_activity a using (pid)
    where l.relation in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass) and l.granted
      and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock') and l.pid <> pg_backend_pid()
    order by seconds desc
    limit 3`;

/** Replaces the error of a lock that was not got in time by one that names who holds it. */
export async function explainLock(pool: Pool, action: string, error: unknown): Promise<unknown> {
  if (!isLockTimeout(error)) return error;
  const blockers = await listBlockers(pool).catch(() => []);
  const names = blockers.map(({ pid, name, address, seconds }) =>
    `session ${pid} ('${name}' from ${address}, since ${formatSpan(seconds)})`
  );
  return new AppError(
    "busy",
    `${action}: a transaction that writes does not end: ${
      names.join(", ") || "it has ended just now"
    }; everything is as before. Try again; if it stays, end its process, or run 'select pg_terminate_backend(${
      blockers[0]?.pid ?? "PID"
    })'`,
    { cause: error },
  );
}
