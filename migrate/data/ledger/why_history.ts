/** What the ledger records about one document: its history and its position in the source. */
import type { Sql } from "../../../db/pg/connect.ts";
import type { Collection } from "../documents/source.ts";

/** One event in the history of a document. */
export interface HistoryEntry {
  at: string;
  what: string;
}

/** Position of a document in its source. */
export interface SourcePosition {
  fingerprint: string;
  location: string;
  range: number;
  position: number;
}

/** Identifies a document in the ledger. */
export interface DocumentKey {
  collection: Collection;
  /** Canonical Extended JSON of `_id`. */
  document_id: string;
  /** `legacy_id` of the document's row; null without a row. */
  legacyId: string | null;
}

/** Returns a statement with the verifications of a followed document, and since when it waits. */
const followedHistory = (sql: Sql, { collection, document_id }: DocumentKey, ids: string[]) =>
  sql`
    select v.started_at, 0,
      coalesce(
        'verified while followed: ' || (d ->> 'kind') || coalesce(' at ''' || nullif(d ->> 'path', '') || '''', '')
          || ', source ' || coalesce(d ->> 'source_value', 'nothing')
          || ', row ' || coalesce(d ->> 'row_value', 'nothing')
          || coalesce(', cause ' || (d ->> 'cause'), ''),
        'verified while followed: equal'
      )
    from migration.live_verifications v
    left join migration.rechecks r
      on r.verification_id = v.id and r.collection = ${collection} and r.document_id = any (${ids}::text[])
        and r.comparisons >= 3
    left join lateral json_array_elements(r.differences) as d on true
    where v.ended_at is not null
    union all
    select w.first_at, 0, 'waiting'
    from migration.waiting w
    where w.collection = ${collection} and w.document_id = ${document_id}`;

/** Returns the verifications, repairs, replays, quarantine and waiting of a document, the oldest first. */
export async function readHistory(
  sql: Sql,
  { collection, document_id, legacyId }: DocumentKey,
): Promise<HistoryEntry[]> {
  const ids = legacyId === null ? [document_id] : [document_id, legacyId];
  const verified = sql`
    select v.started_at as at, 0 as rank,
      coalesce(
        'verified: ' || d.kind || coalesce(' at ''' || nullif(d.path, '') || '''', '')
          || ', source ' || coalesce(d.source_value, 'nothing')
          || ', row ' || coalesce(d.row_value, 'nothing')
          || coalesce(', cause ' || d.cause, ''),
        case when v.differences > 1000
          then 'verified: not among the first 1,000 of ' || v.differences || ' differences'
          else 'verified: equal' end
      ) as what
    from migration.verifications v
    left join migration.differences d
      on d.verification_id = v.id and d.collection = ${collection} and d.document_id = any (${ids}::text[])
    where v.ended_at is not null`;
  const repaired = sql`
    select r.at, 1, 'repaired: ' || r.action || ' by plan ' || r.plan
    from migration.repairs r
    where r.collection = ${collection} and r.document_id = ${document_id}`;
  const undone = sql`
    select r.undone_at, 2, 'repair undone: plan ' || r.plan
    from migration.repairs r
    where r.collection = ${collection} and r.document_id = ${document_id} and r.undone_at is not null`;
  const replayed = sql`
    select p.at, 1, 'replayed: was in quarantine with reason ' || p.reason
    from migration.replays p
    where p.collection = ${collection} and p.document_id = ${document_id}`;
  const quarantined = sql`
    select q.first_at, 0, 'quarantined'
    from migration.quarantine q
    where q.collection = ${collection} and q.document_id = ${document_id}`;
  const rows = await sql<HistoryEntry[]>`
    select to_char(e.at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at, e.what
    from (
      ${verified}
      union all
      ${followedHistory(sql, { collection, document_id, legacyId }, ids)}
      union all
      ${repaired}
      union all
      ${undone}
      union all
      ${replayed}
      union all
      ${quarantined}
    ) as e
    order by e.at, e.rank`;
  return [...rows];
}

/**
 * Returns the position of a row's document in its source. The ledger knows it only for loaded rows with adjustments or
 * originals; other rows, and those of followed documents, return null.
 */
export async function findSourcePosition(
  sql: Sql,
  collection: Collection,
  rowId: string,
): Promise<SourcePosition | null> {
  const [row] = await sql<SourcePosition[]>`
    select p.fingerprint, s.location, p.range_number as range, p.position::float8 as position
    from (
      select fingerprint, range_number, position
      from migration.originals
      where collection = ${collection} and row_id = ${rowId} and document_id is null
      union all
      select fingerprint, range_number, position
      from migration.adjustments
      where collection = ${collection} and row_id = ${rowId} and document_id is null
    ) as p
    join migration.sources s using (fingerprint)
    limit 1`;
  return row ?? null;
}
