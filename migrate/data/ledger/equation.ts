/**
 * The equation of a followed source: documents = exact + adjusted + quarantined + waiting + excluded. The documents are
 * counted at the source, everything else in the target.
 */
import type { Sql } from "../../../db/pg/connect.ts";
import { type Collection, collections } from "../documents/source.ts";

/** What the target has of one collection. */
export interface TargetCounts {
  collection: Collection;
  /** Rows of documents that a row reproduces without adjustments. */
  exact: number;
  adjusted: number;
  quarantined: number;
  waiting: number;
  excluded: number;
  /**
   * Rows of the last accepted version of a quarantined or waiting document. They are not among `exact` and `adjusted`.
   */
  kept: number;
}

/** The counts of one collection on both sides. */
export interface FollowedCollection extends TargetCounts {
  /** Documents at the source; null if they could not be counted. */
  documents: number | null;
  /** `documents` minus all that the target has; null if they could not be counted. */
  difference: number | null;
}

/** The counts of the target at its position. */
export interface TargetSnapshot {
  state: string;
  /** Cluster time as text. */
  position: string | null;
  position_at: string | null;
  resume_token: string | null;
  fingerprint: string;
  mode: string;
  collections: TargetCounts[];
}

/** Counts the target. Call it in a transaction with one snapshot, so that the counts belong to the position. */
export async function readSnapshot(sql: Sql): Promise<TargetSnapshot | undefined> {
  const [follow] = await sql<Omit<TargetSnapshot, "collections">[]>`
    select state, position::text as position, resume_token, fingerprint, mode,
      to_char(position_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as position_at
    from migration.follows`;
  if (follow === undefined) return undefined;
  const rows = await sql<{ collection: Collection; rows: number }[]>`
    select 'users' as collection, count(*)::float8 as rows from users where generation is not null
    union all
    select 'tasks', count(*)::float8 from tasks where generation is not null
    union all
    select 'dramatiq_tasks', count(*)::float8 from subtasks where generation is not null`;
  const entries = await sql`
    select c.collection,
      (
        select count(distinct a.document_id) from migration.adjustments a
        where a.collection = c.collection and a.fingerprint = ${follow.fingerprint} and a.document_id is not null
      )::float8 as adjusted,
      q.quarantined, w.waiting,
      (
        select count(*) from migration.exclusions e
        where e.collection = c.collection and e.fingerprint = ${follow.fingerprint}
      )::float8 as excluded,
      q.kept + w.kept as kept
    from unnest(${[...collections]}::text[]) as c (collection)
    cross join lateral (
      select count(*)::float8 as quarantined, (count(*) filter (where has_row))::float8 as kept
      from migration.quarantine q
      where q.collection = c.collection and q.fingerprint = ${follow.fingerprint}
    ) as q
    cross join lateral (
      select count(*)::float8 as waiting, (count(*) filter (where has_row))::float8 as kept
      from migration.waiting w
      where w.collection = c.collection
    ) as w`;
  const counts = collections.map((collection): TargetCounts => {
    const found = rows.find((row) => row.collection === collection)!.rows;
    const { adjusted, quarantined, waiting, excluded, kept } = entries.find((row) =>
      row.collection === collection
    )!;
    return { collection, exact: found - adjusted - kept, adjusted, quarantined, waiting, excluded, kept };
  });
  return Object.assign({}, follow, { collections: counts });
}

const sumOf = ({ exact, adjusted, quarantined, waiting, excluded }: TargetCounts): number =>
  exact + adjusted + quarantined + waiting + excluded;

/** Puts the documents beside what the target has. Null documents are unknown. */
export const toEquation = (
  { collections: counts }: TargetSnapshot,
  documents: ReadonlyMap<Collection, number> | null,
): FollowedCollection[] =>
  counts.map((one) => {
    const found = documents?.get(one.collection) ?? null;
    const difference = found === null ? null : found - sumOf(one);
    return Object.assign({}, one, { documents: found, difference });
  });
