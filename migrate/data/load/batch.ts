/** Maps the documents of one range to COPY text and ledger entries for one transaction. */
import type { Bloom } from "./bloom.ts";
import { encodeField } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { LedgerEntries } from "../ledger/ledger.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { duplicateKey, type Plan } from "./plan.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { encodeRow, keyOf, mapDocument, type MappedRow, tables, tryFastPath } from "../lens/tables.ts";

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

/** Approximate length of a chunk of COPY text, in UTF-16 units. */
const chunkUnits = 65_536;

/** Maps the documents of a range in chunks, so that the server works on a chunk while the next is made. */
export class BatchBuilder {
  readonly batch: Batch = { uncertain: [], entries: emptyEntries() };
  #lines: string[] = [];
  #units = 0;
  readonly #keys: string[] = [];
  /** The same keys as a set. Most batches never need it. */
  #keySet: Set<string> | undefined;

  constructor(readonly collection: Collection, readonly context: BatchContext) {}

  #hasKey(key: string): boolean {
    this.#keySet ??= new Set(this.#keys);
    return this.#keySet.has(key);
  }

  #addKey(key: string): void {
    this.#keys.push(key);
    this.#keySet?.add(key);
  }

  /** Yields the COPY text of the rows that are certainly new. Everything else is in `batch` at the end. */
  *chunks(raws: Iterable<RawDocument>): Generator<string> {
    for (const raw of raws) {
      failpoint("range.document");
      this.#add(raw);
      if (this.#units >= chunkUnits) yield this.#flush();
    }
    if (this.#lines.length > 0) yield this.#flush();
  }

  #flush(): string {
    const text = this.#lines.join("\n") + "\n";
    this.#lines = [];
    this.#units = 0;
    return text;
  }

  #addLine(line: string): void {
    this.#lines.push(line);
    this.#units += line.length;
  }

  #add(raw: RawDocument): void {
    const fast = tryFastPath(this.collection, raw, this.context.findParent);
    if (fast === undefined) return this.#addGeneral(raw, false);
    // The filter holds this id from now on, so the general path must not query it again.
    if (this.context.bloom.add(fast.id)) return this.#addGeneral(raw, true);
    this.#addLine(fast.line);
    this.#addKey(fast.key);
    this.batch.entries.tally.exact++;
  }

  /** Reports whether the filter or the kind of table leaves open that a row with this id exists. */
  #mayExist(id: string): boolean {
    return !tables[this.collection].isLarge || this.context.bloom.add(id);
  }

  /** @param isInFilter true when the filter has reported that the row may exist */
  #addGeneral(raw: RawDocument, isInFilter: boolean): void {
    const { collection, context, batch: { uncertain, entries } } = this;
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
    this.#addKey(key);
    if (!mayExist) return this.#addLine(line);
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
    const line = encodeRow(this.collection, row);
    if (this.collection !== "tasks") return line;
    const hold = row.status === "pending" || row.status === "processing" ? "import" : null;
    return `${line}\t${encodeField(this.context.owners.get(row.username!) ?? null)}\t${encodeField(hold)}`;
  }
}
