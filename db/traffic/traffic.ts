/** The phase of the traffic: which system answers v1, its changes, and the processes that work by it. */
import type { Sql } from "../pg/connect.ts";

export const phases = ["old", "shadow", "canary", "holding", "new"] as const;
export type Phase = (typeof phases)[number];

/** Channel that tells of changes of the phase. */
export const trafficChannel = "contactsheet_traffic";

/** The phase, as processes work by it. */
export interface Traffic {
  phase: Phase;
  share: number;
  version: number;
  /** The phase that `holding` returns to; otherwise null. */
  phase_before: Exclude<Phase, "holding"> | null;
  /** Milliseconds until `holding` ends by itself; null in other phases. */
  hold_ms: number | null;
  changed_at: string;
  changed_by: string;
  reason: string;
}

const columns = (sql: Sql) =>
  sql`phase, share, version::float8 as version, phase_before,
    (extract(epoch from hold_until - now()) * 1000)::float8 as hold_ms,
    to_char(changed_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as changed_at, changed_by, reason`;

/** Ends a hold whose time is over: the phase before it holds again. A process that died while holding is undone so. */
async function endExpiredHold(sql: Sql): Promise<void> {
  await sql`
    with ended as (
      update migration.traffic
      set phase = phase_before, phase_before = null, hold_until = null, version = version + 1, changed_at = now(),
        changed_by = 'hold expired', reason = 'the process that held the writes did not renew the hold'
      where phase = 'holding' and hold_until < now()
      returning version, phase, share
    ), recorded as (
      insert into migration.traffic_changes
        (version, changed_by, phase_before, phase_after, share_before, share_after, reason)
      select version, 'hold expired', 'holding', phase, share, share,
        'the process that held the writes did not renew the hold'
      from ended
    )
    select pg_notify(${trafficChannel}, '') from ended`;
}

/** Returns the phase. Ends a hold that has expired. */
export async function readTraffic(sql: Sql): Promise<Traffic> {
  const [row] = await sql<Traffic[]>`select ${columns(sql)} from migration.traffic`;
  if (row!.hold_ms === null || row!.hold_ms > 0) return row!;
  await endExpiredHold(sql);
  const [again] = await sql<Traffic[]>`select ${columns(sql)} from migration.traffic`;
  return again!;
}

export interface TrafficChange {
  phase: Phase;
  share: number;
  by: string;
  reason: string;
  forced: boolean;
  /** Time after which `holding` ends by itself, in milliseconds; null for other phases. */
  holdMs: number | null;
}

/**
 * Changes the phase.
 *
 * @param version of the phase that the change was decided on
 * @returns the new phase, or undefined if another change came first
 */
export async function changeTraffic(
  sql: Sql,
  version: number,
  change: TrafficChange,
): Promise<Traffic | undefined> {
  const { phase, share, by, reason, forced, holdMs } = change;
  const [row] = await sql<Traffic[]>`
    with before as (
      select phase, share from migration.traffic where version = ${version} for update
    ), changed as (
      update migration.traffic t
      set phase = ${phase}, share = ${share}, version = t.version + 1, changed_at = now(), changed_by = ${by},
        reason = ${reason}, phase_before = case when ${phase} = 'holding' then coalesce(t.phase_before, t.phase) end,
        hold_until = case when ${phase} = 'holding' then now() + ${holdMs ?? 0}::int * interval '1 ms' end
      from before
      where t.version = ${version}
      returning t.*
    ), recorded as (
      insert into migration.traffic_changes
        (version, changed_by, phase_before, phase_after, share_before, share_after, reason, forced)
      select c.version, ${by}, b.phase, c.phase, b.share, c.share, ${reason}, ${forced}
      from changed c, before b
    ), told as (
      select pg_notify(${trafficChannel}, '') from changed
    )
    select ${columns(sql)}
    from changed
    where (select count(*) from told) >= 0`;
  return row;
}

/**
 * Lengthens a hold.
 *
 * @returns false if the hold has ended
 */
export async function renewHold(sql: Sql, version: number, holdMs: number): Promise<boolean> {
  const rows = await sql`
    update migration.traffic
    set hold_until = now() + ${holdMs}::int * interval '1 ms'
    where version = ${version} and phase = 'holding' and hold_until > now()
    returning 1`;
  return rows.length === 1;
}

/** A change of the phase, as the journal keeps it. */
export interface TrafficChangeRow {
  version: number;
  at: string;
  changed_by: string;
  phase_before: Phase;
  phase_after: Phase;
  share_before: number;
  share_after: number;
  reason: string;
  forced: boolean;
}

/** Lists the changes of the phase, newest first. */
export async function listTrafficChanges(sql: Sql, limit: number): Promise<TrafficChangeRow[]> {
  return await sql<TrafficChangeRow[]>`
    select version::float8 as version, to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, changed_by, phase_before,
      phase_after, share_before, share_after, reason, forced
    from migration.traffic_changes
    order by version desc
    limit ${limit}`;
}
