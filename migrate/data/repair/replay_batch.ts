/** Tries to insert the rows of quarantined documents, in bulk where possible. */
import type postgres from "postgres";
import { isRefusedRow } from "../../../passing.ts";
import { failpoint } from "../tools/failpoint.ts";
import { toStorable } from "../documents/ejson_write.ts";
import type { Rejection, Row } from "../lens/draft.ts";
import { parseOriginal } from "../ledger/original.ts";
import { CastCache, findLegacyId, insertRow, insertRows, recountTasks } from "../load/rows.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { keyOf, mapDocument, type MappingResult } from "../lens/tables.ts";
import { type Candidate, type QuarantinedDocument, ReplayLedger } from "./replay_ledger.ts";

/** Results of documents that were in quarantine with the same reason and path. */
export interface ReplayGroup {
  collection: string;
  /** Reason in the quarantine before the replay. */
  reason: string;
  path: string;
  documents: number;
  /** Documents whose row was inserted, or would be. */
  loaded: number;
  /** Documents whose row was already present. */
  present: number;
  /** Documents that stay in quarantine, by their current reason. */
  stay: Record<string, number>;
}

type Outcome =
  | { loaded: Candidate }
  | { present: { documentId: string } }
  | { rejected: Rejection };

/** Replays documents within one transaction. */
export class ReplayBatches {
  readonly groups = new Map<string, ReplayGroup>();
  /** Ids of tasks by every name that subtasks may use for them. */
  parents = new Map<string, string>();
  readonly #changedTasks = new Set<string>();
  readonly #casts = new CastCache();
  readonly #ledger: ReplayLedger;

  constructor(readonly sql: postgres.TransactionSql) {
    this.#ledger = new ReplayLedger(sql);
  }

  /**
   * Replays documents of one collection. One statement inserts all rows that it can; each remaining document is
   * tried alone.
   */
  async replayAll(collection: Collection, documents: QuarantinedDocument[]): Promise<void> {
    // A task needs its owner and its hold, so tasks are always inserted alone.
    const loaded = collection === "tasks" ? [] : await this.#insertAll(collection, documents);
    failpoint("replay.inserted");
    await this.#ledger.recordAllLoaded(collection, loaded);
    for (const { quarantined, mapped } of loaded) {
      const group = this.#groupOf(quarantined);
      group.documents++;
      this.#countLoaded(group, mapped.row);
    }
    failpoint("replay.recorded");
    const done = new Set(loaded.map(({ quarantined }) => quarantined.id));
    for (const document of documents) if (!done.has(document.id)) await this.#replay(document);
  }

  /** Updates the counts of ranges and the counters of tasks. */
  async settle(): Promise<void> {
    await this.#ledger.updateRanges();
    await recountTasks(this.sql, [...this.#changedTasks]);
  }

  #map({ collection }: QuarantinedDocument, raw: RawDocument): MappingResult {
    return mapDocument(collection, raw, (name) => this.parents.get(name));
  }

  /** Inserts the rows of all documents that the lens accepts. Returns those whose row was inserted. */
  async #insertAll(
    collection: "users" | "dramatiq_tasks",
    documents: QuarantinedDocument[],
  ): Promise<Candidate[]> {
    const candidates = this.#mapAll(collection, documents);
    const rows = [...candidates.values()].map(({ mapped }) => mapped.row);
    if (rows.length === 0) return [];
    try {
      const keys = await this.sql.savepoint((sql) => insertRows(sql, collection, rows, this.#casts));
      return [...keys].map((key) => candidates.get(key)!);
    } catch (error) {
      // The server refuses one of the rows; each document is tried alone.
      if (isRefusedRow(error)) return [];
      throw error;
    }
  }

  #mapAll(collection: Collection, documents: QuarantinedDocument[]): Map<string, Candidate> {
    const candidates = new Map<string, Candidate>();
    for (const quarantined of documents) {
      try {
        const mapped = this.#map(quarantined, parseOriginal(quarantined.position, quarantined.original));
        if ("rejected" in mapped) continue;
        const key = keyOf(collection, mapped.row);
        if (!candidates.has(key)) candidates.set(key, { quarantined, mapped });
      } catch {
        // The attempt to insert this document alone reports the error.
      }
    }
    return candidates;
  }

  /** Replays one document. */
  async #replay(quarantined: QuarantinedDocument): Promise<void> {
    const group = this.#groupOf(quarantined);
    group.documents++;
    const raw = parseOriginal(quarantined.position, quarantined.original);
    const outcome = await this.#tryInsert(quarantined, raw);
    if ("rejected" in outcome) return await this.#keep(quarantined, outcome.rejected);
    if ("present" in outcome) {
      await this.#ledger.recordPresent(quarantined, outcome.present.documentId);
      group.present++;
      return;
    }
    await this.#ledger.recordLoaded(outcome.loaded, raw);
    this.#countLoaded(group, outcome.loaded.mapped.row);
  }

  async #tryInsert(quarantined: QuarantinedDocument, raw: RawDocument): Promise<Outcome> {
    try {
      const mapped = this.#map(quarantined, raw);
      return await this.sql.savepoint((sql) => this.#insert(sql, quarantined, mapped));
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      if (code !== undefined && !isRefusedRow(error)) throw error;
      const reason = code === undefined ? "unreadable" : "refused";
      return { rejected: { reason, path: "", detail: message } };
    }
  }

  async #insert(
    sql: postgres.TransactionSql,
    quarantined: QuarantinedDocument,
    mapped: MappingResult,
  ): Promise<Outcome> {
    if ("rejected" in mapped) return { rejected: mapped.rejected };
    const { collection, reason } = quarantined;
    if (await insertRow(sql, collection, mapped.row, this.#casts)) return { loaded: { quarantined, mapped } };
    const legacyId = await findLegacyId(sql, collection, mapped.row);
    // The `_id` of a duplicate is in the table because its twin has the row.
    const isDuplicate = reason.startsWith("duplicate_");
    if (legacyId === mapped.row.legacy_id && !isDuplicate) {
      return { present: { documentId: mapped.documentId } };
    }
    const isEmailTaken = legacyId === undefined && collection === "users";
    return {
      rejected: {
        reason: isEmailTaken ? "duplicate_email" : "duplicate_id",
        path: isEmailTaken ? "email" : "id",
        detail: legacyId === undefined
          ? "a row of the target already has this key"
          : `the row of ${legacyId} already has this key`,
      },
    };
  }

  /** Leaves a document in quarantine with its current reason. */
  async #keep(quarantined: QuarantinedDocument, { reason, path, detail }: Rejection): Promise<void> {
    const { stay } = this.#groupOf(quarantined);
    stay[reason] = (stay[reason] ?? 0) + 1;
    await this.sql`
      update migration.quarantine
      set attempts = attempts + 1,
        reason = ${reason},
        path = ${toStorable(path)},
        detail = ${toStorable(detail)}
      where id = ${quarantined.id}`;
  }

  #countLoaded(group: ReplayGroup, row: Row): void {
    group.loaded++;
    if (row.parent_task_id) this.#changedTasks.add(row.parent_task_id);
  }

  #groupOf({ collection, reason, path }: QuarantinedDocument): ReplayGroup {
    const key = `${collection} ${reason} ${path}`;
    const group = this.groups.get(key) ??
      { collection, reason, path, documents: 0, loaded: 0, present: 0, stay: {} };
    this.groups.set(key, group);
    return group;
  }
}
