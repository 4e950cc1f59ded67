/** The facts about a followed MongoDB and about the way back, as the processes have stored them. */
import type { Sql } from "../pg/connect.ts";
import { countCaptureTriggers } from "./capture.ts";

export const followStates = ["copying", "following", "gap", "stopped", "ended"] as const;
export const followModes = ["stream", "poll"] as const;

/** Times are ISO 8601. */
export interface Following {
  fingerprint: string;
  location: string;
  mode: (typeof followModes)[number];
  state: (typeof followStates)[number];
  /** Why an operator must act, in state `stopped`. */
  stop_reason: string | null;
  started_at: string;
  copied_at: string | null;
  /** Time of the source up to which all changes are applied. */
  position_at: string | null;
  /** When the last changes were applied, or it was found that there are none. */
  applied_at: string;
  /** How far the rows may be behind the source; null before the copy is complete. */
  lag_seconds: number | null;
  /** Time until the position leaves the oplog; null if it is not known. */
  headroom_seconds: number | null;
  /** Totals since the start. */
  events: number;
  documents: number;
  /** 0 while no process runs. */
  events_per_second: number;
  documents_per_second: number;
  /** The process that applies changes; null if none runs. */
  process: { holder: string; since: string } | null;
}

/** Time that a sync without changes may let pass before it stores its position again. */
const idleSeconds = 3;

const iso = (sql: Sql, column: string) => sql`to_char(${sql(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const holderOf = (sql: Sql, role: "sync" | "back") =>
  sql`(
    select json_build_object('holder', l.holder, 'since', ${iso(sql, "l.since")})
    from leaders l
    where l.role = ${role} and l.lease_until > now()
  )`;

/** Returns the followed source, if there is one. */
export async function findFollowing(sql: Sql): Promise<Following | undefined> {
  // While no process applies changes, the rows fall behind and the oplog moves on.
  const silence = sql`greatest(0, extract(epoch from now() - f.applied_at) - ${idleSeconds})`;
  const [row] = await sql<Following[]>`
    select f.fingerprint, s.location, f.mode, f.state, f.stop_reason, ${
    iso(sql, "f.started_at")
  } as started_at,
      ${iso(sql, "f.copied_at")} as copied_at, ${iso(sql, "f.position_at")} as position_at,
      ${iso(sql, "f.applied_at")} as applied_at,
      case when f.state in ('following', 'stopped') and f.copied_at is not null
        then (coalesce(f.lag_ms, 0) / 1000 + ${silence})::float8 end as lag_seconds,
      case when f.mode = 'stream' and f.state in ('copying', 'following', 'gap') and f.position_at is not null
          and f.oplog_read_at is not null
        then greatest(0, extract(epoch from (f.position_at - f.oplog_from) - (now() - f.oplog_read_at)))::float8
        end as headroom_seconds,
      f.events::float8 as events, f.documents::float8 as documents,
      case when h.process is not null then f.events_per_second else 0 end as events_per_second,
      case when h.process is not null then f.documents_per_second else 0 end as documents_per_second,
      h.process
    from migration.follows f
    join migration.sources s using (fingerprint)
    cross join (select ${holderOf(sql, "sync")} as process) as h`;
  return row;
}

/** Documents that wait, by reason. */
export interface WaitingGroup {
  collection: string;
  reason: string;
  documents: number;
  /** When the first of them began to wait. */
  first_at: string;
}

/** Counts the documents that wait for a task or a key. */
export async function listWaitingGroups(sql: Sql): Promise<WaitingGroup[]> {
  return await sql<WaitingGroup[]>`
    select w.collection, w.reason, count(*)::float8 as documents,
      to_char(min(w.first_at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as first_at
    from migration.waiting w
    group by w.collection, w.reason
    order by documents desc, w.collection, w.reason`;
}

/** Counts the quarantined documents. */
export async function countQuarantined(sql: Sql): Promise<number> {
  const [row] = await sql<{ documents: number }[]>`
    select count(*)::float8 as documents from migration.quarantine`;
  return row!.documents;
}

/** A time when the position was lost. */
export interface Gap {
  found_at: string;
  reason: string;
  lost_at: string | null;
  resumed_at: string | null;
  /** Documents that were compared, and those of them that were read in full; null while it is open. */
  compared: number | null;
  applied: number | null;
  healed_at: string | null;
}

/** Lists gaps, the newest first. */
export async function listGaps(sql: Sql, limit: number): Promise<Gap[]> {
  return await sql<Gap[]>`
    select ${iso(sql, "found_at")} as found_at, reason, ${iso(sql, "lost_at")} as lost_at,
      ${iso(sql, "resumed_at")} as resumed_at, compared::float8 as compared, applied::float8 as applied,
      ${iso(sql, "healed_at")} as healed_at
    from migration.gaps
    order by id desc
    limit ${limit}`;
}

/** Counts gaps. */
export async function countGaps(sql: Sql): Promise<{ open: number; healed: number }> {
  const [row] = await sql<{ open: number; healed: number }[]>`
    select count(*) filter (where healed_at is null)::float8 as open, count(healed_at)::float8 as healed
    from migration.gaps`;
  return row!;
}

export const backStates = ["running", "stopped", "ended"] as const;

/** The way back. */
export interface WayBack {
  /** Whether changes of rows are recorded. */
  is_captured: boolean;
  /** Recorded changes that MongoDB does not have yet. */
  changes: number;
  /** Age of the oldest of them. */
  lag_seconds: number | null;
  /** Null if the way back never ran. */
  state: (typeof backStates)[number] | null;
  stop_reason: string | null;
  /** Documents that MongoDB has confirmed. */
  documents: number;
  /** Time of the newest change that MongoDB has. */
  position_at: string | null;
  process: { holder: string; since: string } | null;
}

/** Returns the state of the way back. */
export async function readWayBack(sql: Sql): Promise<WayBack> {
  const { enabled } = await countCaptureTriggers(sql);
  const [row] = await sql<Omit<WayBack, "is_captured">[]>`
    select c.changes, c.lag_seconds, b.state, b.stop_reason, coalesce(b.documents, 0)::float8 as documents,
      ${iso(sql, "b.position_at")} as position_at, ${holderOf(sql, "back")} as process
    from (
      select count(*)::float8 as changes, extract(epoch from now() - min(at))::float8 as lag_seconds
      from migration.changes
    ) as c
    left join migration.backs b on true`;
  return Object.assign({ is_captured: enabled > 0 }, row!);
}

/** A verification while both sides change. */
export interface LiveVerification {
  started_at: string;
  /** Null while it is not complete. */
  ended_at: string | null;
  verdict: "equal" | "different" | null;
  documents: number;
  differences: number;
}

/** Returns the last verification while both sides change. */
export async function findLastVerification(sql: Sql): Promise<LiveVerification | undefined> {
  const [row] = await sql<LiveVerification[]>`
    select ${iso(sql, "started_at")} as started_at, ${iso(sql, "ended_at")} as ended_at, verdict,
      documents::float8 as documents, differences::float8 as differences
    from migration.live_verifications
    order by id desc
    limit 1`;
  return row;
}

/** Returns the identity of the followed MongoDB, if one was followed. */
export async function findFollowedIdentity(sql: Sql): Promise<string | undefined> {
  const [row] = await sql<{ identity: string }[]>`select source_identity as identity from migration.follows`;
  return row?.identity;
}
