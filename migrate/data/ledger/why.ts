/** Explains one document: its row, its quarantine, waiting or exclusion entry, the rules applied to it, and its history. */
import type postgres from "postgres";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { copyOut } from "../tools/copy.ts";
import { readValue } from "../documents/ejson_read.ts";
import { toStorable, writeCanonical } from "../documents/ejson_write.ts";
import { taskUuidOf } from "../../../uuid.ts";
import { documentKey, isUuidText, legacyIdOf, subtaskUuidOf } from "../documents/ids.ts";
import type { Row } from "../lens/draft.ts";
import { parseOriginal } from "./original.ts";
import { type Collection, collections } from "../documents/source.ts";
import { decodeRow, tables } from "../lens/tables.ts";
import { type BsonDocument, type BsonValue, ObjectId } from "../documents/tree.ts";
import { findFollowedSource, findWaiting, type FollowedSource } from "./why_follow.ts";
import { findSourcePosition, type HistoryEntry, readHistory, type SourcePosition } from "./why_history.ts";

/** Everything that the database records about one document. */
export interface Explanation {
  collection: Collection;
  /** Canonical Extended JSON of `_id`. */
  document_id: string;
  state: "row" | "quarantined" | "waiting" | "excluded";
  generation: string | null;
  /** Canonical Extended JSON of the whole document. */
  document: string;
  /** Origin of `document`: rebuilt from the row, or parsed from the original bytes. */
  document_from: "row" | "original bytes" | "not kept";
  row: Row | null;
  rules: { rule: string; path: string }[];
  /** Why the document is in quarantine; null when it is not. */
  quarantine: { reason: string; path: string; detail: string; attempts: number } | null;
  /** Why a followed document waits for its row; null when it does not. */
  waiting: { reason: string; path: string; detail: string } | null;
  /** Position in the source, where the ledger has an entry; null for a row without entries, and for a followed one. */
  source: SourcePosition | null;
  /** The source that the document is followed from; null for a document that was loaded. */
  followed: FollowedSource | null;
  history: HistoryEntry[];
}

/** Possible meanings of an id that an operator types. */
interface IdCandidates {
  /** Possible values of `_id`. */
  ids: BsonValue[];
  /** Possible ids of the row. */
  uuids: string[];
}

function parseId(text: string): IdCandidates {
  const ids: BsonValue[] = [text];
  if (/^[0-9a-f]{24}$/i.test(text)) ids.push(new ObjectId(text.toLowerCase()));
  try {
    ids.push(readValue(text, "ejson"));
  } catch {
    // The text is not JSON; it is only considered as a plain string.
  }
  const uuids = isUuidText(text) ? [text.toLowerCase()] : [taskUuidOf(text), subtaskUuidOf(text)];
  return { ids, uuids };
}

async function readRows(
  sql: postgres.ReservedSql,
  collection: Collection,
  { ids, uuids }: IdCandidates,
): Promise<Row[]> {
  const { name, columns } = tables[collection];
  const legacyIds = ids.map((id) => legacyIdOf(collection, id));
  const rows: Row[] = [];
  // Both lists hold only hex digits and dashes, so they need no quoting.
  const statement = `
    copy (
      select ${columns.join()}
      from ${name}
      where legacy_id = any ('{${legacyIds.join()}}'::text[]) or id = any ('{${uuids.join()}}'::uuid[])
    ) to stdout`;
  for await (const line of copyOut(sql, statement)) {
    rows.push(decodeRow(collection, line));
  }
  return rows;
}

/** The followed source, if there is one. */
type Followed = Awaited<ReturnType<typeof findFollowedSource>>;

function showFollowed(followed: Followed): FollowedSource | null {
  if (followed === null) return null;
  const { location, state, position_at, applied_at } = followed;
  return { location, state, position_at, applied_at };
}

async function explainRow(
  sql: Sql,
  collection: Collection,
  row: Row,
  followed: Followed,
): Promise<Explanation> {
  const rules = await sql<{ rule: string; path: string }[]>`
    select distinct rule, path
    from migration.adjustments
    where collection = ${collection} and row_id = ${row.id!}
    order by rule, path`;
  const [entry] = await sql<{ position: number; original: Uint8Array }[]>`
    select position::float8 as position, original
    from migration.originals
    where collection = ${collection} and row_id = ${row.id!}
    limit 1`;
  let document: BsonDocument;
  try {
    document = entry
      ? parseOriginal(entry.position, entry.original).read()
      : tables[collection].toDocument(row);
  } catch (cause) {
    throw new AppError(
      "internal",
      `explaining ${collection} row ${row.id}: the row cannot be converted to a document`,
      { cause },
    );
  }
  const document_id = writeCanonical(document.get("_id") ?? null);
  return {
    collection,
    document_id,
    state: "row",
    generation: row.generation ?? null,
    document: writeCanonical(document),
    document_from: entry ? "original bytes" : "row",
    row,
    rules: [...rules],
    quarantine: null,
    waiting: null,
    source: await findSourcePosition(sql, collection, row.id!),
    followed: row.generation === null ? null : showFollowed(followed),
    history: await readHistory(sql, { collection, document_id, legacyId: row.legacy_id ?? null }),
  };
}

