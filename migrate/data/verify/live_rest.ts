/** Finds what the target has of documents that do not exist: rows, exceptions and ledger entries. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { readValue } from "../documents/ejson_read.ts";
import type { Collection } from "../documents/source.ts";
import type { BsonValue } from "../documents/tree.ts";
import { decodeRow, tables } from "../lens/tables.ts";
import { idDocument, writeIdDocument } from "../sources/mongo_bounds.ts";
import type { LiveReader } from "./live_reader.ts";
import { readUnusualRows } from "./live_target.ts";

const keysAtOnce = 500;

/** Collects keys, and keeps those that no document has. */
class MissingKeys {
  readonly missing: Uint8Array[] = [];
  #keys: Uint8Array[] = [];

  constructor(readonly reader: LiveReader, readonly collection: Collection) {}

  async add(key: Uint8Array): Promise<void> {
    this.#keys.push(key);
    if (this.#keys.length >= keysAtOnce) await this.flush();
  }

  async flush(): Promise<void> {
    const keys = this.#keys;
    this.#keys = [];
    if (keys.length > 0) this.missing.push(...await this.reader.findMissing(this.collection, keys));
  }
}

function idOfRow(collection: Collection, line: string): BsonValue | undefined {
  try {
    return tables[collection].toDocument(decodeRow(collection, line)).get("_id");
  } catch {
    // The row cannot be mapped to a document. Its own document finds the difference.
    return undefined;
  }
}

/** Returns the key of an entry's document. A text that was cut or changed to be stored needs the bytes. */
function keyOfEntry({ document_id, original }: Entry): Uint8Array | undefined {
  try {
    if (original) return idDocument(original);
    return isExact(document_id) ? writeIdDocument(readValue(document_id, "ejson")) : undefined;
  } catch {
    // The bytes are damaged. If the document exists, it finds the difference.
    return undefined;
  }
}

const exactLengthMax = 400;
const isExact = (documentId: string): boolean =>
  documentId.length <= exactLengthMax && !/[\u2400\ufffd]/.test(documentId);

interface Entry {
  document_id: string;
  original: Uint8Array | null;
}

/** Lists quarantined and waiting documents, then entries whose row does not exist. */
async function listEntries(
  sql: Sql,
  fingerprint: string,
  collection: Collection,
  after: string,
): Promise<Entry[]> {
  const { name } = tables[collection];
  // Chars that replace others: the symbol for NUL, and the replacement character.
  const original = sql`
    case when length(document_id) > ${exactLengthMax} or document_id ~ '[\u2400\ufffd]' then original end`;
  return await sql<Entry[]>`
    select e.document_id, (array_agg(e.original))[1] as original
    from (
      select document_id, ${original} as original
      from migration.quarantine
      where fingerprint = ${fingerprint} and collection = ${collection}
      union all
      select document_id, ${original}
      from migration.waiting
      where collection = ${collection}
      union all
      select a.document_id, null
      from migration.adjustments a
      where a.collection = ${collection} and not exists (select from ${sql(name)} t where t.id = a.row_id)
      union all
      select o.document_id, null
      from migration.originals o
      where o.collection = ${collection} and not exists (select from ${sql(name)} t where t.id = o.row_id)
    ) as e
    where e.document_id > ${after}
    group by e.document_id
    order by e.document_id
    limit ${keysAtOnce}`;
}

/**
 * Returns the keys of documents of which the target has something although they do not exist. Rows whose `_id` is an
 * ObjectId are found between the documents.
 */
export async function findWithoutDocument(
  sql: postgres.ReservedSql,
  reader: LiveReader,
  collection: Collection,
): Promise<Uint8Array[]> {
  const keys = new MissingKeys(reader, collection);
  for await (const line of readUnusualRows(sql, collection)) {
    const id = idOfRow(collection, line);
    if (id !== undefined) await keys.add(writeIdDocument(id));
  }
  for (let after = "";;) {
    const entries = await listEntries(sql, reader.fingerprint, collection, after);
    if (entries.length === 0) break;
    for (const entry of entries) {
      const key = keyOfEntry(entry);
      if (key) await keys.add(key);
    }
    after = entries.at(-1)!.document_id;
  }
  await keys.flush();
  return keys.missing;
}
