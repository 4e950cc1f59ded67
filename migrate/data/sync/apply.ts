/** Applies the current state of documents to the rows: one transaction for a batch, with its position. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { isKeyConflict, isRefusedRow } from "../../../passing.ts";
import { type Collection, collections } from "../documents/source.ts";
import { CastCache } from "../load/rows.ts";
import type { KeyedRaw } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import { releaseEmails, resolveConflicts } from "./conflicts.ts";
import { announceChanges, linkOwners, raiseRevisions, recountTasks } from "./counters.ts";
import { deleteEntries, insertQuarantined, insertRowEntries, insertWaiting } from "./entries.ts";
import {
  type DocumentRef,
  mapDocuments,
  type RejectedDocument,
  type StagedDocument,
  type WaitingDocument,
} from "./mapping.ts";
import { keepSubtasksWaiting } from "./orphans.ts";
import { namesOf, type Parents } from "./parents.ts";
import { deleteRows, type ExistingRow, findRows, keyOfRow, upsertRows } from "./stage.ts";

/** The current state of documents of one collection. */
export interface DocumentStates {
  collection: Collection;
  found: KeyedRaw[];
  /** Documents that do not exist any more. */
  missing: DocumentRef[];
}

/** What a batch changed beyond its own documents. */
export interface Applied {
  documents: number;
  /** Keys and names that are free, or there, since this batch: documents that wait for them can be tried again. */
  released: Map<Collection, string[]>;
}

/** Documents that get no row. */
interface Unwritten {
  rejected: RejectedDocument[];
  waiting: WaitingDocument[];
}

/** Adds a document whose row the server refused. One whose task or key another writer changed meanwhile waits. */
function addRefused({ rejected, waiting }: Unwritten, document: StagedDocument, error: Error): void {
  const { collection, documentId, legacyId, raw } = document;
  const path = "";
  const detail = error.message;
  if (!isKeyConflict(error)) {
    rejected.push({ collection, documentId, legacyId, raw, rejection: { reason: "refused", path, detail } });
    return;
  }
  const reason = (error as { code?: string }).code === "23503"
    ? "orphan"
    : collection === "users"
    ? "duplicate_email"
    : "duplicate_id";
  waiting.push({ collection, documentId, legacyId, raw, awaited: "", rejection: { reason, path, detail } });
}

const taskOf = ({ key }: { key: string }): string => key.slice(0, 36);

/** Applies batches in one session. After an error the session must be discarded. */
export class Applier {
  readonly #casts = new CastCache();
  #applied: Applied = { documents: 0, released: new Map() };
  #tasks = new Set<string>();
  #emails: string[] = [];

  constructor(
    readonly sql: postgres.ReservedSql,
    readonly fingerprint: string,
    readonly parents: Parents,
  ) {}

  /**
   * Applies a batch in one transaction.
   *
   * @param check runs first: whether this process may still write
   * @param commit runs last, before the transaction is committed
   */
  async apply(
    states: readonly DocumentStates[],
    check: (sql: Sql) => Promise<void>,
    commit: (sql: Sql) => Promise<void>,
  ): Promise<Applied> {
    const { sql } = this;
    this.#applied = { documents: 0, released: new Map() };
    this.#tasks = new Set();
    this.#emails = [];
    await sql`begin`;
    failpoint("sync.begun");
    await check(sql);
    failpoint("sync.checked");
    for (const collection of collections) {
      for (const part of states) if (part.collection === collection) await this.#applyPart(part);
      failpoint(`sync.${collection}_applied`);
    }
    await linkOwners(sql, this.#emails);
    failpoint("sync.owners_linked");
    await recountTasks(sql, [...this.#tasks]);
    failpoint("sync.counted");
    if (this.#applied.documents > 0) await announceChanges(sql);
    failpoint("sync.announced");
    await commit(sql);
    failpoint("sync.position_stored");
    failpoint("sync.before_commit");
    const committed = sql`commit`.execute();
    failpoint("sync.commit_sent");
    await committed;
    failpoint("sync.committed");
    return this.#applied;
  }

  #release(collection: Collection, keys: readonly string[]): void {
    const { released } = this.#applied;
    released.set(collection, [...released.get(collection) ?? [], ...keys]);
  }

  async #applyPart({ collection, found, missing }: DocumentStates): Promise<void> {
    const { sql } = this;
    const mapped = mapDocuments(collection, found, (name) => this.parents.find(name));
    const refs: DocumentRef[] = [...mapped.staged, ...mapped.rejected, ...mapped.waiting, ...missing];
    if (refs.length === 0) return;
    this.#applied.documents += refs.length;
    const existing = await findRows(sql, collection, refs.map(({ legacyId }) => legacyId));
    failpoint("sync.rows_found");
    await deleteEntries(sql, collection, refs.map(({ documentId }) => documentId));
    failpoint("sync.entries_deleted");
    await this.#deleteObsolete(collection, existing, [...missing, ...mapped.waiting], mapped.staged);
    const { staged, waiting } = await resolveConflicts(sql, collection, mapped.staged);
    failpoint("sync.conflicts_resolved");
    await this.#write(collection, staged, {
      rejected: mapped.rejected,
      waiting: [...mapped.waiting, ...waiting],
    });
  }

