/** Everything that is known of one document: where it is, what became of it, by which rules, and who checked. */
import type postgres from "postgres";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { copyOut, decodeLine } from "../tools/copy.ts";
import { readValue } from "../documents/ejson_read.ts";
import { writeCanonical } from "../documents/ejson_write.ts";
import { isUuid, legacyIdOf, uuidOf } from "../documents/ids.ts";
import type { Row } from "../lens/draft.ts";
import { readKept } from "./replay_kept.ts";
import { type Collection, collections } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";
import { type BsonDocument, type BsonValue, ObjectId } from "../documents/tree.ts";

/** One moment at which the document was looked at or changed. */
export interface Event {
  at: string;
  what: string;
}

export interface Finding {
  collection: Collection;
  /** Canonical Extended JSON of `_id`. */
  document_id: string;
  state: "row" | "quarantined" | "excluded";
  generation: string | null;
  /** Canonical Extended JSON of the whole document. */
  document: string;
  /** Whether `document` is rebuilt from the row, or its kept bytes. */
  document_from: "row" | "original bytes" | "not kept";
  row: Row | null;
  rules: { rule: string; path: string }[];
  /** Why it has no row. */
  quarantine: { reason: string; path: string; detail: string; attempts: number } | null;
  /** Where the ledger met it; null for a row that arrived exactly as it was. */
  source: { fingerprint: string; location: string; range: number; position: number } | null;
  history: Event[];
}

/** What an id given by a person may mean. */
interface Meaning {
  /** `_id` as these values. */
  ids: BsonValue[];
  uuids: string[];
}

function readMeaning(text: string): Meaning {
  const ids: BsonValue[] = [text];
  if (/^[0-9a-f]{24}$/i.test(text)) ids.push(new ObjectId(text.toLowerCase()));
  try {
    ids.push(readValue(text, "ejson"));
  } catch {
    // No JSON: it is the text itself.
  }
  const uuids = isUuid(text)
    ? [text.toLowerCase()]
    : [uuidOf(`tasks.id:${text}`), uuidOf(`dramatiq_tasks.id:${text}`)];
  return { ids, uuids };
}

async function readRows(sql: postgres.ReservedSql, collection: Collection, meaning: Meaning): Promise<Row[]> {
  const { name, columns } = tables[collection];
  const legacyIds = meaning.ids.map((id) => legacyIdOf(collection, id));
  // Hex digits and uuids alone: nothing in them can leave the quotes.
  const rows: Row[] = [];
  const statement = `
    copy (
      select ${columns.join()} from ${name}
      where legacy_id = any ('{${legacyIds.join()}}'::text[]) or id = any ('{${meaning.uuids.join()}}'::uuid[])
    ) to stdout`;
  for await (const line of copyOut(sql, statement)) {
    rows.push(Object.fromEntries(decodeLine(line).map((field, i) => [columns[i]!, field])));
  }
  return rows;
}

async function readHistory(
  sql: Sql,
  { collection, document_id, legacyId }: {
    collection: Collection;
    document_id: string;
    legacyId: string | null;
  },
): Promise<Event[]> {
  const names = [document_id, ...(legacyId === null ? [] : [legacyId])];
  const rows = await sql<Event[]>`
    select to_char(e.at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at, e.what
    from (
      select v.started_at as at, 0 as place,
        coalesce(
          'verified: ' || d.kind || coalesce(' at ''' || nullif(d.path, '') || '''', '') || ', source '
            || coalesce(d.source_value, 'nothing') || ', row ' || coalesce(d.row_value, 'nothing')
            || coalesce(', cause ' || d.cause, ''),
          case when v.differences > 1000
            then 'verified: not among the first 1,000 of ' || v.differences || ' differences'
            else 'verified: equal' end
        ) as what
      from migration.verifications v
      left join migration.differences d
        on d.verification_id = v.id and d.collection = ${collection} and d.document_id = any (${names}::text[])
      where v.ended_at is not null
      union all
      select r.at, 1, 'repaired: ' || r.action || ' by plan ' || r.plan
      from migration.repairs r
      where r.collection = ${collection} and r.document_id = ${document_id}
      union all
      select r.undone_at, 2, 'repair undone: plan ' || r.plan
      from migration.repairs r
      where r.collection = ${collection} and r.document_id = ${document_id} and r.undone_at is not null
      union all
      select p.at, 1, 'replayed: it was in quarantine as ' || p.reason
      from migration.replays p
      where p.collection = ${collection} and p.document_id = ${document_id}
      union all
      select q.first_at, 0, 'quarantined'
      from migration.quarantine q
      where q.collection = ${collection} and q.document_id = ${document_id}
    ) as e
    order by e.at, e.place`;
  return [...rows];
}

async function findPlace(sql: Sql, collection: Collection, rowId: string) {
  const [place] = await sql`
    select p.fingerprint, s.location, p.range_number as range, p.position::float8 as position
    from (
      select fingerprint, range_number, position from migration.originals
      where collection = ${collection} and row_id = ${rowId}
      union all
      select fingerprint, range_number, position from migration.adjustments
      where collection = ${collection} and row_id = ${rowId}
    ) as p
    join migration.sources s using (fingerprint)
    limit 1`;
  return (place ?? null) as Finding["source"];
}

