/** Ledger entries of a replay: documents leave the quarantine, and the counts of their ranges change. */
import type postgres from "postgres";
import { insertEntries, type LedgerEntries } from "../ledger/ledger.ts";
import type { MappedRow } from "../lens/tables.ts";
import type { Collection, RawDocument } from "../documents/source.ts";

/** A document in quarantine. */
export interface QuarantinedDocument {
  id: string;
  fingerprint: string;
  collection: Collection;
  range_number: number;
  position: number;
  reason: string;
  path: string;
  attempts: number;
  original: Uint8Array;
}

/** A quarantined document that the lens now maps to a row. */
export interface Candidate {
  quarantined: QuarantinedDocument;
  mapped: MappedRow;
}

/** Numbers of documents of one range that leave the quarantine. */
interface RangeChange {
  fingerprint: string;
  collection: string;
  number: number;
  exact: number;
  adjusted: number;
  excluded: number;
}

type OtherEntries = Pick<LedgerEntries, "excluded" | "adjusted" | "originals">;

/** Writes the ledger entries of a replay and sums up the changes of each range. */
export class ReplayLedger {
  readonly #changes = new Map<string, RangeChange>();

  constructor(readonly sql: postgres.TransactionSql) {}

  /** Records that a document's row was inserted. */
  async recordLoaded({ quarantined, mapped }: Candidate, raw: RawDocument): Promise<void> {
    const { collection, range_number, position, fingerprint } = quarantined;
    const { row: { id }, adjustments, keepOriginal } = mapped;
    const rowId = id!;
    await this.#insertReplay(quarantined, mapped.documentId, rowId);
    await this.#insertEntries(fingerprint, collection, range_number, {
      excluded: [],
      adjusted: adjustments.map(({ rule, path }) => ({ position, row_id: rowId, rule, path })),
      originals: keepOriginal ? [{ position, row_id: rowId, original: raw.original() }] : [],
    });
    this.#countLoaded(quarantined, adjustments.length);
  }

  /** Records that a document's row was already present. */
  async recordPresent(quarantined: QuarantinedDocument, documentId: string): Promise<void> {
    const { collection, range_number, position, fingerprint } = quarantined;
    await this.#insertReplay(quarantined, documentId, null);
    await this.#insertEntries(fingerprint, collection, range_number, {
      excluded: [{ position, document_id: documentId, rule: "already_present" }],
      adjusted: [],
      originals: [],
    });
    this.#changeOf(quarantined).excluded++;
  }

  /** Records that the rows of many documents of one collection were inserted. */
  async recordAllLoaded(collection: Collection, documents: Candidate[]): Promise<void> {
    if (documents.length === 0) return;
    await this.#insertReplays(collection, documents);
    const byRange = Map.groupBy(
      documents,
      ({ quarantined: { fingerprint, range_number } }) => `${fingerprint}/${range_number}`,
    );
    for (const part of byRange.values()) {
      const { fingerprint, range_number } = part[0]!.quarantined;
      await this.#insertEntries(fingerprint, collection, range_number, {
        excluded: [],
        adjusted: part.flatMap(({ quarantined: { position }, mapped: { row, adjustments } }) =>
          adjustments.map(({ rule, path }) => ({ position, row_id: row.id!, rule, path }))
        ),
        originals: part.filter(({ mapped }) => mapped.keepOriginal).map(({ quarantined, mapped }) => ({
          position: quarantined.position,
          row_id: mapped.row.id!,
          original: quarantined.original,
        })),
      });
    }
    for (const { quarantined, mapped } of documents) {
      this.#countLoaded(quarantined, mapped.adjustments.length);
    }
  }

  /** Updates the counts of the ranges. */
  async updateRanges(): Promise<void> {
    for (const { fingerprint, collection, number, exact, adjusted, excluded } of this.#changes.values()) {
      await this.sql`
        update migration.ranges
        set quarantined = quarantined - ${exact + adjusted + excluded}::int,
          exact = exact + ${exact}::int,
          adjusted = adjusted + ${adjusted}::int,
          excluded = excluded + ${excluded}::int
        where fingerprint = ${fingerprint} and collection = ${collection} and number = ${number}`;
    }
  }

  #changeOf({ fingerprint, collection, range_number: number }: QuarantinedDocument): RangeChange {
    const key = `${fingerprint}/${collection}/${number}`;
    const change = this.#changes.get(key) ??
      { fingerprint, collection, number, exact: 0, adjusted: 0, excluded: 0 };
    this.#changes.set(key, change);
    return change;
  }

  #countLoaded(quarantined: QuarantinedDocument, adjustments: number): void {
    this.#changeOf(quarantined)[adjustments > 0 ? "adjusted" : "exact"]++;
  }

  async #insertReplay(
    { id, fingerprint, collection, position, reason, path, attempts }: QuarantinedDocument,
    documentId: string,
    rowId: string | null,
  ): Promise<void> {
    await this.sql`
      insert into migration.replays
        (fingerprint, collection, position, document_id, reason, path, attempts, row_id)
      values (${fingerprint}, ${collection}, ${position}, ${documentId}, ${reason}, ${path}, ${attempts}, ${rowId})`;
    await this.sql`delete from migration.quarantine where id = ${id}`;
  }

  async #insertReplays(collection: Collection, documents: Candidate[]): Promise<void> {
    const quarantined = documents.map((document) => document.quarantined);
    const fingerprints = quarantined.map(({ fingerprint }) => fingerprint);
    const positions = quarantined.map(({ position }) => position);
    const documentIds = documents.map(({ mapped }) => mapped.documentId);
    const reasons = quarantined.map(({ reason }) => reason);
    const paths = quarantined.map(({ path }) => path);
    const attempts = quarantined.map((document) => document.attempts);
    const rowIds = documents.map(({ mapped }) => mapped.row.id!);
    const ids = quarantined.map(({ id }) => id);
    await this.sql`
      insert into migration.replays
        (fingerprint, collection, position, document_id, reason, path, attempts, row_id)
      select r.fingerprint, ${collection}, r.position, r.document_id, r.reason, r.path, r.attempts, r.row_id
      from unnest(
        ${fingerprints}::text[], ${positions}::bigint[], ${documentIds}::text[], ${reasons}::text[],
        ${paths}::text[], ${attempts}::int[], ${rowIds}::uuid[]
      ) as r (fingerprint, position, document_id, reason, path, attempts, row_id)`;
    await this.sql`delete from migration.quarantine where id = any (${ids}::bigint[])`;
  }

  async #insertEntries(
    fingerprint: string,
    collection: Collection,
    number: number,
    entries: OtherEntries,
  ): Promise<void> {
    const range = { collection, number, lower: "", upper: "", firstPosition: 0, documents: 0, bytes: 0 };
    const tally = { exact: 0, adjusted: 0, quarantined: 0, excluded: 0 };
    await insertEntries(this.sql, fingerprint, range, { tally, quarantined: [], ...entries });
  }
}
