/**
 * Compares both sides in full: the bytes of every document in MongoDB with those that its row makes. What changes
 * meanwhile is compared again before it counts as different.
 */
import { wait } from "../../../wait.ts";
import type postgres from "postgres";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { BsonError } from "../documents/bson_layout.ts";
import { documentKey, legacyIdOf } from "../documents/ids.ts";
import { type Collection, collections } from "../documents/source.ts";
import { keyOf, mapDocument, tables, tryFastPath } from "../lens/tables.ts";
import { writeIdDocument } from "../sources/mongo_bounds.ts";
import { type FollowedMongo, idOf, type KeyedRaw } from "../sources/mongo_follow.ts";
import { Parents } from "../sync/parents.ts";
import type { Progress } from "../tools/progress.ts";
import { mismatchesMax } from "../verify/result.ts";
import { makeDocument, readDeletedId } from "./documents.ts";
import { countChanges } from "./capture.ts";
import { readRows } from "./rows.ts";
import {
  type BackMismatch,
  type BackVerdict,
  explain,
  isWritten,
  missing,
  type Suspect,
  suspectOf,
} from "./suspects.ts";

/** Attempts at a document that differs, and the wait before each, in milliseconds. */
const attempts = 3;
const attemptMs = 1000;
/** Documents that are compared again. With more, the sides differ for another reason than traffic. */
const recheckMax = 5000;
/** Rows whose documents are looked up at once. */
const rowsAtOnce = 1000;

export interface BackVerifyOptions {
  progress: Progress;
  signal: AbortSignal;
}

class BackVerifier {
  #documents = 0;
  #rows = 0;
  #differences = 0;
  readonly #mismatches: BackMismatch[] = [];
  #suspects: Suspect[] = [];
  #kept = 0;
  /** Rows that have their document. */
  #matched = 0;

  constructor(
    readonly sql: postgres.ReservedSql,
    readonly source: FollowedMongo,
    readonly parents: Parents,
    readonly options: BackVerifyOptions,
  ) {}

  async run(): Promise<BackVerdict> {
    const { progress, signal } = this.options;
    for (const collection of collections) {
      progress.begin(`comparing ${collection}`, 0);
      this.#matched = 0;
      for await (const { documents, bytes } of this.source.readPages(collection, "")) {
        signal.throwIfAborted();
        await this.#comparePage(collection, documents);
        progress.add(bytes, documents.length);
      }
      await this.#findRowsWithoutDocument(collection);
    }
    progress.end();
    await this.#recheck();
    return {
      verdict: this.#differences === 0 ? "equal" : "different",
      documents: this.#documents,
      rows: this.#rows,
      kept: this.#kept,
      pending: await countChanges(this.sql as unknown as Sql),
      differences: this.#differences,
      mismatches: this.#mismatches,
    };
  }

