/**
 * Compares a whole collection with its rows by digests of the documents, and returns the keys of those that differ.
 * The server computes the digests of its documents; ours are those of the documents that the rows rebuild. Documents
 * are read in full only when they are applied.
 */
import type postgres from "postgres";
import { copyOut } from "../tools/copy.ts";
import { readBson } from "../documents/bson_read.ts";
import { writeBson } from "../documents/bson_write.ts";
import { documentKey, legacyIdOf, tagId } from "../documents/ids.ts";
import { hashDocument } from "../documents/mongo_hash.ts";
import { type BsonValue, ObjectId } from "../documents/tree.ts";
import type { Collection } from "../documents/source.ts";
import { decodeRow, tables } from "../lens/tables.ts";
import { idDocument, writeIdDocument } from "../sources/mongo_bounds.ts";
import { type FollowedMongo, idOf } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import { isDigestUnsupported } from "../sources/mongo_errors.ts";

/** Identifies the content of a document. A document without one always differs. */
type Digest = string | undefined;

const digestOf = (bytes: Uint8Array): Digest => {
  const hash = hashDocument(bytes);
  return hash === undefined ? undefined : `${hash}/${bytes.length}`;
};

/** A document of the source: its key and its digest. */
interface SourceDigest {
  id: BsonValue;
  key: Uint8Array;
  digest: Digest;
}

const digestPipeline = [
  { $sort: { _id: 1 } },
  { $project: { h: { $toHashedIndexKey: "$$ROOT" }, s: { $bsonSize: "$$ROOT" } } },
];

function toSourceDigest(bytes: Uint8Array): SourceDigest {
  const answer = readBson(bytes);
  return {
    id: answer.get("_id")!,
    key: idDocument(bytes),
    digest: `${answer.get("h")}/${answer.get("s")}`,
  };
}

/** Yields the digests of all documents in `_id` order. A server that cannot compute them sends the documents. */
async function* readSource(source: FollowedMongo, collection: Collection): AsyncGenerator<SourceDigest[]> {
  try {
    for await (const batch of source.aggregate(collection, digestPipeline)) yield batch.map(toSourceDigest);
  } catch (error) {
    if (!isDigestUnsupported(error)) throw error;
    for await (const { documents } of source.readPages(collection, "")) {
      yield documents.map(({ id, raw }) => {
        const bytes = raw.original();
        return { id, key: idDocument(bytes), digest: digestOf(bytes) };
      });
    }
  }
}

/** Digests of documents whose bytes are kept: they have no row, or their row cannot rebuild them. */
interface KeptDigests {
  /** Waiting and quarantined documents by documentKey(). */
  exceptions: Map<string, Digest>;
  /** `{_id: …}` of these documents. */
  keys: Map<string, Uint8Array>;
  /** Documents with kept originals, by documentKey(). */
  originals: Map<string, Digest>;
  /** Rows with ledger entries of an earlier load, which the followed source must get anew. */
  reapplied: Set<string>;
}

async function readKept(sql: postgres.Sql, collection: Collection): Promise<KeptDigests> {
  const kept: KeptDigests = {
    exceptions: new Map(),
    keys: new Map(),
    originals: new Map(),
    reapplied: new Set(),
  };
  const exceptions = sql<{ document_id: string; original: Uint8Array }[]>`
    select document_id, original from migration.waiting where collection = ${collection}
    union all
    select document_id, original from migration.quarantine
    where collection = ${collection} and fingerprint in (select fingerprint from migration.follows)`;
  await exceptions.cursor(500, (rows) => {
    for (const { document_id, original } of rows) {
      kept.exceptions.set(document_id, digestOf(original));
      kept.keys.set(document_id, idDocument(original));
    }
  });
  const originals = sql<{ document_id: string; original: Uint8Array }[]>`
    select document_id, original from migration.originals
    where collection = ${collection} and document_id is not null`;
  await originals.cursor(500, (rows) => {
    for (const { document_id, original } of rows) kept.originals.set(document_id, digestOf(original));
  });
  const reapplied = sql<{ row_id: string }[]>`
    select row_id::text from migration.adjustments where collection = ${collection} and document_id is null
    union
    select row_id::text from migration.originals where collection = ${collection} and document_id is null`;
  await reapplied.cursor(10_000, (rows) => {
    for (const { row_id } of rows) kept.reapplied.add(row_id);
  });
  return kept;
}

