/** The ledger of a copied or followed source: what became of its documents, by collection. */
import type { Sql } from "../pg/connect.ts";

/** The collections in load order, parents first. */
export const ledgerCollections = ["users", "tasks", "dramatiq_tasks"] as const;
export type LedgerCollection = (typeof ledgerCollections)[number];

/** What the target has of one collection. */
export interface TargetCounts {
  collection: LedgerCollection;
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
  const rows = await sql<{ collection: LedgerCollection; rows: number }[]>`
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
    from unnest(${[...ledgerCollections]}::text[]) as c (collection)
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
  const counts = ledgerCollections.map((collection): TargetCounts => {
    const found = rows.find((row) => row.collection === collection)!.rows;
    const { adjusted, quarantined, waiting, excluded, kept } = entries.find((row) =>
      row.collection === collection
    )!;
    return { collection, exact: found - adjusted - kept, adjusted, quarantined, waiting, excluded, kept };
  });
  return Object.assign({}, follow, { collections: counts });
}

/** What became of the documents of a source that was copied at rest. */
export interface LoadedCounts extends TargetCounts {
  documents: number;
}

/** The last source that was copied at rest. */
export interface LoadedSource {
  location: string;
  planned_at: string;
}

/** Returns the last source that was copied at rest, with its ledger. */
export async function readLoaded(
  sql: Sql,
): Promise<LoadedSource & { collections: LoadedCounts[] } | undefined> {
  const [source] = await sql<(LoadedSource & { fingerprint: string })[]>`
    select fingerprint, location, to_char(s.planned_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as planned_at
    from migration.sources s
    where superseded_at is null and kind <> 'followed'
    order by s.planned_at desc
    limit 1`;
  if (source === undefined) return undefined;
  const collections = await sql<LoadedCounts[]>`
    select collection, sum(documents)::float8 as documents, sum(exact)::float8 as exact, sum(adjusted)::float8 as adjusted,
      sum(quarantined)::float8 as quarantined, 0 as waiting, sum(excluded)::float8 as excluded, 0 as kept
    from migration.ranges
    where fingerprint = ${source.fingerprint}
    group by collection
    order by array_position(${[...ledgerCollections]}::text[], collection)`;
  return { location: source.location, planned_at: source.planned_at, collections: [...collections] };
}
