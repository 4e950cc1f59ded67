/** Differences between followed documents and what the target has of them. Pure. */
import { createHash } from "node:crypto";
import { isSameBytes } from "../documents/bytes.ts";
import { documentKey } from "../documents/ids.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { ObjectId } from "../documents/tree.ts";
import { mapDocument, tables } from "../lens/tables.ts";
import { decodeLine } from "../tools/copy.ts";
import { idDocument, writeIdDocument } from "../sources/mongo_bounds.ts";
import type {
  DocumentRef,
  MappedDocuments,
  RejectedDocument,
  StagedDocument,
  WaitingDocument,
} from "../sync/mapping.ts";
import { findRowDifferences } from "./differences.ts";
import { formatAdjustments } from "./entries.ts";
import type { Mismatch } from "./mismatch.ts";
import { showBytes, showDocument, showTexts } from "./live_show.ts";
import type { RowKey, TargetException, TargetRow, TargetState } from "./live_target.ts";

/** A document that differs from the target, or that only the target has. */
export interface DifferingDocument {
  /** See documentKey(). */
  documentId: string;
  /** `{_id: …}` as BSON. */
  key: Uint8Array;
  mismatches: Mismatch[];
  /** Digest of both sides. */
  version: string;
}

/** A document that does not exist in the source. */
export interface MissingDocument {
  ref: DocumentRef;
  key: Uint8Array;
}

/** The result of comparing some documents. */
export class LiveComparison {
  documents = 0;
  rows = 0;
  quarantined = 0;
  waiting = 0;
  readonly differing: DifferingDocument[] = [];
}

/** Returns the milliseconds since 1970 of a time as PostgreSQL prints it in UTC, or NaN. */
const parseTime = (text: string | null | undefined): number => Date.parse(`${text}:00`);

/** Returns why a row may differ from its document. */
function causeOf(collection: Collection, { line }: StagedDocument, row: TargetRow): Mismatch["cause"] {
  if (row.isCopied) return "rule";
  const at = tables[collection].columns.indexOf("updated_at");
  const expected = parseTime(decodeLine(line)[at]);
  const found = parseTime(decodeLine(row.line)[at]);
  return found > expected && found <= Date.now() ? "new_system" : "outside_writer";
}

/** Returns why a subtask would be in quarantine if its task existed. */
function reasonsWithTask({ collection, raw }: WaitingDocument | RejectedDocument): string[] {
  const mapped = mapDocument(collection, raw, () => "00000000-0000-0000-0000-000000000000");
  return "rejected" in mapped ? [`quarantine ${mapped.rejected.reason}`] : [];
}

/** Compares documents of one collection with the target. */
class Comparer {
  readonly result = new LiveComparison();
  readonly #claimed: Map<string, RowKey[]>;
  #mismatches: Mismatch[] = [];

  constructor(readonly collection: Collection, readonly target: TargetState) {
    this.#claimed = Map.groupBy(target.claimed, ({ legacyId }) => legacyId);
  }

  addStaged(document: StagedDocument): void {
    const { collection, target, result } = this;
    const exceptions = target.exceptions.get(document.documentId) ?? [];
    if (exceptions.length > 0) {
      this.#compareExceptions(document, exceptions, this.#reasonsOf(document, exceptions[0]!));
      return this.#finish(document, document.raw);
    }
    const row = target.rows.get(document.key);
    if (row === undefined) {
      this.#report({ kind: "missing_row", source: showDocument(document.raw), cause: "deleted" }, document);
    } else {
      result.rows++;
      if (row.line !== document.line) {
        const found = { line: row.line, cause: causeOf(collection, document, row) };
        findRowDifferences(
          collection,
          document,
          found,
          (mismatch) => this.#mismatches.push(Object.assign(mismatch, { document_id: document.documentId })),
        );
      }
      this.#compareDerived(document);
    }
    this.#compareEntries(document, document);
    this.#reportExtraRows(document, document.key);
    this.#finish(document, document.raw, row?.line === document.line ? undefined : row);
  }

  addUnstaged(document: RejectedDocument | WaitingDocument): void {
    const { reason } = document.rejection;
    const exceptions = this.target.exceptions.get(document.documentId) ?? [];
    const from = "awaited" in document ? "waiting" : "quarantine";
    const reasons = [`${from} ${reason}`];
    // A document in quarantine stays there when its task goes.
    if (reason === "orphan") reasons.push(...reasonsWithTask(document));
    this.#compareExceptions(document, exceptions, reasons);
    this.#finish(document, document.raw);
  }

  addMissing({ ref, key }: MissingDocument): void {
    const exceptions = this.target.exceptions.get(ref.documentId) ?? [];
    for (const { from, reason } of exceptions) {
      this.#report({ kind: "quarantine_changed", row: `${from} ${reason}`, cause: "ledger" }, ref);
    }
    this.#compareEntries(ref, undefined);
    this.#reportExtraRows(ref, undefined);
    this.#finish(ref, key);
  }

  /** Adds the claimed rows that belong to none of the documents. */
  addUnclaimed(legacyIds: ReadonlySet<string>): void {
    for (const legacyId of this.#claimed.keys()) {
      if (legacyIds.has(legacyId)) continue;
      const id = new ObjectId(legacyId);
      const ref = { collection: this.collection, documentId: documentKey(id), legacyId };
      this.addMissing({ ref, key: writeIdDocument(id) });
    }
  }

