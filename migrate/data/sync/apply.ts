/** Applies the current state of documents to the rows: one transaction for a batch, with its position. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { isKeyConflict, isRefusedRow } from "../../../passing.ts";
import { type Collection, collections } from "../documents/source.ts";
import { CastCache } from "../load/rows.ts";
import { keyDocuments, type KeyedRaw } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import { releaseEmails, resolveConflicts } from "./conflicts.ts";
import { announceChanges, linkOwners, raiseRevisions, recountTasks } from "./counters.ts";
import {
  deleteEntries,
  insertQuarantined,
  insertRowEntries,
  insertWaiting,
  listReleased,
  listWaitingUsers,
  type WaitingRow,
} from "./entries.ts";
import {
  type DocumentRef,
  mapDocuments,
  type RejectedDocument,
  type StagedDocument,
  type WaitingDocument,
} from "./mapping.ts";
import { keepSubtasksWaiting } from "./orphans.ts";
import { namesOf, type Parents } from "./parents.ts";
import { deleteRows, type ExistingRow, findRows, keyOfExisting, keyOfRow, upsertRows } from "./stage.ts";

/** The current state of documents of one collection. */
export interface DocumentStates {
  collection: Collection;
  found: KeyedRaw[];
  /** Documents that do not exist any more. */
  missing: DocumentRef[];
}

/** Returns the states of waiting documents, parents first. */
export function toStates(waiting: readonly WaitingRow[]): DocumentStates[] {
  return collections.map((collection) => {
    const documents = waiting.filter((row) => row.collection === collection).map(({ original }) => original);
    return { collection, found: keyDocuments(documents), missing: [] };
  });
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
  /** Keys and names that are free, or there, since this batch: documents that wait for them can be tried again. */
  #released = new Map<Collection, string[]>();
  /** Whether a user of this batch waits for an e-mail. */
  #hasWaitingUsers = false;
  #documents = 0;
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
  ): Promise<void> {
    const { sql } = this;
    this.#documents = 0;
    this.#released = new Map();
    this.#hasWaitingUsers = false;
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
    await this.#applyReleased();
    if (this.#hasWaitingUsers) await this.#applyWaiting((after) => listWaitingUsers(sql, after));
    await linkOwners(sql, this.#emails);
    failpoint("sync.owners_linked");
    await recountTasks(sql, [...this.#tasks]);
    failpoint("sync.counted");
    if (this.#documents > 0) await announceChanges(sql);
    failpoint("sync.announced");
    await commit(sql);
    failpoint("sync.position_stored");
    failpoint("sync.before_commit");
    const committed = sql`commit`.execute();
    failpoint("sync.commit_sent");
    await committed;
    failpoint("sync.committed");
  }

  /** Tries documents again that wait for what this batch has released, and what these release in turn. */
  async #applyReleased(): Promise<void> {
    while (this.#released.size > 0) {
      const released = this.#released;
      this.#released = new Map();
      await this.#applyWaiting((after) => listReleased(this.sql, released, after));
    }
  }

  /** Applies waiting documents from their bytes: had one changed since, its change would still be to come. */
  async #applyWaiting(list: (after: WaitingRow | undefined) => Promise<WaitingRow[]>): Promise<void> {
    let after: WaitingRow | undefined;
    while (true) {
      const waiting = await list(after);
      failpoint("sync.waiting_read");
      if (waiting.length === 0) return;
      for (const part of toStates(waiting)) await this.#applyPart(part);
      after = waiting.at(-1);
    }
  }

  #release(collection: Collection, keys: readonly string[]): void {
    this.#released.set(collection, [...this.#released.get(collection) ?? [], ...keys]);
  }

  async #applyPart({ collection, found, missing }: DocumentStates): Promise<void> {
    const { sql } = this;
    const mapped = mapDocuments(collection, found, (name) => this.parents.find(name));
    const refs: DocumentRef[] = [...mapped.staged, ...mapped.rejected, ...mapped.waiting, ...missing];
    if (refs.length === 0) return;
    this.#documents += refs.length;
    const existing = await findRows(sql, collection, refs.map(({ legacyId }) => legacyId));
    failpoint("sync.rows_found");
    await deleteEntries(sql, collection, refs.map(({ documentId }) => documentId));
    failpoint("sync.entries_deleted");
    await this.#deleteObsolete(collection, existing, [...missing, ...mapped.waiting], mapped.staged);
    const { staged, waiting } = await resolveConflicts(sql, collection, mapped.staged, existing);
    failpoint("sync.conflicts_resolved");
    const hasNew = staged.some((document) => keyOfExisting(existing, document) !== document.key);
    const unwritten = { rejected: mapped.rejected, waiting: [...mapped.waiting, ...waiting] };
    await this.#write(collection, staged, hasNew, unwritten);
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
    const moved = staged.filter((document) => keyOfExisting(existing, document) !== document.key);
    // A document without a row has nothing to delete.
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
    hasNew: boolean,
    { rejected, waiting }: Unwritten,
  ): Promise<void> {
    const { sql } = this;
    if (collection === "dramatiq_tasks") {
      const tasks = [...new Set(staged.map(taskOf))];
      for (const task of tasks) this.#tasks.add(task);
      await raiseRevisions(sql, tasks);
      failpoint("sync.revisions_raised");
    }
    const written = await this.#upsert(collection, staged, hasNew, { rejected, waiting });
    failpoint("sync.rows_written");
    await insertRowEntries(sql, this.fingerprint, written);
    const kept = await findRows(sql, collection, [...rejected, ...waiting].map(({ legacyId }) => legacyId));
    const withRow = new Set(kept.keys());
    await insertQuarantined(sql, this.fingerprint, rejected, withRow);
    await insertWaiting(sql, waiting, withRow);
    if (collection === "users" && waiting.length > 0) this.#hasWaitingUsers = true;
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
    hasNew: boolean,
    unwritten: Unwritten,
  ): Promise<readonly StagedDocument[]> {
    if (staged.length === 0) return [];
    const { sql } = this;
    await sql`savepoint rows`;
    try {
      const emails = collection === "users" ? await releaseEmails(sql, staged) : [];
      await upsertRows(sql, collection, staged, hasNew, this.#casts);
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
        ...await this.#upsert(collection, staged.slice(0, middle), hasNew, unwritten),
        ...await this.#upsert(collection, staged.slice(middle), hasNew, unwritten),
      ];
    }
  }
}
