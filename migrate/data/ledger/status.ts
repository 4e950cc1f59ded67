/** The ledger recounted: what was planned, what was noted, what is in the tables. */
import type { Sql } from "../../../db/pg/connect.ts";

/** One collection of one source. */
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
  /** `empty` nothing was ever loaded, `incomplete` run load again, `unbalanced` something is missing or extra. */
  verdict: "empty" | "incomplete" | "balanced" | "unbalanced";
  sources: SourceStatus[];
  /** Rows that came from documents, by collection. */
  rows: Record<string, number>;
  quarantine: { collection: string; reason: string; path: string; documents: number }[];
  /** Each number that should have been another. */
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
      coalesce(sum(documents) filter (where state = 'done'), 0)::float8 as done,
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
      .map(({ fingerprint: _, done: __, ...rest }) => rest as CollectionStatus),
  }));
}

type Fault = Status["faults"][number];

/** Every range must add up, and every exception have its row. */
export async function findRangeFaults(
  sql: Sql,
  fingerprint?: string,
): Promise<(Fault & { collection: string })[]> {
  const rows = await sql`
    select r.collection, r.collection || ' range ' || r.number as range, r.documents, r.exact, r.adjusted, r.quarantined,
      r.excluded,
      (select count(*)::integer from migration.quarantine q
        where (q.fingerprint, q.collection, q.range_number) = (r.fingerprint, r.collection, r.number)) as q,
      (select count(*)::integer from migration.exclusions e
        where (e.fingerprint, e.collection, e.range_number) = (r.fingerprint, r.collection, r.number)) as e,
      (select count(distinct a.position)::integer from migration.adjustments a
        where (a.fingerprint, a.collection, a.range_number) = (r.fingerprint, r.collection, r.number)) as a
    from migration.ranges r
    where r.state = 'done' ${fingerprint === undefined ? sql`` : sql`and r.fingerprint = ${fingerprint}`}`;
  return rows.flatMap(({ collection, range, documents, exact, adjusted, quarantined, excluded, q, e, a }) =>
    [
      { what: `${range}: documents`, wanted: documents, found: exact + adjusted + quarantined + excluded },
      { what: `${range}: quarantined`, wanted: quarantined, found: q },
      { what: `${range}: excluded`, wanted: excluded, found: e },
      { what: `${range}: adjusted`, wanted: adjusted, found: a },
    ].filter(({ wanted, found }) => wanted !== found).map((fault) => ({ ...fault, collection }))
  );
}

async function countRows(sql: Sql): Promise<Record<string, number>> {
  const [row] = await sql`
    select
      (select count(*) from users where generation is not null)::float8 as users,
      (select count(*) from tasks where generation is not null)::float8 as tasks,
      (select count(*) from subtasks where generation is not null)::float8 as dramatiq_tasks`;
  return row as Record<string, number>;
}

/** Recounts everything. */
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

/** A table of texts in columns, numbers to the right. */
export function formatTable(head: string[], rows: (string | number)[][]): string {
  const cells = [
    head,
    ...rows.map((row) => row.map((cell) => typeof cell === "number" ? cell.toLocaleString("en") : cell)),
  ];
  const widths = head.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  const format = (row: string[]) =>
    row.map((cell, i) => isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)).join("  ")
      .trimEnd();
  return [
    format(cells[0]!),
    widths.map((width) => "─".repeat(width)).join("  "),
    ...cells.slice(1).map(format),
  ].join("\n");
}

/** The ledger for people. */
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
  const words = {
    empty: "nothing was loaded yet",
    incomplete: "the load is not finished: run 'deno task migrate data load' again",
    balanced: "balanced: every document is accounted for",
    unbalanced: "NOT balanced",
  };
  lines.push("", words[status.verdict]);
  return lines.join("\n").trimStart();
}