  /**
   * Deletes the rows of documents that are gone or wait for their task, and rows whose document has another key now.
   * What they held is free for other documents.
   */
  async #deleteObsolete(
    collection: Collection,
    existing: Map<string, ExistingRow>,
    gone: readonly DocumentRef[],
    staged: readonly StagedDocument[],
  ): Promise<void> {
    const moved = staged.filter(({ legacyId, key }) => {
      const row = existing.get(legacyId);
      return row !== undefined && keyOfRow(row) !== key;
    });
    const rows = [...gone, ...moved].map(({ legacyId }) => existing.get(legacyId)).filter((row) =>
      row !== undefined
    );
    if (rows.length === 0) return;
    if (collection === "dramatiq_tasks") {
      for (const row of rows) this.#tasks.add(row.parent_task_id!);
      await raiseRevisions(this.sql, [...new Set(rows.map((row) => row.parent_task_id!))]);
    }
    if (collection === "tasks") await this.#releaseTasks(rows);
    if (collection === "users") await this.#releaseUsers(rows);
    this.#release(collection, rows.map(keyOfRow));
    await deleteRows(this.sql, collection, rows);
    failpoint("sync.rows_deleted");
  }

  async #releaseTasks(rows: readonly ExistingRow[]): Promise<void> {
    const ids = rows.map(({ id }) => id);
    await keepSubtasksWaiting(this.sql, ids);
    failpoint("sync.subtasks_kept");
    for (const id of ids) {
      this.parents.remove(id);
      this.#tasks.delete(id);
    }
  }

  async #releaseUsers(rows: readonly ExistingRow[]): Promise<void> {
    const ids = rows.map(({ id }) => id);
    const users = await this.sql`select email from users where id = any (${ids}::uuid[])`;
    const emails = users.map(({ email }) => email);
    this.#emails.push(...emails);
    this.#release("users", emails);
  }

  /** Writes rows and ledger entries. Documents that the server refuses join the rejected ones. */
  async #write(
    collection: Collection,
    staged: readonly StagedDocument[],
    { rejected, waiting }: Unwritten,
  ): Promise<void> {
    const { sql } = this;
    if (collection === "dramatiq_tasks") {
      const tasks = [...new Set(staged.map(taskOf))];
      for (const task of tasks) this.#tasks.add(task);
      await raiseRevisions(sql, tasks);
      failpoint("sync.revisions_raised");
    }
    const written = await this.#upsert(collection, staged, { rejected, waiting });
    failpoint("sync.rows_written");
    await insertRowEntries(sql, this.fingerprint, written);
    const kept = await findRows(sql, collection, [...rejected, ...waiting].map(({ legacyId }) => legacyId));
    const withRow = new Set(kept.keys());
    await insertQuarantined(sql, this.fingerprint, rejected, withRow);
    await insertWaiting(sql, waiting, withRow);
    failpoint("sync.entries_written");
    if (collection === "tasks") this.#addTasks(written);
  }

  #addTasks(written: readonly StagedDocument[]): void {
    for (const { row, legacyId } of written) {
      const id = row!.id!;
      const names = namesOf({ id, extra: row!.extra ?? null });
      this.parents.add({ id, legacyId, names });
      this.#tasks.add(id);
      this.#release("dramatiq_tasks", [...names, legacyId]);
    }
  }

  /** Inserts or updates rows. If the server refuses one, halves are tried until it is alone. */
  async #upsert(
    collection: Collection,
    staged: readonly StagedDocument[],
    unwritten: Unwritten,
  ): Promise<readonly StagedDocument[]> {
    if (staged.length === 0) return [];
    const { sql } = this;
    await sql`savepoint rows`;
    try {
      const emails = collection === "users" ? await releaseEmails(sql, staged) : [];
      await upsertRows(sql, collection, staged, this.#casts);
      await sql`release savepoint rows`;
      this.#emails.push(...emails);
      if (emails.length > 0) this.#release("users", emails);
      return staged;
    } catch (error) {
      if (!isRefusedRow(error)) throw error;
      await sql`rollback to savepoint rows`;
      if (staged.length === 1) {
        failpoint("sync.row_refused");
        addRefused(unwritten, staged[0]!, error as Error);
        return [];
      }
      const middle = staged.length >> 1;
      return [
        ...await this.#upsert(collection, staged.slice(0, middle), unwritten),
        ...await this.#upsert(collection, staged.slice(middle), unwritten),
      ];
    }
  }
}
