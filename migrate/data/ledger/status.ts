/** The status of the ledger. Compares every count with the number of its rows and entries. */
import type { Sql } from "../../../db/pg/connect.ts";
import { formatTable } from "../tools/format.ts";

/** Document and range counts of one collection of a source. */
export interface CollectionStatus {
  collection: string;
  documents: number;
  exact: number;
  adjusted: number;
  quarantined: number;
  excluded: number;
  ranges: number;
  ranges_done: number;
}

export interface SourceStatus {
  fingerprint: string;
  kind: string;
  location: string;
  settled: boolean;
  collections: CollectionStatus[];
}

export interface Status {
  /**
   * `empty`: nothing has been loaded. `incomplete`: a load has not finished. `unbalanced`: a row or an entry is
   * missing or extra.
   */
  verdict: "empty" | "incomplete" | "balanced" | "unbalanced";
  sources: SourceStatus[];
  /** Number of imported rows by collection. */
  rows: Record<string, number>;
  quarantine: { collection: string; reason: string; path: string; documents: number }[];
  /** Counts that differ from what the ledger expects. */
  faults: { what: string; wanted: number; found: number }[];
  last_verification: { verdict: string | null; documents: number; differences: number; at: string } | null;
}

async function listSources(sql: Sql): Promise<SourceStatus[]> {
  const sources = await sql`
    select fingerprint, kind, location, settled_at is not null as settled
    from migration.sources
    order by planned_at, fingerprint`;
  const rows = await sql`
    select fingerprint, collection,

      sum(documents)::float8 as documents, sum(exact)::float8 as exact, sum(adjusted)::float8 as adjusted,
      sum(quarantined)::float8 as quarantined, sum(excluded)::float8 as excluded,
      count(*)::float8 as ranges, (count(*) filter (where state = 'done'))::float8 as ranges_done
    from migration.ranges
    group by fingerprint, collection
    order by array_position('{users,tasks,dramatiq_tasks}'::text[], collection)`;
  return sources.map(({ fingerprint, kind, location, settled }) => ({
    fingerprint,
    kind,
    location,
    settled,
    collections: rows.filter((row) => row.fingerprint === fingerprint)
      .map(({ fingerprint: _, ...counts }) => counts as CollectionStatus),
  }));
}

type Fault = Status["faults"][number];

/**
 * Returns the finished ranges whose counts do not add up, or do not match the ledger's entries.
 *
 * @param fingerprint restricts the check to one source
 */
export async function findRangeFaults(
  sql: Sql,
  fingerprint?: string,
): Promise<(Fault & { collection: string })[]> {
  const ofSource = fingerprint === undefined ? sql`` : sql`and r.fingerprint = ${fingerprint}`;
  const rows = await sql`
    select r.collection, r.collection || ' range ' || r.number as range,
      r.documents, r.exact, r.adjusted, r.quarantined, r.excluded,
      (
        select count(*)::integer from migration.quarantine q
        where (q.fingerprint, q.collection, q.range_number) = (r.fingerprint, r.collection, r.number)
      ) as quarantined_entries,
      (
        select count(*)::integer from migration.exclusions e
        where (e.fingerprint, e.collection, e.range_number) = (r.fingerprint, r.collection, r.number)
      ) as excluded_entries,
      (
        select count(distinct a.position)::integer from migration.adjustments a
        where (a.fingerprint, a.collection, a.range_number) = (r.fingerprint, r.collection, r.number)
      ) as adjusted_entries
    from migration.ranges r
    where r.state = 'done' ${ofSource}`;
  return rows.flatMap((row) => {
    const { collection, range, documents, exact, adjusted, quarantined, excluded } = row;
    const counts = [
      { what: `${range}: documents`, wanted: documents, found: exact + adjusted + quarantined + excluded },
      { what: `${range}: quarantined`, wanted: quarantined, found: row.quarantined_entries },
      { what: `${range}: excluded`, wanted: excluded, found: row.excluded_entries },
      { what: `${range}: adjusted`, wanted: adjusted, found: row.adjusted_entries },
    ];
    return counts.filter(({ wanted, found }) => wanted !== found).map((fault) => ({ ...fault, collection }));
  });
}

async function countRows(sql: Sql): Promise<Record<string, number>> {
  const [row] = await sql`
    select
      (select count(*) from users where generation is not null)::float8 as users,
      (select count(*) from tasks where generation is not null)::float8 as tasks,
      (select count(*) from subtasks where generation is not null)::float8 as dramatiq_tasks`;
  return row as Record<string, number>;
}

/** Counts all rows and entries again and compares them with the ledger. */
export async function readStatus(sql: Sql): Promise<Status> {
  const sources = await listSources(sql);
  const rows = await countRows(sql);
  const faults: Fault[] = (await findRangeFaults(sql)).map(({ collection: _, ...fault }) => fault);
  for (const [collection, found] of Object.entries(rows)) {
    const wanted = sources.flatMap(({ collections }) => collections)
      .filter((status) => status.collection === collection)
      .reduce((sum, { exact, adjusted }) => sum + exact + adjusted, 0);
    if (wanted !== found) faults.push({ what: `${collection}: rows`, wanted, found });
  }
  const quarantine = await sql<Status["quarantine"]>`
    select collection, reason, path, count(*)::float8 as documents
    from migration.quarantine
    group by collection, reason, path
    order by documents desc, collection, reason, path`;
  const [last] = await sql`
    select verdict, documents::float8 as documents, differences::float8 as differences,
      to_char(started_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
    from migration.verifications
    where ended_at is not null
    order by id desc
    limit 1`;
  const verdict = faults.length > 0
    ? "unbalanced"
    : sources.length === 0
    ? "empty"
    : sources.some(({ settled }) => !settled)
    ? "incomplete"
    : "balanced";
  return {
    verdict,
    sources,
    rows,
    quarantine: [...quarantine],
    faults,
    last_verification: (last ?? null) as Status["last_verification"],
  };
}

/** Returns the status as text. */
export function formatStatus(status: Status): string {
  const lines: string[] = [];
  for (const { location, kind, fingerprint, collections } of status.sources) {
    lines.push(`${kind} ${location} (${fingerprint.slice(0, 12)})`);
    lines.push(formatTable(
      ["collection", "documents", "exact", "adjusted", "quarantined", "excluded", "ranges"],
      collections.map((c) => [
        c.collection,
        ...[c.documents, c.exact, c.adjusted, c.quarantined, c.excluded],
        `${c.ranges_done}/${c.ranges}`,
      ]),
    ));
  }
  if (status.quarantine.length > 0) {
    lines.push("", "quarantine");
    lines.push(formatTable(
      ["collection", "reason", "path", "documents"],
      status.quarantine.map((q) => [q.collection, q.reason, q.path, q.documents]),
    ));
  }
  for (const { what, wanted, found } of status.faults) {
    lines.push(`✗ ${what}: wanted ${wanted}, found ${found}`);
  }
  const verdicts = {
    empty: "nothing has been loaded yet",
    incomplete: "the load has not finished: run 'deno task migrate data load' again",
    balanced: "balanced: every document is accounted for",
    unbalanced: "NOT balanced: rows or ledger entries are missing or extra",
  };
  lines.push("", verdicts[status.verdict]);
  return lines.join("\n").trimStart();
}
