/** Maps the documents of one range to COPY text and ledger entries for one transaction. */
import type { Bloom } from "./bloom.ts";
import { encodeField } from "../tools/copy.ts";
import type { LedgerEntries } from "../ledger/ledger.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { duplicateKey, type Plan } from "./plan.ts";
import type { Collection, Range, RawDocument } from "../documents/source.ts";
import {
  addFastLine,
  encodeRow,
  type FastPath,
  idAt,
  keyOf,
  keyOfFastLine,
  keyOfLine,
  mapDocument,
  type MappedRow,
  openFastPath,
  tables,
} from "../lens/tables.ts";
import type { LineBuffer } from "../tools/line_buffer.ts";

/** A row whose key may exist already. It is inserted by INSERT … ON CONFLICT. */
export interface UncertainRow {
  raw: RawDocument;
  documentId: string;
  /** See keyOf(). */
  key: string;
  legacyId: string;
  /** The row as a COPY line. */
  line: string;
  /** Number of the document's adjustments, which are removed again if the row is not inserted. */
  adjusted: number;
}

export interface Batch {
  uncertain: UncertainRow[];
  entries: LedgerEntries;
}

export interface BatchContext {
  plan: Plan;
  findParent: FindParent;
  /** Ids of loaded users by e-mail. */
  owners: ReadonlyMap<string, string>;
  /** Ids of the rows in the large table. */
  bloom: Bloom;
}

/** Lists the columns that a load writes: those of the lens, and for tasks also owner and hold. */
export function copyColumns(collection: Collection): string[] {
  const { columns } = tables[collection];
  return collection === "tasks" ? [...columns, "owner_id", "hold"] : [...columns];
}

const emptyEntries = (): LedgerEntries => ({
  tally: { exact: 0, adjusted: 0, quarantined: 0, excluded: 0 },
  quarantined: [],
  excluded: [],
  adjusted: [],
  originals: [],
});

/** Adds a document to the quarantine entries. */
export function quarantine(
  entries: LedgerEntries,
  raw: RawDocument,
  document_id: string,
  { reason, path, detail }: { reason: string; path: string; detail: string },
): void {
  const { position } = raw;
  entries.quarantined.push({ position, document_id, reason, path, detail, original: raw.original() });
  entries.tally.quarantined++;
}

/** Maps the documents of a range. */
export class BatchBuilder {
  readonly batch: Batch = { uncertain: [], entries: emptyEntries() };
  readonly #fastPath: FastPath | undefined;
  /** The keys of all rows so far. Most batches never need them. */
  #keys: Set<string> | undefined;

  /** @param lines empty; receives the rows that are certainly new */
  constructor(readonly range: Range, readonly context: BatchContext, readonly lines: LineBuffer) {
    this.#fastPath = openFastPath(range.collection, context.findParent);
  }

  #hasKey(key: string): boolean {
    const { collection } = this.range;
    this.#keys ??= new Set([
      ...this.lines.split().map((line) => keyOfLine(collection, line)),
      ...this.batch.uncertain.map((row) => row.key),
    ]);
    return this.#keys.has(key);
  }

  /** Adds a document to `lines` or to `batch`. */
  add(raw: RawDocument): void {
    const { lines } = this;
    const start = lines.length;
    if (!addFastLine(this.#fastPath, raw, lines)) return this.#addGeneral(raw, false);
    if (this.context.bloom.addBytes(lines.bytes, idAt(this.range.collection, start))) {
      lines.length = start;
      // The filter holds this id from now on, so the general path must not query it again.
      return this.#addGeneral(raw, true);
    }
    this.#keys?.add(keyOfFastLine(this.range.collection, lines, start));
    this.batch.entries.tally.exact++;
  }

  /** Reports whether the filter or the kind of table leaves open that a row with this id exists. */
  #mayExist(id: string): boolean {
    return !tables[this.range.collection].isLarge || this.context.bloom.add(id);
  }

  /** @param isInFilter true when the filter has reported that the row may exist */
  #addGeneral(raw: RawDocument, isInFilter: boolean): void {
    const { range: { collection }, context, batch: { uncertain, entries } } = this;
    const mapped = mapDocument(collection, raw, context.findParent);
    const { documentId } = mapped;
    if ("rejected" in mapped) return quarantine(entries, raw, documentId, mapped.rejected);
    const duplicate = context.plan.duplicates.get(duplicateKey(collection, raw.position));
    if (duplicate) return quarantine(entries, raw, documentId, duplicate);
    const { row, adjustments } = mapped;
    const key = keyOf(collection, row);
    const mayExist = isInFilter || this.#mayExist(row.id!);
    if (mayExist && this.#hasKey(key)) {
      const detail = `another document of its task came before with id ${row.id}`;
      return quarantine(entries, raw, documentId, { reason: "duplicate_id", path: "id", detail });
    }
    this.#addEntries(raw, mapped);
    const line = this.#encode(mapped);
    this.#keys?.add(key);
    if (!mayExist) return this.lines.addText(line);
    uncertain.push({
      raw,
      documentId,
      key,
      legacyId: row.legacy_id!,
      line,
      adjusted: adjustments.length,
    });
  }

  #addEntries(raw: RawDocument, { row, adjustments, keepOriginal }: MappedRow): void {
    const { entries } = this.batch;
    const { position } = raw;
    for (const { rule, path } of adjustments) {
      entries.adjusted.push({ position, row_id: row.id!, rule, path });
    }
    if (keepOriginal) entries.originals.push({ position, row_id: row.id!, original: raw.original() });
    entries.tally[adjustments.length > 0 ? "adjusted" : "exact"]++;
  }

  #encode({ row }: MappedRow): string {
    const line = encodeRow(this.range.collection, row);
    if (this.range.collection !== "tasks") return line;
    const hold = row.status === "pending" || row.status === "processing" ? "import" : null;
    return `${line}\t${encodeField(this.context.owners.get(row.username!) ?? null)}\t${encodeField(hold)}`;
  }
}
