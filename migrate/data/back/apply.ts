/** Writes one batch of changes to MongoDB, and then deletes the changes in one transaction with the state. */
import type { Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { counted } from "../../../phrases.ts";
import { BsonWriteError, writeBson } from "../documents/bson_write.ts";
import { legacyIdOf } from "../documents/ids.ts";
import type { Collection } from "../documents/source.ts";
import type { BsonDocument } from "../documents/tree.ts";
import { keyOf, tables } from "../lens/tables.ts";
import { failpoint } from "../tools/failpoint.ts";
import { type Change, coalesce, deleteChanges, recordAgain } from "./changes.ts";
import { makeDocument, readDeletedId, type SourceRow } from "./documents.ts";
import { deleteStatement, replaceStatement } from "./raw_writes.ts";
import { readRows } from "./rows.ts";
import { saveBack } from "./state.ts";
import type { RefusedRow, RowWrite, Writer } from "./writer.ts";

/** Size of a command, in bytes and statements. A message has at most 48 MB. */
const commandBytes = 6 * 1024 * 1024;
const commandStatements = 1000;
/** Largest document that MongoDB takes. */
const documentBytesMax = 16 * 1024 * 1024;

/** What a batch did. */
export interface Applied {
  /** Changes that are done. */
  changes: number;
  /** Documents that were inserted, changed or deleted. */
  documents: number;
  refused: RefusedRow[];
}

const lowerOrder: Collection[] = ["dramatiq_tasks", "tasks", "users"];

/** Returns the name under which refusals of a row are kept. */
export const rowName = (collection: Collection, key: string) => `${collection}/${key}`;

export class BackApplier {
  #documents = 0;
  #refused: RefusedRow[] = [];
  /** `legacy_id`s of the documents that this batch wrote, by collection. */
  #written = new Set<string>();
  #hasWritten = false;
  readonly #checkLease = () => this.check(this.sql);

  /**
   * @param sql a session of its own, with `contactsheet.capture` off
   * @param check throws when this process lost its lease
   */
  constructor(readonly sql: Sql, readonly writer: Writer, readonly check: (sql: Sql) => Promise<void>) {}

  /**
   * Applies changes.
   *
   * @throws errors of both databases: the same changes are applied again. AppError busy when the lease was lost
   */
  async apply(changes: readonly Change[]): Promise<Applied> {
    this.#documents = 0;
    this.#refused = [];
    this.#written = new Set();
    this.#hasWritten = false;
    try {
      return await this.#applyAll(changes);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "busy" || !this.#hasWritten) throw error;
      // What this process wrote since it lost its lease may be older than what the next one wrote.
      await recordAgain(this.sql, changes);
      throw error;
    }
  }

  async #applyAll(changes: readonly Change[]): Promise<Applied> {
    const batches = coalesce(changes);
    for (const { collection, keys } of batches) {
      await this.#replaceAll(collection, keys);
      failpoint(`back.${collection}_written`);
    }
    failpoint("back.before_deletions");
    for (const collection of lowerOrder) {
      const own = changes.filter((change) => change.collection === collection && change.deleted_id !== null);
      if (own.length === 0) continue;
      await this.#deleteAll(collection, own);
      failpoint(`back.${collection}_deleted`);
    }
    return await this.#commit(changes);
  }

  async #replaceAll(collection: Collection, keys: readonly string[]): Promise<void> {
    let writes: RowWrite[] = [];
    let bytes = 0;
    const flush = async () => {
      if (writes.length === 0) return;
      failpoint("back.documents_made");
      this.#hasWritten = true;
      const { changed, refused } = await this.writer.replace(collection, writes, this.#checkLease);
      this.#documents += changed;
      this.#refused.push(...refused);
      writes = [];
      bytes = 0;
    };
    for await (const rows of readRows(this.sql, collection, keys)) {
      failpoint("back.rows_read");
      for (const row of rows) {
        const write = this.#makeWrite(collection, row);
        if (write === undefined) continue;
        writes.push(write);
        bytes += write.statement.bytes.length;
        if (bytes >= commandBytes || writes.length >= commandStatements) await flush();
      }
    }
    await flush();
  }

  /** Returns the statement for a row; undefined, and a refusal, if BSON cannot represent its document. */
  #makeWrite(collection: Collection, row: SourceRow): RowWrite | undefined {
    const key = keyOf(collection, row.row);
    this.#written.add(rowName(collection, row.row.legacy_id!));
    let document: BsonDocument;
    let bytes: Uint8Array;
    try {
      document = makeDocument(row);
      bytes = writeBson(document);
    } catch (error) {
      if (!(error instanceof BsonWriteError)) throw error;
      this.#refused.push({ collection, key, reason: error.message });
      return undefined;
    }
    if (bytes.length > documentBytesMax) {
      const reason = `the document has ${counted(bytes.length, "byte")}; wanted ${documentBytesMax} or less`;
      this.#refused.push({ collection, key, reason });
      return undefined;
    }
    const email = document.get("email");
    return {
      key,
      id: document.get("_id")!,
      statement: replaceStatement(document, bytes),
      email: typeof email === "string" ? email : undefined,
    };
  }

  async #deleteAll(collection: Collection, changes: readonly Change[]): Promise<void> {
    const living = await this.#findLiving(collection, changes);
    const writes: RowWrite[] = [];
    const seen = new Set<string>();
    for (const { key, deleted_id } of changes) {
      const id = readDeletedId(deleted_id!);
      const name = rowName(collection, legacyIdOf(collection, id));
      if (this.#written.has(name) || living.has(legacyIdOf(collection, id)) || seen.has(deleted_id!)) {
        continue;
      }
      seen.add(deleted_id!);
      writes.push({ key, id, statement: deleteStatement(id) });
    }
    this.#hasWritten ||= writes.length > 0;
    const { changed, refused } = await this.writer.delete(collection, writes, this.#checkLease);
    this.#documents += changed;
    this.#refused.push(...refused);
  }

  /** Returns the `legacy_id`s of deleted rows that a row has again. */
  async #findLiving(collection: Collection, changes: readonly Change[]): Promise<Set<string>> {
    const ids = changes.map(({ deleted_id }) => legacyIdOf(collection, readDeletedId(deleted_id!)));
    const { name } = tables[collection];
    const rows = collection === "dramatiq_tasks"
      ? await this.sql<{ legacy_id: string }[]>`
        select s.legacy_id
        from unnest(${
        changes.map(({ key }) => key.slice(0, 36))
      }::uuid[], ${ids}::text[]) as d (task_id, legacy_id)
        join subtasks s on s.parent_task_id = d.task_id and s.legacy_id = d.legacy_id`
      : await this.sql<{ legacy_id: string }[]>`
        select legacy_id from ${this.sql(name)} where legacy_id = any (${ids}::text[])`;
    return new Set(rows.map(({ legacy_id }) => legacy_id));
  }

  async #commit(changes: readonly Change[]): Promise<Applied> {
    const refused = new Set(this.#refused.map(({ collection, key }) => rowName(collection, key)));
    const done = changes.filter(({ collection, key }) => !refused.has(rowName(collection, key)));
    const { sql } = this;
    await sql`begin`;
    failpoint("back.begun");
    await this.check(sql);
    await deleteChanges(sql, done.map(({ number }) => number));
    failpoint("back.changes_deleted");
    await saveBack(sql, this.#documents, done.at(-1)?.age ?? null);
    failpoint("back.state_saved");
    failpoint("back.before_commit");
    const committed = sql`commit`.execute();
    failpoint("back.commit_sent");
    await committed;
    failpoint("back.committed");
    return { changes: done.length, documents: this.#documents, refused: this.#refused };
  }
}