/** Keys of documents to apply, by tagId(). */
export type DifferingKeys = Map<string, Uint8Array>;

/** Compares one collection. */
class Comparison {
  readonly differing: DifferingKeys = new Map();
  /** Ids of the rows, by `legacy_id`, whose `_id` is no ObjectId and that have not been seen in the source. */
  #unusual = new Map<string, { id: BsonValue; digest: Digest }>();
  #lower = "";

  constructor(
    readonly sql: postgres.Sql,
    readonly collection: Collection,
    readonly kept: KeptDigests,
  ) {}

  /** Reads the rows whose `_id` is no ObjectId. Their order is not that of the source. */
  async begin(): Promise<void> {
    for await (const row of this.#readRows("t.extra -> '_id' is not null")) {
      this.#unusual.set(row.legacyId, { id: row.id, digest: row.digest });
    }
  }

  /** Compares documents of consecutive `_id`s. */
  async add(page: readonly SourceDigest[]): Promise<void> {
    const usual = page.filter(({ id }) => id instanceof ObjectId);
    for (const { id, key, digest } of page) {
      if (id instanceof ObjectId) continue;
      const legacyId = legacyIdOf(this.collection, id);
      this.#compare(id, key, digest, this.#unusual.get(legacyId)?.digest);
      this.#unusual.delete(legacyId);
    }
    const upper = (usual.at(-1)?.id as ObjectId | undefined)?.hex;
    if (upper !== undefined) await this.#compareUpTo(upper, usual);
  }

  /** Finds rows and exceptions whose documents do not exist any more. */
  async finish(): Promise<void> {
    await this.#compareUpTo("g", []);
    for (const { id } of this.#unusual.values()) this.#addMissing(id);
    for (const key of this.kept.keys.values()) this.differing.set(tagId(idOf(key)), key);
  }

  async #compareUpTo(upper: string, page: readonly SourceDigest[]): Promise<void> {
    const rows = new Map<string, Digest>();
    const where = `t.legacy_id > '${this.#lower}' and t.legacy_id <= '${upper}' and t.extra -> '_id' is null`;
    for await (const { legacyId, digest } of this.#readRows(where)) rows.set(legacyId, digest);
    failpoint("gap.rows_read");
    for (const { id, key, digest } of page) {
      const { hex } = id as ObjectId;
      this.#compare(id, key, digest, rows.get(hex));
      rows.delete(hex);
    }
    for (const hex of rows.keys()) this.#addMissing(new ObjectId(hex));
    this.#lower = upper;
  }

  #compare(id: BsonValue, key: Uint8Array, source: Digest, row: Digest): void {
    const document = documentKey(id);
    const { exceptions, keys } = this.kept;
    const known = exceptions.has(document) ? exceptions.get(document) : row;
    keys.delete(document);
    if (source === undefined || source !== known) this.differing.set(tagId(id), key);
  }

  #addMissing(id: BsonValue): void {
    this.differing.set(tagId(id), writeIdDocument(id));
  }

  async *#readRows(where: string) {
    const { name, columns, toDocument } = tables[this.collection];
    const { originals, reapplied } = this.kept;
    const statement = `copy (
      select ${columns.map((column) => `t.${column}`).join()}
      from ${name} t
      where t.generation is not null and ${where}
    ) to stdout`;
    for await (const line of copyOut(this.sql, statement)) {
      const row = decodeRow(this.collection, line);
      const document = toDocument(row);
      const id = document.get("_id")!;
      const kept = originals.get(documentKey(id));
      const digest = reapplied.has(row.id!) ? undefined : kept ?? digestOf(writeBson(document));
      yield { legacyId: row.legacy_id!, id, digest };
    }
  }
}

/**
 * Compares a collection with its rows and ledger entries.
 *
 * @param onPage receives the number of compared documents
 * @returns the keys of documents that differ, or exist on one side only
 */
export async function findDiffering(
  sql: postgres.Sql,
  source: FollowedMongo,
  collection: Collection,
  onPage: (documents: number) => void,
): Promise<DifferingKeys> {
  const comparison = new Comparison(sql, collection, await readKept(sql, collection));
  await comparison.begin();
  for await (const page of readSource(source, collection)) {
    failpoint("gap.source_read");
    await comparison.add(page);
    onPage(page.length);
  }
  await comparison.finish();
  return comparison.differing;
}