function formatOriginal(position: number, original: Uint8Array): string {
  try {
    return writeCanonical(parseOriginal(position, original).read());
  } catch {
    return new TextDecoder().decode(original);
  }
}

const positionOf = ({ fingerprint, location, range_number, position }: postgres.Row): SourcePosition => ({
  fingerprint,
  location,
  range: range_number,
  position,
});

async function explainQuarantined(
  sql: Sql,
  ids: string[],
  text: string,
  followed: Followed,
): Promise<Explanation[]> {
  // A document's own field `id` is found by its text inside the original bytes.
  const rows = await sql`
    select q.collection, q.document_id, q.reason, q.path, q.detail, q.attempts, q.original, q.fingerprint,
      q.range_number, q.position::float8 as position, s.location
    from migration.quarantine q
    join migration.sources s using (fingerprint)
    where q.document_id = any (${ids}::text[])
      or (length(${text}) >= 8 and position(convert_to(${text}, 'UTF8') in q.original) > 0)
    order by q.document_id = any (${ids}::text[]) desc, q.id
    limit 20`;
  return await Promise.all(rows.map(async (row): Promise<Explanation> => {
    const { collection, document_id, reason, path, detail, attempts, position, original } = row;
    return {
      collection,
      document_id,
      state: "quarantined",
      generation: null,
      document: formatOriginal(position, original),
      document_from: "original bytes",
      row: null,
      rules: [],
      quarantine: { reason, path, detail, attempts },
      waiting: null,
      source: row.fingerprint === followed?.fingerprint ? null : positionOf(row),
      followed: row.fingerprint === followed?.fingerprint ? showFollowed(followed) : null,
      history: await readHistory(sql, { collection, document_id, legacyId: null }),
    };
  }));
}

async function explainWaiting(
  sql: Sql,
  ids: string[],
  text: string,
  followed: Followed,
): Promise<Explanation[]> {
  const rows = await findWaiting(sql, ids, text);
  return await Promise.all(rows.map(async (row): Promise<Explanation> => {
    const { collection, document_id, reason, path, detail, original } = row;
    return {
      collection,
      document_id,
      state: "waiting",
      generation: null,
      document: formatOriginal(0, original),
      document_from: "original bytes",
      row: null,
      rules: [],
      quarantine: null,
      waiting: { reason, path, detail },
      source: null,
      followed: showFollowed(followed),
      history: await readHistory(sql, { collection, document_id, legacyId: null }),
    };
  }));
}

async function explainExcluded(sql: Sql, ids: string[]): Promise<Explanation[]> {
  const rows = await sql`
    select e.collection, e.document_id, e.rule, e.fingerprint, e.range_number, e.position::float8 as position,
      s.location
    from migration.exclusions e
    join migration.sources s using (fingerprint)
    where e.document_id = any (${ids}::text[])
    order by e.fingerprint, e.position
    limit 20`;
  return rows.map((row): Explanation => ({
    collection: row.collection,
    document_id: row.document_id,
    state: "excluded",
    generation: null,
    document: "",
    document_from: "not kept",
    row: null,
    quarantine: null,
    waiting: null,
    followed: null,
    history: [],
    rules: [{ rule: row.rule, path: "" }],
    source: positionOf(row),
  }));
}

/**
 * Finds documents by the hex digits of an ObjectId, by a uuid, or by any `_id` as plain text or Extended JSON.
 *
 * @throws AppError not_found
 */
export async function explainDocument(pool: Pool, id: string): Promise<Explanation[]> {
  const candidates = parseId(id);
  const documentIds = candidates.ids.map((value) => toStorable(writeCanonical(value)));
  // The ledger cuts the long `_id`s of followed documents.
  const keys = [...new Set([...documentIds, ...candidates.ids.map(documentKey)])];
  const sql = await pool.reserve();
  try {
    const explanations: Explanation[] = [];
    const followed = await findFollowedSource(sql);
    for (const collection of collections) {
      for (const row of await readRows(sql, collection, candidates)) {
        explanations.push(await explainRow(sql, collection, row, followed));
      }
    }
    explanations.push(...await explainQuarantined(sql, keys, id, followed));
    explanations.push(...await explainWaiting(sql, keys, id, followed));
    explanations.push(...await explainExcluded(sql, documentIds));
    if (explanations.length > 0) return explanations;
    throw new AppError(
      "not_found",
      `explaining '${id}': no row, quarantined, waiting or excluded document has this id; wanted the 24 hex digits ` +
        "of an ObjectId, a uuid, or an _id as text or Extended JSON",
    );
  } finally {
    sql.release();
  }
}
