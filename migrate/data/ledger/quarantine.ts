/** Lists quarantined documents, grouped by reason and path. */
import type { Sql } from "../../../db/pg/connect.ts";
import { formatCount, formatCounted, formatPath, formatTable } from "../tools/format.ts";
import { parseOriginal } from "./original.ts";
import { writeLossless } from "../documents/ejson_write.ts";
import { inflect } from "../../../phrases.ts";

/** Selects a part of the quarantine. Absent fields match everything. */
export interface QuarantineFilter {
  collection?: string;
  reason?: string;
  path?: string;
}

export interface QuarantineSample {
  document_id: string;
  detail: string;
  /** Position in the source: a line number or a running number. Documents of a followed source have none. */
  position: number | null;
  attempts: number;
  /** First 400 characters of the document as Extended JSON. */
  document: string;
}

export interface QuarantineGroup {
  collection: string;
  reason: string;
  path: string;
  documents: number;
  bytes: number;
  first_at: string;
  samples: QuarantineSample[];
}

/** Returns the SQL condition of a filter on `migration.quarantine q`. */
export const whereQuarantine = (sql: Sql, { collection, reason, path }: QuarantineFilter) =>
  sql`
    (${collection ?? null}::text is null or q.collection = ${collection ?? null})
      and (${reason ?? null}::text is null or q.reason = ${reason ?? null})
      and (${path ?? null}::text is null or q.path = ${path ?? null})`;

const documentLengthMax = 400;

function formatOriginal(position: number | null, original: Uint8Array): string {
  try {
    const text = writeLossless(parseOriginal(position ?? 0, original).read());
    return text.length > documentLengthMax ? `${text.slice(0, documentLengthMax - 1)}…` : text;
  } catch (error) {
    return `(cannot be shown: ${(error as Error).message})`;
  }
}

/** Lists quarantine groups, the largest first, each with its first `samples` documents. */
export async function listQuarantine(
  sql: Sql,
  { samples, ...filter }: QuarantineFilter & { samples: number },
): Promise<QuarantineGroup[]> {
  const groups = await sql<Omit<QuarantineGroup, "samples">[]>`
    select q.collection, q.reason, q.path, count(*)::float8 as documents, sum(length(q.original))::float8 as bytes,
      to_char(min(q.first_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as first_at
    from migration.quarantine q
    where ${whereQuarantine(sql, filter)}
    group by q.collection, q.reason, q.path
    order by documents desc, q.collection, q.reason, q.path`;
  const rows = await sql`
    select n.collection, n.reason, n.path, n.document_id, n.detail, n.attempts, n.original,
      case when s.kind <> 'followed' then n.position::float8 end as position
    from (
      select q.*, row_number() over (partition by q.collection, q.reason, q.path order by q.id) as sample
      from migration.quarantine q
      where ${whereQuarantine(sql, filter)}
    ) as n
    join migration.sources s using (fingerprint)
    where n.sample <= ${samples}::int
    order by n.id`;
  return groups.map((group) => ({
    ...group,
    samples: rows
      .filter(({ collection, reason, path }) =>
        collection === group.collection && reason === group.reason && path === group.path
      )
      .map(({ document_id, detail, position, attempts, original }) => ({
        document_id,
        detail,
        position,
        attempts,
        document: formatOriginal(position, original),
      })),
  }));
}

/** Returns the groups as text. */
export function formatQuarantine(groups: QuarantineGroup[]): string {
  if (groups.length === 0) return "the quarantine is empty";
  const lines: string[] = [];
  for (const { collection, reason, path, documents, samples } of groups) {
    lines.push(`${collection}: ${reason}${formatPath(path)}, ${formatCount(documents)}`);
    for (const { document_id, detail, position, document } of samples) {
      const where = position === null ? "" : ` (position ${position})`;
      lines.push(`  ${document_id}${where}: ${detail}`, `    ${document}`);
    }
    lines.push("");
  }
  const total = groups.reduce((sum, { documents }) => sum + documents, 0);
  const table = formatTable(
    ["collection", "reason", "path", "documents"],
    groups.map((g) => [g.collection, g.reason, g.path, g.documents]),
  );
  lines.push(
    table,
    "",
    `${formatCounted(total, "document")} ${inflect(total, "is", "are")} in quarantine; all bytes are kept.`,
    "After a rule has changed, or missing tasks have been loaded, 'deno task migrate data quarantine --replay' " +
      "shows which documents would get a row now. 'sync' tries those of the source that it follows when it starts.",
  );
  return lines.join("\n");
}
