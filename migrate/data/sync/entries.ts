/** Ledger entries of followed documents: adjustments, originals, quarantine and waiting documents, by `_id`. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { documentKey } from "../documents/ids.ts";
import { toStorable } from "../documents/ejson_write.ts";
import type { Collection } from "../documents/source.ts";
import type { RejectedDocument, StagedDocument, WaitingDocument } from "./mapping.ts";

/** Approximate maximum of original bytes that one statement sends. */
const originalBytesMax = 8 * 1024 * 1024;

/** Splits documents so that the originals of each part fit into one statement. */
function* parts<T extends { raw: { original(): Uint8Array } }>(documents: readonly T[]): Generator<T[]> {
  let part: T[] = [];
  let bytes = 0;
  for (const document of documents) {
    part.push(document);
    bytes += document.raw.original().length;
    if (bytes <= originalBytesMax) continue;
    yield part;
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield part;
}

/** Deletes all entries of documents. */
export async function deleteEntries(sql: Sql, collection: Collection, documentIds: string[]): Promise<void> {
  const of = sql`collection = ${collection} and document_id in (select id from ids)`;
  await sql`
    with ids as materialized (
      select unnest(${documentIds}::text[]) as id
    ), adjustments as (
      delete from migration.adjustments where ${of}
    ), originals as (
      delete from migration.originals where ${of}
    ), quarantined as (
      delete from migration.quarantine where ${of}
    )
    delete from migration.waiting where ${of}`;
}

async function insertAdjustments(sql: Sql, fingerprint: string, documents: readonly StagedDocument[]) {
  const entries = documents.flatMap(({ collection, documentId, key, adjustments }) =>
    adjustments.map(({ rule, path }) => ({ collection, documentId, rowId: key.slice(-36), rule, path }))
  );
  if (entries.length === 0) return;
  const collections = entries.map(({ collection }) => collection);
  const ids = entries.map(({ documentId }) => documentId);
  const rowIds = entries.map(({ rowId }) => rowId);
  const rules = entries.map(({ rule }) => rule);
  const paths = entries.map(({ path }) => toStorable(path));
  await sql`
    insert into migration.adjustments
      (fingerprint, collection, range_number, position, document_id, row_id, rule, path)
    select ${fingerprint}, a.collection, 0, nextval('migration.live_positions'), a.id, a.row_id, a.rule, a.path
    from unnest(
      ${collections}::text[], ${ids}::text[], ${rowIds}::uuid[], ${rules}::text[], ${paths}::text[]
    ) as a (collection, id, row_id, rule, path)`;
}

async function insertOriginals(sql: Sql, fingerprint: string, documents: readonly StagedDocument[]) {
  for (const part of parts(documents.filter(({ keepOriginal }) => keepOriginal))) {
    const collections = part.map(({ collection }) => collection);
    const ids = part.map(({ documentId }) => documentId);
    const rowIds = part.map(({ key }) => key.slice(-36));
    const originals = part.map(({ raw }) => raw.original().toBase64());
    await sql`
      insert into migration.originals (fingerprint, collection, range_number, position, document_id, row_id, original)
      select ${fingerprint}, o.collection, 0, nextval('migration.live_positions'), o.id, o.row_id,
        decode(o.original, 'base64')
      from unnest(
        ${collections}::text[], ${ids}::text[], ${rowIds}::uuid[], ${originals}::text[]
      ) as o (collection, id, row_id, original)`;
  }
}

/** Inserts the adjustments and the originals of documents that have a row. */
export async function insertRowEntries(sql: Sql, fingerprint: string, documents: readonly StagedDocument[]) {
  await insertAdjustments(sql, fingerprint, documents);
  await insertOriginals(sql, fingerprint, documents);
}

/** Returns what the quarantine and the waiting documents have in common, as one array for each column. */
const exceptionColumns = (
  part: readonly (RejectedDocument | WaitingDocument)[],
  withRow: ReadonlySet<string>,
) => ({
  collections: part.map(({ collection }) => collection),
  ids: part.map(({ documentId }) => documentId),
  reasons: part.map(({ rejection }) => rejection.reason),
  paths: part.map(({ rejection }) => toStorable(rejection.path)),
  details: part.map(({ rejection }) => toStorable(rejection.detail)),
  originals: part.map(({ raw }) => raw.original().toBase64()),
  hasRow: part.map(({ legacyId }) => String(withRow.has(legacyId))),
});

/**
 * Inserts rejected documents into the quarantine.
 *
 * @param withRow `legacy_id`s of documents whose last accepted version still has its row
 */
export async function insertQuarantined(
  sql: Sql,
  fingerprint: string,
  documents: readonly RejectedDocument[],
  withRow: ReadonlySet<string>,
): Promise<void> {
  for (const part of parts(documents)) {
    const { collections, ids, reasons, paths, details, originals, hasRow } = exceptionColumns(part, withRow);
    await sql`
      insert into migration.quarantine
        (fingerprint, collection, range_number, position, document_id, reason, path, detail, original, has_row)
      select ${fingerprint}, q.collection, 0, nextval('migration.live_positions'), q.id, q.reason, q.path, q.detail,
        decode(q.original, 'base64'), q.has_row::boolean
      from unnest(
        ${collections}::text[], ${ids}::text[], ${reasons}::text[], ${paths}::text[], ${details}::text[],
        ${originals}::text[], ${hasRow}::text[]
      ) as q (collection, id, reason, path, detail, original, has_row)`;
  }
}

/**
 * Inserts waiting documents.
 *
 * @param withRow as in insertQuarantined()
 */
export async function insertWaiting(
  sql: Sql,
  documents: readonly WaitingDocument[],
  withRow: ReadonlySet<string>,
): Promise<void> {
  for (const part of parts(documents)) {
    const { collections, ids, reasons, paths, details, originals, hasRow } = exceptionColumns(part, withRow);
    const awaited = part.map(({ awaited }) => documentKey(awaited));
    await sql`
      insert into migration.waiting (collection, document_id, reason, path, detail, awaited, original, has_row)
      select w.collection, w.id, w.reason, w.path, w.detail, w.awaited, decode(w.original, 'base64'), w.has_row::boolean
      from unnest(
        ${collections}::text[], ${ids}::text[], ${reasons}::text[], ${paths}::text[], ${details}::text[],
        ${awaited}::text[], ${originals}::text[], ${hasRow}::text[]
      ) as w (collection, id, reason, path, detail, awaited, original, has_row)`;
  }
}

/** A waiting document with its bytes, as they were when it last changed. */
export interface WaitingRow {
  collection: Collection;
  document_id: string;
  original: Uint8Array;
}

/** Maximum of waiting documents, and of their bytes, that one statement reads; at least one is read. */
const waitingMax = 500;
const waitingBytesMax = 16 * 1024 * 1024;

/** What to list: everything after a row, in the order of the keys, that a condition selects. */
async function listWaitingWhere(
  sql: Sql,
  condition: PendingQuery<Row[]>,
  after: WaitingRow | undefined,
): Promise<WaitingRow[]> {
  return await sql<WaitingRow[]>`
    select collection, document_id, original
    from (
      select w.collection, w.document_id, w.original,
        sum(octet_length(w.original)) over keys - octet_length(w.original) as bytes_before
      from migration.waiting w
      where (w.collection, w.document_id) > (${after?.collection ?? ""}, ${
    after?.document_id ?? ""
  }) and ${condition}
      window keys as (order by w.collection, w.document_id)
      order by w.collection, w.document_id
      limit ${waitingMax}
    ) as page
    where bytes_before < ${waitingBytesMax}
    order by collection, document_id`;
}

/** Lists waiting documents that can be tried again because what they await has changed. */
export async function listReleased(
  sql: Sql,
  released: ReadonlyMap<Collection, string[]>,
  after: WaitingRow | undefined,
): Promise<WaitingRow[]> {
  const collections = [...released].flatMap(([collection, names]) => names.map(() => collection));
  const names = [...released.values()].flat().map(documentKey);
  if (names.length === 0) return [];
  const isReleased = sql`
    (w.collection, w.awaited) in (select * from unnest(${collections}::text[], ${names}::text[]))`;
  return await listWaitingWhere(sql, isReleased, after);
}

/** Lists users that wait for an e-mail and have a row, whose e-mail others may wait for. */
export const listWaitingUsers = (sql: Sql, after: WaitingRow | undefined): Promise<WaitingRow[]> =>
  listWaitingWhere(sql, sql`w.collection = 'users' and w.has_row`, after);

/** Lists all waiting documents. */
export const listWaiting = (sql: Sql, after: WaitingRow | undefined): Promise<WaitingRow[]> =>
  listWaitingWhere(sql, sql`true`, after);

/** Lists the quarantined documents of a followed source. */
export async function listQuarantined(
  sql: Sql,
  fingerprint: string,
  after: WaitingRow | undefined,
): Promise<WaitingRow[]> {
  return await sql<WaitingRow[]>`
    select q.collection, q.document_id, q.original
    from migration.quarantine q
    where q.fingerprint = ${fingerprint}
      and (q.collection, q.document_id) > (${after?.collection ?? ""}, ${after?.document_id ?? ""})
    order by q.collection, q.document_id
    limit 100`;
}