  #report(
    { kind, path = "", source = null, row = null, cause }: {
      kind: Mismatch["kind"];
      path?: string;
      source?: string | null;
      row?: string | null;
      cause: Mismatch["cause"];
    },
    { documentId }: DocumentRef,
  ): void {
    const { collection } = this;
    this.#mismatches.push({
      collection,
      document_id: documentId,
      kind,
      path,
      source_value: source,
      row_value: row,
      cause,
    });
  }

  /** Returns the true reasons for which an accepted document may have no row, or an old one. */
  #reasonsOf({ collection, key, legacyId, row }: StagedDocument, { reason }: TargetException): string[] {
    const { rows, emailHolders } = this.target;
    // Only the server knows whether it still refuses the row.
    if (reason === "refused") return ["quarantine refused"];
    const legacyIdAt = tables[collection].columns.indexOf("legacy_id");
    const holder = rows.get(key);
    const emailHolder = collection === "users" ? emailHolders.get(row!.email!) : undefined;
    const reasons: string[] = [];
    if (holder !== undefined && decodeLine(holder.line)[legacyIdAt] !== legacyId) {
      reasons.push("waiting duplicate_id");
    }
    if (emailHolder !== undefined && emailHolder !== legacyId) reasons.push("waiting duplicate_email");
    return reasons;
  }

  #compareExceptions(
    document: DocumentRef & { raw: RawDocument },
    exceptions: readonly TargetException[],
    reasons: readonly string[],
  ): void {
    const report = (path: string, source: string | null, row: string | null) =>
      this.#report({ kind: "quarantine_changed", path, source, row, cause: "ledger" }, document);
    const hasRow = (this.#claimed.get(document.legacyId) ?? []).length > 0;
    const found = exceptions.map(({ from, reason }) => `${from} ${reason}`).join(" and ");
    if (!reasons.includes(found)) report("(reason)", reasons.join(" or ") || "has a row", found || null);
    for (const exception of exceptions) {
      this.result[exception.from === "quarantine" ? "quarantined" : "waiting"]++;
      const bytes = document.raw.original();
      if (!isSameBytes(bytes, exception.original)) {
        const shown = showBytes(bytes, exception.original);
        report("", shown.source, shown.row);
      }
      if (exception.hasRow !== hasRow) {
        const show = (has: boolean) => has ? "an earlier version has a row" : "no row";
        report("(row)", show(exception.hasRow), show(hasRow));
      }
    }
    this.#compareEntries(document, undefined);
  }

  #compareEntries(ref: DocumentRef, document: StagedDocument | undefined): void {
    const found = this.target.entries.get(ref.documentId);
    const compare = (path: string, source: string | null, row: string | null) => {
      if (source === row) return;
      const shown = showTexts(source, row);
      this.#report(
        { kind: "ledger_changed", path, source: shown.source, row: shown.row, cause: "ledger" },
        ref,
      );
    };
    compare(
      "(adjustments)",
      formatAdjustments(document?.adjustments ?? []) || null,
      found?.adjustments || null,
    );
    const original = document?.keepOriginal ? document.raw.original().toBase64() : null;
    compare("(original)", original, found?.original ?? null);
  }

  #compareDerived(document: StagedDocument): void {
    for (const { name, wanted, found } of this.target.derived.get(document.key) ?? []) {
      const kind = "derived_changed" as const;
      const path = `(column ${name})`;
      this.#report({ kind, path, source: wanted, row: found, cause: "outside_writer" }, document);
    }
  }

  /** Reports rows of this document that are not the row that it must have. */
  #reportExtraRows(ref: DocumentRef, wanted: string | undefined): void {
    for (const { key } of this.#claimed.get(ref.legacyId) ?? []) {
      if (key === wanted) continue;
      const row = `${tables[ref.collection].name} row ${key.slice(-36)}`;
      this.#report({ kind: "extra_row", row, cause: "outside_writer" }, ref);
    }
  }

  /** Adds the document to the result if it has mismatches. `row` is its row, if that differs. */
  #finish(ref: DocumentRef, source: RawDocument | Uint8Array, row?: TargetRow): void {
    const mismatches = this.#mismatches;
    if (mismatches.length === 0) return;
    this.#mismatches = [];
    const isMissing = source instanceof Uint8Array;
    const key = isMissing ? source : idDocument(source.original());
    const hash = createHash("sha256").update(isMissing ? "" : source.original());
    // Each change of a subtask rewrites the row of its task, so the transaction tells nothing about a task.
    const transaction = ref.collection === "tasks" ? "" : row?.transaction ?? "";
    const claimed = (this.#claimed.get(ref.legacyId) ?? []).map(({ key }) => key).sort();
    hash.update(JSON.stringify([transaction, row?.line ?? "", mismatches, claimed]));
    this.result.differing.push({
      documentId: ref.documentId,
      key,
      mismatches,
      version: hash.digest("hex"),
    });
  }
}

/** Compares documents, and the rows that are claimed, with the target. */
export function compareDocuments(
  collection: Collection,
  { staged, rejected, waiting }: MappedDocuments,
  missing: readonly MissingDocument[],
  target: TargetState,
): LiveComparison {
  const comparer = new Comparer(collection, target);
  const unstaged = [...rejected, ...waiting];
  for (const document of staged) comparer.addStaged(document);
  for (const document of unstaged) comparer.addUnstaged(document);
  for (const document of missing) comparer.addMissing(document);
  const refs: DocumentRef[] = [...staged, ...unstaged, ...missing.map(({ ref }) => ref)];
  comparer.addUnclaimed(new Set(refs.map(({ legacyId }) => legacyId)));
  comparer.result.documents = staged.length + unstaged.length;
  return comparer.result;
}
