/** What has no row: by reason and path, with a few documents of each. */
import type { Sql } from "../../../db/pg/connect.ts";
import { formatTable } from "./status.ts";
import { readKept } from "./replay_kept.ts";
import { writeLossless } from "../documents/ejson_write.ts";

/** Which part of the quarantine; everything where nothing is told. */
export interface QuarantineFilter {
  collection?: string;
  reason?: string;
  path?: string;
}

export interface QuarantineSample {
  document_id: string;
  detail: string;
  /** Position in its source: a line, or a running number. */
  position: number;
  attempts: number;
  /** The document as readable Extended JSON, its first 400 characters. */
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

/** The condition of a filter over `migration.quarantine q`. */
export const matches = (sql: Sql, { collection, reason, path }: QuarantineFilter) =>
  sql`
    (${collection ?? null}::text is null or q.collection = ${collection ?? null})
      and (${reason ?? null}::text is null or q.reason = ${reason ?? null})
      and (${path ?? null}::text is null or q.path = ${path ?? null})`;

const documentMax = 400;

function showKept(position: number, original: Uint8Array): string {
  try {
    const text = writeLossless(readKept(position, original).read());
    return text.length > documentMax ? `${text.slice(0, documentMax - 1)}…` : text;
  } catch (error) {
    return `(cannot be shown: ${(error as Error).message})`;
  }
}

/** Groups, the biggest first; `samples` documents of each, first come first. */
export async function listQuarantine(
  sql: Sql,
  { samples, ...filter }: QuarantineFilter & { samples: number },
): Promise<QuarantineGroup[]> {
  const groups = await sql<Omit<QuarantineGroup, "samples">[]>`
    select q.collection, q.reason, q.path, count(*)::float8 as documents, sum(length(q.original))::float8 as bytes,
      to_char(min(q.first_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as first_at
    from migration.quarantine q
    where ${matches(sql, filter)}
    group by q.collection, q.reason, q.path
    order by documents desc, q.collection, q.reason, q.path`;
  const rows = await sql`
    select n.collection, n.reason, n.path, n.document_id, n.detail, n.position::float8 as position, n.attempts,
      n.original
    from (
      select q.*, row_number() over (partition by q.collection, q.reason, q.path order by q.id) as place
      from migration.quarantine q
      where ${matches(sql, filter)}
    ) as n
    where n.place <= ${samples}::int
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
        document: showKept(position, original),
      })),
  }));
}

/** The quarantine for people. */
export function formatQuarantine(groups: QuarantineGroup[]): string {
  if (groups.length === 0) return "nothing is in quarantine";
  const lines: string[] = [];
  for (const { collection, reason, path, documents, samples } of groups) {
    lines.push(
      `${collection}: ${reason}${path === "" ? "" : ` at '${path}'`}, ${documents.toLocaleString("en")}`,
    );
    for (const { document_id, detail, position, document } of samples) {
      lines.push(`  ${document_id} (position ${position}): ${detail}`, `    ${document}`);
    }
    lines.push("");
  }
  const total = groups.reduce((sum, { documents }) => sum + documents, 0);
  lines.push(
    formatTable(
      ["collection", "reason", "path", "documents"],
      groups.map((g) => [
        g.collection,
        g.reason,
        g.path,
        g.documents,
      ]),
    ),
    "",
    `${
      total.toLocaleString("en")
    } documents wait; their bytes are kept. After a change of rules, or when missing ` +
      "parents were loaded: 'deno task migrate data quarantine --replay' shows what would get a row now",
  );
  return lines.join("\n");
}
