/** The status of the ledger. Compares every count with the number of its rows and entries. */
import type { Sql } from "../../../db/pg/connect.ts";
import { formatTable } from "../tools/format.ts";
import { type FollowingStatus, formatFollowing, readFollowing } from "./following.ts";
import type { LiveEquation } from "./live_count.ts";

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
  /** When the ledger of a followed source replaced this one. */
  superseded_at: string | null;
  collections: CollectionStatus[];
}

export interface Status {
  /**
   * `empty`: nothing has been loaded. `incomplete`: a load has not finished. `unbalanced`: a row or an entry is
   * missing or extra. `unproven`: the documents of a followed source are not known, or change while they are counted.
   */
  verdict: "empty" | "incomplete" | "balanced" | "unbalanced" | "unproven";
  /** Sources that were loaded. */
  sources: SourceStatus[];
  /** The source that is followed. */
  following: FollowingStatus | null;
  /** Number of imported rows by collection. */
  rows: Record<string, number>;
  quarantine: { collection: string; reason: string; path: string; documents: number }[];
  /** Counts that differ from what the ledger expects. */
  faults: { what: string; wanted: number; found: number }[];
  last_verification: { verdict: string | null; documents: number; differences: number; at: string } | null;
}

async function listSources(sql: Sql): Promise<SourceStatus[]> {
  const sources = await sql`
    select fingerprint, kind, location, settled_at is not null as settled,
      to_char(superseded_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as superseded_at
    from migration.sources s
    where not exists (select from migration.follows f where f.fingerprint = s.fingerprint)
    order by planned_at, fingerprint`;
  const rows = await sql`
    select fingerprint, collection,

      sum(documents)::float8 as documents, sum(exact)::float8 as exact, sum(adjusted)::float8 as adjusted,
      sum(quarantined)::float8 as quarantined, sum(excluded)::float8 as excluded,
      count(*)::float8 as ranges, (count(*) filter (where state = 'done'))::float8 as ranges_done
    from migration.ranges
    group by fingerprint, collection
    order by array_position('{users,tasks,dramatiq_tasks}'::text[], collection)`;
  return sources.map(({ fingerprint, kind, location, settled, superseded_at }) => ({
    fingerprint,
    kind,
    location,
    settled,
    superseded_at,
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

/** Compares the rows and entries of loaded sources with the ledger. */
async function findLoadFaults(sql: Sql, sources: SourceStatus[], rows: Status["rows"]): Promise<Fault[]> {
  const faults: Fault[] = (await findRangeFaults(sql)).map(({ collection: _, ...fault }) => fault);
  for (const [collection, found] of Object.entries(rows)) {
    const wanted = sources.flatMap(({ collections }) => collections)
      .filter((status) => status.collection === collection)
      .reduce((sum, { exact, adjusted }) => sum + exact + adjusted, 0);
    if (wanted !== found) faults.push({ what: `${collection}: rows`, wanted, found });
  }
  return faults;
}

/** Returns the counts of a followed source that differ although nothing is under way. */
function findFollowFaults({ equation }: FollowingStatus): Fault[] {
  const negative = equation.collections.filter(({ exact }) => exact < 0)
    .map(({ collection, exact }) => ({
      what: `${collection}: rows of exact documents`,
      wanted: 0,
      found: exact,
    }));
  if (equation.state !== "differs") return equation.state === "unknown" ? [] : negative;
  const differing = equation.collections.flatMap(({ collection, documents, difference }) =>
    difference === null || difference === 0
      ? []
      : [{ what: `${collection}: documents`, wanted: documents!, found: documents! - difference }]
  );
  return [...negative, ...differing];
}

function chooseVerdict(
  sources: SourceStatus[],
  following: FollowingStatus | null,
  faults: Fault[],
): Status["verdict"] {
  if (faults.length > 0) return "unbalanced";
  if (following !== null) {
    if (following.state === "copying" || following.state === "gap") return "incomplete";
    return following.equation.state === "proven" ? "balanced" : "unproven";
  }
  if (sources.length === 0) return "empty";
  return sources.some(({ settled }) => !settled) ? "incomplete" : "balanced";
}

/**
 * Counts all rows and entries again and compares them with the ledger.
 *
 * @param equation the counts of both sides, if a source is followed and could be asked
 */
export async function readStatus(sql: Sql, equation?: LiveEquation): Promise<Status> {
  const sources = await listSources(sql);
  const rows = await countRows(sql);
  const following = await readFollowing(sql, equation);
  // The entries of loaded sources are deleted when one of them is followed.
  const faults = following === null ? await findLoadFaults(sql, sources, rows) : findFollowFaults(following);
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
  return {
    verdict: chooseVerdict(sources, following, faults),
    sources,
    following,
    rows,
    quarantine: [...quarantine],
    faults,
    last_verification: (last ?? null) as Status["last_verification"],
  };
}

function formatSource({ location, kind, fingerprint, superseded_at, collections }: SourceStatus): string[] {
  const name = `${kind} ${location} (${fingerprint.slice(0, 12)})`;
  if (superseded_at !== null) {
    return [`${name}: loaded before; since ${superseded_at} the followed source accounts for its documents`];
  }
  const table = formatTable(
    ["collection", "documents", "exact", "adjusted", "quarantined", "excluded", "ranges"],
    collections.map((c) => [
      c.collection,
      ...[c.documents, c.exact, c.adjusted, c.quarantined, c.excluded],
      `${c.ranges_done}/${c.ranges}`,
    ]),
  );
  return [name, table];
}

function describeVerdict({ verdict, following }: Status): string {
  const position = following?.equation.position_at ?? "";
  const texts = {
    empty: "nothing has been loaded yet",
    incomplete: following === null
      ? "the load has not finished: run 'deno task migrate data load' again"
      : "the copy or the comparison has not finished: the ledger is complete when 'sync' has caught up",
    balanced: following === null
      ? "balanced: every document is accounted for"
      : `balanced: every document is accounted for, at position ${position}`,
    unbalanced: "NOT balanced: rows or ledger entries are missing or extra",
    unproven: following?.equation.state === "moving"
      ? "not proven now: changes are under way; --settled waits until the source is quiet"
      : "not proven: the documents of the source are not counted",
  };
  return texts[verdict];
}

/** Returns the status as text. */
export function formatStatus(status: Status): string {
  const { following } = status;
  const lines = status.sources.flatMap(formatSource);
  if (following !== null) lines.push(...(lines.length > 0 ? [""] : []), ...formatFollowing(following));
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
  lines.push("", describeVerdict(status));
  if (following?.next_command) lines.push(`next: deno task migrate data ${following.next_command}`);
  return lines.join("\n").trimStart();
}
