/** The documents of one range as COPY text and notes, ready for one transaction. */
import type { Bloom } from "./bloom.ts";
import { encodeField, encodeLine } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { toUsualLine } from "../lens/fast_subtask.ts";
import type { Notes } from "../ledger/ledger.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { loserKey, type Plan } from "./plan.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { tables, take } from "../lens/tables.ts";

/** A row that may meet another of its key: it goes in by INSERT … ON CONFLICT. */
export interface Doubtful {
  raw: RawDocument;
  documentId: string;
  /** Values of the table's key, as the statement returns them. */
  key: string;
  legacyId: string;
  line: string;
  /** Adjustments of this document, so a row that stays out takes them along. */
  adjusted: number;
}

export interface Batch {
  doubtful: Doubtful[];
  notes: Notes;
}

export interface BatchContext {
  plan: Plan;
  findParent: FindParent;
  /** Id of a loaded user by e-mail. */
  owners: ReadonlyMap<string, string>;
  bloom: Bloom;
}

/** Columns that COPY writes: those of the lens, for tasks also owner and hold. */
export function copyColumns(collection: Collection): string[] {
  const { columns } = tables[collection];
  return collection === "tasks" ? [...columns, "owner_id", "hold"] : [...columns];
}

const emptyNotes = (): Notes => ({
  tally: { exact: 0, adjusted: 0, quarantined: 0, excluded: 0 },
  quarantined: [],
  excluded: [],
  adjusted: [],
  originals: [],
});

/** Notes a document without a row. */
export function quarantine(
  notes: Notes,
  raw: RawDocument,
  document_id: string,
  why: { reason: string; path: string; detail: string },
): void {
  const { position } = raw;
  const { reason, path, detail } = why;
  notes.quarantined.push({ position, document_id, reason, path, detail, original: raw.original() });
  notes.tally.quarantined++;
}

/** UTF-16 units in one chunk of COPY text, about. */
const chunkUnits = 65_536;

/** Takes the documents of a range through the lens, a chunk at a time, so that the server works meanwhile. */
export class BatchBuilder {
  readonly batch: Batch = { doubtful: [], notes: emptyNotes() };
  #lines: string[] = [];
  #units = 0;
  readonly #keys: string[] = [];
  #exactKeys: Set<string> | undefined;

  constructor(readonly collection: Collection, readonly context: BatchContext) {}

  /** True when the key was certainly met before in this very batch. */
  #isDoubled(key: string): boolean {
    this.#exactKeys ??= new Set(this.#keys);
    return this.#exactKeys.has(key);
  }

  #remember(key: string): void {
    this.#keys.push(key);
    this.#exactKeys?.add(key);
  }

  /** COPY text of the rows that are surely new; all else is in `batch` when it ends. */
  *chunks(raws: Iterable<RawDocument>): Generator<string> {
    for (const raw of raws) {
      failpoint("range.document");
      this.#add(raw);
      if (this.#units >= chunkUnits) yield this.#take();
    }
    if (this.#lines.length > 0) yield this.#take();
  }

  #take(): string {
    const text = this.#lines.join("\n") + "\n";
    this.#lines = [];
    this.#units = 0;
    return text;
  }

  #push(line: string): void {
    this.#lines.push(line);
    this.#units += line.length;
  }

  #add(raw: RawDocument): void {
    if (raw.line !== undefined && this.collection === "dramatiq_tasks") {
      const usual = toUsualLine(raw.line, this.context.findParent);
      if (usual && !this.context.bloom.add(usual.id)) {
        this.#push(usual.copy);
        this.#remember(`${usual.parent}/${usual.id}`);
        this.batch.notes.tally.exact++;
        return;
      }
      // Added to the filter already: the general way must not take itself for a double.
      this.#general(raw, usual !== undefined);
    } else this.#general(raw, false);
  }

  #general(raw: RawDocument, seen: boolean): void {
    const { collection, context, batch: { doubtful, notes } } = this;
    const taken = take(collection, raw, context.findParent);
    if ("rejected" in taken) return quarantine(notes, raw, taken.id, taken.rejected);
    const loser = context.plan.losers.get(loserKey(collection, raw.position));
    if (loser) return quarantine(notes, raw, taken.id, loser);
    const { row, adjustments, keepOriginal, id: documentId } = taken;
    const key = collection === "dramatiq_tasks" ? `${row.parent_task_id}/${row.id}` : row.id!;
    if (this.#isDoubledHere(seen, row.id!, key)) {
      const detail = `another document of its task came before with id ${row.id}`;
      return quarantine(notes, raw, documentId, { reason: "duplicate_id", path: "id", detail });
    }
    for (const { rule, path } of adjustments) {
      notes.adjusted.push({ position: raw.position, row_id: row.id!, rule, path });
    }
    if (keepOriginal) {
      notes.originals.push({ position: raw.position, row_id: row.id!, original: raw.original() });
    }
    notes.tally[adjustments.length > 0 ? "adjusted" : "exact"]++;
    let line = encodeLine(tables[collection].columns.map((column) => row[column]!));
    if (collection === "tasks") {
      const hold = row.status === "pending" || row.status === "processing" ? "import" : null;
      line += `\t${encodeField(context.owners.get(row.username!) ?? null)}\t${encodeField(hold)}`;
    }
    this.#remember(key);
    if (collection === "dramatiq_tasks" && !this.#perhapsSeen) this.#push(line);
    else {
      const { length: adjusted } = adjustments;
      doubtful.push({ raw, documentId, key, legacyId: row.legacy_id!, line, adjusted });
    }
  }

  #perhapsSeen = false;

  #isDoubledHere(seen: boolean, id: string, key: string): boolean {
    this.#perhapsSeen = seen || (this.collection === "dramatiq_tasks" && this.context.bloom.add(id));
    return (this.#perhapsSeen || this.collection !== "dramatiq_tasks") && this.#isDoubled(key);
  }
}