  async #comparePage(collection: Collection, documents: readonly KeyedRaw[]): Promise<void> {
    this.#documents += documents.length;
    const { suspects, rows } = await this.#compare(collection, documents);
    this.#matched += rows;
    this.#rows += rows;
    const known = await this.#findKept(collection, suspects.map(({ documentId }) => documentId));
    this.#kept += known.size;
    this.#suspects.push(...suspects.filter(({ documentId }) => !known.has(documentId)));
  }

  /** Compares documents with their rows. Returns those that differ, and the number of rows found. */
  async #compare(collection: Collection, documents: readonly KeyedRaw[]) {
    const keys = new Map<string, KeyedRaw>();
    const rowless: KeyedRaw[] = [];
    const findKey = await this.#findKeys(collection, documents);
    for (const document of documents) {
      const key = findKey(document);
      if (key === undefined || keys.has(key)) rowless.push(document);
      else keys.set(key, document);
    }
    const suspects: Suspect[] = [];
    const found = new Set<KeyedRaw>();
    for await (const rows of readRows(this.sql, collection, [...keys.keys()])) {
      for (const row of rows) {
        const document = keys.get(keyOf(collection, row.row))!;
        if (row.row.legacy_id !== legacyIdOf(collection, document.id)) continue;
        found.add(document);
        const wanted = makeDocument(row);
        if (isWritten(document.raw.original(), wanted)) continue;
        const mismatch = explain(collection, documentKey(document.id), document.raw.read(), wanted);
        suspects.push(suspectOf(collection, document, mismatch));
      }
    }
    rowless.push(...[...keys.values()].filter((document) => !found.has(document)));
    for (const document of rowless) {
      const mismatch = missing(collection, documentKey(document.id), "missing_row");
      suspects.push(suspectOf(collection, document, mismatch));
    }
    return { suspects, rows: found.size };
  }

  /** Returns a function that yields the key of a document's row, or undefined where it has none. */
  async #findKeys(
    collection: Collection,
    documents: readonly KeyedRaw[],
  ): Promise<(document: KeyedRaw) => string | undefined> {
    if (collection === "dramatiq_tasks") return (document) => this.#keyOf(collection, document);
    const ids = documents.map(({ id }) => legacyIdOf(collection, id));
    const rows = await this.sql<{ id: string; legacy_id: string }[]>`
      select id::text as id, legacy_id from ${this.sql(collection)} where legacy_id = any (${ids}::text[])`;
    const keys = new Map(rows.map(({ id, legacy_id }) => [legacy_id, id]));
    return ({ id }) => keys.get(legacyIdOf(collection, id));
  }

  /** Returns the key of a subtask's row, which has no index on `legacy_id`; undefined where the lens gives it none. */
  #keyOf(collection: Collection, { raw }: KeyedRaw): string | undefined {
    const findParent = (name: string) => this.parents.find(name);
    try {
      const fast = tryFastPath(collection, raw, findParent);
      if (fast) return fast.key;
      const mapped = mapDocument(collection, raw, findParent);
      return "rejected" in mapped ? undefined : keyOf(collection, mapped.row);
    } catch (error) {
      if (error instanceof BsonError) return undefined;
      throw error;
    }
  }

  /** Returns those of these documents that a rule keeps without a row of their own. */
  async #findKept(collection: Collection, documentIds: readonly string[]): Promise<Set<string>> {
    if (documentIds.length === 0) return new Set();
    const chosen = this.sql`collection = ${collection} and document_id = any (${[...documentIds]}::text[])`;
    const rows = await this.sql<{ id: string }[]>`
      select document_id as id from migration.waiting where ${chosen}
      union select document_id from migration.quarantine where ${chosen}
      union select document_id from migration.exclusions where ${chosen}`;
    return new Set(rows.map(({ id }) => id));
  }

  /** Looks up the document of every row, where there are more rows than documents that have one. */
  async #findRowsWithoutDocument(collection: Collection): Promise<void> {
    const { name, keyColumns } = tables[collection];
    const [counts] = await this.sql.unsafe(`select count(*)::float8 as rows from ${name}`);
    if (counts!.rows <= this.#matched) return;
    const key = keyColumns.join();
    const zero = keyColumns.map(() => "00000000-0000-0000-0000-000000000000");
    for (let after: string[] = zero; after.length > 0;) {
      this.options.signal.throwIfAborted();
      const rows = await this.sql.unsafe<Record<string, string>[]>(
        `
        select ${keyColumns.map((column) => `${column}::text as ${column}`).join()},
          migration.document_id(legacy_id, extra) as document_id
        from ${name}
        where (${key}) > (${after.map((_, i) => `$${i + 1}::uuid`).join()})
        order by ${key}
        limit ${rowsAtOnce}`,
        after,
      );
      await this.#lookUp(collection, rows.map(({ document_id }) => document_id!));
      const last = rows.at(-1);
      after = last ? keyColumns.map((column) => last[column]!) : [];
    }
  }

  async #lookUp(collection: Collection, documentIds: readonly string[]): Promise<void> {
    const keys = new Map(documentIds.map((text) => {
      const id = readDeletedId(text);
      return [documentKey(id), writeIdDocument(id)];
    }));
    for await (const found of this.source.readByKey(collection, [...keys.values()])) {
      for (const { id } of found) keys.delete(documentKey(id));
    }
    for (const [documentId, id] of keys) {
      const mismatch = missing(collection, documentId, "missing_document");
      this.#suspects.push({ collection, id, documentId, mismatch });
    }
  }

  /** Compares suspects again, since either side may have changed between the two reads. */
  async #recheck(): Promise<void> {
    for (let attempt = 0; attempt < attempts && this.#suspects.length > 0; attempt++) {
      if (this.#suspects.length > recheckMax) break;
      if (attempt > 0) await wait(attemptMs);
      this.options.signal.throwIfAborted();
      const left: Suspect[] = [];
      for (const collection of collections) {
        const own = this.#suspects.filter((suspect) => suspect.collection === collection);
        for (let at = 0; at < own.length; at += rowsAtOnce) {
          left.push(...await this.#compareAgain(collection, own.slice(at, at + rowsAtOnce)));
        }
      }
      this.#suspects = left;
    }
    const pending = await this.#listPending();
    for (const { mismatch, documentId } of this.#suspects) {
      if (pending.has(documentId)) mismatch.cause = "not_written";
      this.#differences++;
      if (this.#mismatches.length < mismatchesMax) this.#mismatches.push(mismatch);
    }
  }

  async #compareAgain(collection: Collection, suspects: readonly Suspect[]): Promise<Suspect[]> {
    const left: Suspect[] = [];
    const unseen = new Map(suspects.map((suspect) => [suspect.documentId, suspect]));
    for await (const found of this.source.readByKey(collection, suspects.map(({ id }) => id))) {
      for (const { id } of found) unseen.delete(documentKey(id));
      left.push(...(await this.#compare(collection, found)).suspects);
    }
    const living = await this.#findLiving(collection, [...unseen.values()]);
    for (const [documentId, { id }] of unseen) {
      if (!living.has(documentId)) continue;
      left.push({
        collection,
        id,
        documentId,
        mismatch: missing(collection, documentId, "missing_document"),
      });
    }
    return left;
  }

  /** Returns those of these documents that have a row. */
  async #findLiving(collection: Collection, suspects: readonly Suspect[]): Promise<Set<string>> {
    if (suspects.length === 0) return new Set();
    const ids = new Map(suspects.map(({ id, documentId }) => [legacyIdOf(collection, idOf(id)), documentId]));
    const rows = await this.sql.unsafe<{ legacy_id: string }[]>(
      `select legacy_id from ${tables[collection].name} where legacy_id = any ($1::text[])`,
      [[...ids.keys()]],
    );
    return new Set(rows.map(({ legacy_id }) => ids.get(legacy_id)!));
  }

  /** Returns the documents of rows with changes that are not written yet. */
  async #listPending(): Promise<Set<string>> {
    const pending = new Set<string>();
    for (const collection of collections) {
      const rows = await this.sql.unsafe<{ document_id: string }[]>(
        `select coalesce(c.deleted_id, migration.document_id(t.legacy_id, t.extra)) as document_id
        from migration.changes c
        left join ${tables[collection].name} t
          on t.id = c.row_id ${collection === "dramatiq_tasks" ? "and t.parent_task_id = c.parent_id" : ""}
        where c.collection = $1 and coalesce(c.deleted_id, t.legacy_id) is not null
        limit 100000`,
        [collection],
      );
      for (const { document_id } of rows) pending.add(documentKey(readDeletedId(document_id)));
    }
    return pending;
  }
}

/** Compares all documents with all rows. */
export async function verifyBack(
  pool: Pool,
  source: FollowedMongo,
  options: BackVerifyOptions,
): Promise<BackVerdict> {
  const sql = await pool.reserve();
  try {
    const parents = await Parents.read(sql as unknown as Sql);
    return await new BackVerifier(sql, source, parents, options).run();
  } finally {
    sql.release();
  }
}