async function explainRow(sql: Sql, collection: Collection, row: Row): Promise<Finding> {
  const rules = await sql<{ rule: string; path: string }[]>`
    select distinct rule, path from migration.adjustments
    where collection = ${collection} and row_id = ${row.id!}
    order by rule, path`;
  const [kept] = await sql<{ position: number; original: Uint8Array }[]>`
    select position::float8 as position, original from migration.originals
    where collection = ${collection} and row_id = ${row.id!}
    limit 1`;
  let document: BsonDocument;
  try {
    document = kept ? readKept(kept.position, kept.original).read() : tables[collection].toDocument(row);
  } catch (cause) {
    throw new AppError("internal", `explaining ${collection} row ${row.id}: it cannot be read back`, {
      cause,
    });
  }
  const document_id = writeCanonical(document.get("_id") ?? null);
  return {
    collection,
    document_id,
    state: "row",
    generation: row.generation ?? null,
    document: writeCanonical(document),
    document_from: kept ? "original bytes" : "row",
    row,
    rules: [...rules],
    quarantine: null,
    source: await findPlace(sql, collection, row.id!),
    history: await readHistory(sql, { collection, document_id, legacyId: row.legacy_id ?? null }),
  };
}

function showDocument(position: number, original: Uint8Array): string {
  try {
    return writeCanonical(readKept(position, original).read());
  } catch {
    return new TextDecoder().decode(original);
  }
}

async function explainQuarantined(sql: Sql, ids: string[], text: string): Promise<Finding[]> {
  // Its own `id` is inside the kept bytes, in either form of them.
  const rows = await sql`
    select q.collection, q.document_id, q.reason, q.path, q.detail, q.attempts, q.original, q.fingerprint,
      q.range_number, q.position::float8 as position, s.location
    from migration.quarantine q
    join migration.sources s using (fingerprint)
    where q.document_id = any (${ids}::text[])
      or (length(${text}) >= 8 and position(convert_to(${text}, 'UTF8') in q.original) > 0)
    order by q.document_id = any (${ids}::text[]) desc, q.id
    limit 20`;
  return await Promise.all(rows.map(async (row): Promise<Finding> => ({
    collection: row.collection,
    document_id: row.document_id,
    state: "quarantined",
    generation: null,
    document: showDocument(row.position, row.original),
    document_from: "original bytes",
    row: null,
    rules: [],
    quarantine: { reason: row.reason, path: row.path, detail: row.detail, attempts: row.attempts },
    source: {
      fingerprint: row.fingerprint,
      location: row.location,
      range: row.range_number,
      position: row.position,
    },
    history: await readHistory(sql, {
      collection: row.collection,
      document_id: row.document_id,
      legacyId: null,
    }),
  })));
}

async function explainExcluded(sql: Sql, ids: string[]): Promise<Finding[]> {
  const rows = await sql`
    select e.collection, e.document_id, e.rule, e.fingerprint, e.range_number, e.position::float8 as position,
      s.location
    from migration.exclusions e
    join migration.sources s using (fingerprint)
    where e.document_id = any (${ids}::text[])
    order by e.fingerprint, e.position
    limit 20`;
  return rows.map((row): Finding => ({
    collection: row.collection,
    document_id: row.document_id,
    state: "excluded",
    generation: null,
    document: "",
    document_from: "not kept",
    row: null,
    quarantine: null,
    history: [],
    rules: [{ rule: row.rule, path: "" }],
    source: {
      fingerprint: row.fingerprint,
      location: row.location,
      range: row.range_number,
      position: row.position,
    },
  }));
}

/**
 * Finds a document by the hex digits of its ObjectId, its uuid, or any `_id` as plain text or Extended JSON.
 *
 * @throws AppError not_found
 */
export async function explainDocument(pool: Pool, id: string): Promise<Finding[]> {
  const meaning = readMeaning(id);
  const names = meaning.ids.map((value) => writeCanonical(value).toWellFormed().replaceAll("\0", "\u2400"));
  const sql = await pool.reserve();
  try {
    const found: Finding[] = [];
    for (const collection of collections) {
      for (const row of await readRows(sql, collection, meaning)) {
        found.push(await explainRow(sql, collection, row));
      }
    }
    found.push(...await explainQuarantined(sql, names, id), ...await explainExcluded(sql, names));
    if (found.length > 0) return found;
    throw new AppError(
      "not_found",
      `explaining '${id}': no row, no quarantined and no excluded document has it; wanted the 24 hex digits of an ` +
        "ObjectId, a uuid, or an _id as it is",
    );
  } finally {
    sql.release();
  }
}

const shorten = (text: string) => text.length > 2000 ? `${text.slice(0, 1999)}…` : text;

function formatFinding(finding: Finding): string {
  const { collection, document_id, state, generation, document, document_from, row, source } = finding;
  const name = {
    row: `has its row in ${tables[collection].name}`,
    quarantined: "is in quarantine",
    excluded: "was left out",
  };
  const lines = [
    `${collection} ${document_id} ${name[state]}${generation === null ? "" : ` (generation ${generation})`}`,
  ];
  if (source) {
    lines.push(`  source    ${source.location}, range ${source.range}, position ${source.position}`);
  }
  if (finding.quarantine) {
    const { reason, path, detail, attempts } = finding.quarantine;
    lines.push(
      `  reason    ${reason}${path === "" ? "" : ` at '${path}'`}: ${detail} (tried ${attempts} times)`,
    );
  }
  for (const { rule, path } of finding.rules) {
    lines.push(`  rule      ${rule}${path === "" ? "" : ` at '${path}'`}`);
  }
  if (finding.rules.length === 0 && row) lines.push("  rule      none: the row says all of it");
  if (document !== "") lines.push(`  document  (${document_from}) ${shorten(document)}`);
  for (const [column, value] of Object.entries(row ?? {})) {
    if (value !== null) lines.push(`  row       ${column} = ${shorten(value)}`);
  }
  for (const { at, what } of finding.history) lines.push(`  history   ${at} ${what}`);
  if (finding.history.length === 0) lines.push("  history   never verified");
  return lines.join("\n");
}

/** The findings for people. */
export const formatFindings = (findings: Finding[]): string => findings.map(formatFinding).join("\n\n");
