/** What was decided and done in a migration, and what the gate found last, for those who watch it. */
import type { Sql } from "../pg/connect.ts";

/** Name in `migration.decisions` under which the last result of the gate is stored. */
export const gateReadingName = "gate";

export const gateStates = ["ready", "not_ready", "accepted", "unknown"] as const;

/** What the gate found. */
export interface GateReading {
  at: string;
  by: string;
  is_ready: boolean;
  checks: { name: string; state: (typeof gateStates)[number]; found: string; todo: string }[];
}

/** Returns what the gate found last. */
export async function findGateReading(sql: Sql): Promise<GateReading | undefined> {
  const [row] = await sql<GateReading[]>`
    select to_char(d.decided_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, d.decided_by as by,
      (d.value ->> 'isReady')::boolean as is_ready, d.value -> 'checks' as checks
    from migration.decisions d
    where d.name = ${gateReadingName}`;
  return row;
}

/** Quarantined documents of one collection and reason. */
export interface QuarantineReason {
  collection: string;
  reason: string;
  documents: number;
  first_at: string;
}

/** Counts the quarantined documents by collection and reason, most frequent first. */
export async function listQuarantineReasons(sql: Sql): Promise<QuarantineReason[]> {
  return await sql<QuarantineReason[]>`
    select q.collection, q.reason, count(*)::float8 as documents,
      to_char(min(q.first_at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as first_at
    from migration.quarantine q
    group by q.collection, q.reason
    order by documents desc, q.collection, q.reason`;
}

export const journalKinds = ["rehearsal", "cutover", "rollback", "decision"] as const;

/** A switch or a rehearsal, or what a person decided. */
export interface JournalEntry {
  at: string;
  by: string;
  kind: (typeof journalKinds)[number];
  /** State of a switch or a rehearsal; name of a decision, such as `backup` or `accept:disk_headroom`. */
  what: string;
  /** Time for which writes were held, in milliseconds, where it is known. */
  pause_ms: number | null;
  note: string | null;
}

/** Time for which a rehearsal holds. */
export const rehearsedSecondsMax = 24 * 3600;

/** Lists switches, rehearsals and decisions, newest first. */
export async function listJournal(sql: Sql, limit: number): Promise<JournalEntry[]> {
  return await sql<JournalEntry[]>`
    select to_char(e.started_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, by, kind, what, pause_ms, note
    from (
      select started_at, started_by as by, kind, state as what, pause_ms, note from migration.cutovers
      union all
      select decided_at, decided_by, 'decision', name, null, null
      from migration.decisions
      where name <> ${gateReadingName}
    ) as e
    order by e.started_at desc
    limit ${limit}::int`;
}
