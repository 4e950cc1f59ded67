/** Passes each document of a source through the lens and counts the results. */
import { decodeLine } from "../tools/copy.ts";
import { AffectedCounter, DuplicateCounter } from "./affected.ts";
import { FieldTypeCounter, type FieldTypes, isRelaxed, UserChecker } from "./values.ts";
import { duplicateKey, type Plan } from "../load/plan.ts";
import { type Collection, collections, type RawDocument } from "../documents/source.ts";
import { encodeRow, keyOf, mapDocument, showId, tables, tryFastPath } from "../lens/tables.ts";

export interface CollectionAssessment {
  collection: string;
  documents: number;
  bytes: number;
  bytes_max: number;
  /** `_id` of the largest document. */
  biggest: string | null;
  /** Bytes of the rows as COPY text. */
  row_bytes: number;
  generations: Record<string, number>;
  statuses: Record<string, number>;
  exact: number;
  adjusted: number;
  quarantined: number;
  shapes: FieldTypes[];
}

const emptyAssessment = (collection: Collection): CollectionAssessment => ({
  collection,
  documents: 0,
  bytes: 0,
  bytes_max: 0,
  biggest: null,
  row_bytes: 0,
  generations: {},
  statuses: {},
  exact: 0,
  adjusted: 0,
  quarantined: 0,
  shapes: [],
});

function increment(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** Documents of each collection that are tested for the relaxed form. */
const relaxedTestsMax = 200;

export class Assessor {
  readonly rules = new AffectedCounter();
  readonly quarantine = new AffectedCounter();
  readonly collections = new Map<Collection, CollectionAssessment>(
    collections.map((name) => [name, emptyAssessment(name)]),
  );
  readonly unfinished = { tasks: 0, subtasks: 0 };
  readonly fieldTypes = new FieldTypeCounter();
  readonly users = new UserChecker();
  /** Whether some documents have the relaxed form of Extended JSON. */
  relaxed = false;
  /** Keys of the large collection. The plan finds duplicates of the other collections. */
  readonly #keys = new DuplicateCounter();

  constructor(readonly plan: Plan) {}

  readonly #findParent = (name: string) => this.plan.parents.get(name);

  add(collection: Collection, raw: RawDocument): void {
    const assessment = this.collections.get(collection)!;
    assessment.documents++;
    const original = raw.original();
    const bytes = original.length;
    assessment.bytes += bytes;
    if (bytes > assessment.bytes_max) {
      assessment.bytes_max = bytes;
      assessment.biggest = idOf(raw);
    }
    if (!this.relaxed && assessment.documents <= relaxedTestsMax) this.relaxed = isRelaxed(original);
    const fast = tryFastPath(collection, raw, this.#findParent);
    if (fast) this.#addFast(collection, assessment, fast);
    else this.#addMapped(collection, assessment, raw);
  }

  /** Adds a document that the fast path has mapped. */
  #addFast(
    collection: Collection,
    assessment: CollectionAssessment,
    { key, line }: { key: string; line: string },
  ): void {
    const { columns } = tables[collection];
    const fields = decodeLine(line);
    const field = (name: string) => fields[columns.indexOf(name)] ?? "";
    this.#addRow(assessment, line, field("generation"), field("status"));
    this.#keys.add(key);
    assessment.exact++;
    this.fieldTypes.addFast(field("generation"));
  }

  /** Maps and adds any other document. */
  #addMapped(collection: Collection, assessment: CollectionAssessment, raw: RawDocument): void {
    const mapped = mapDocument(collection, raw, this.#findParent);
    const id = () => mapped.documentId;
    this.fieldTypes.add(collection, raw);
    const rejection = "rejected" in mapped
      ? mapped.rejected
      : this.plan.duplicates.get(duplicateKey(collection, raw.position));
    if ("rejected" in mapped || rejection) {
      const { reason, path } = rejection!;
      assessment.quarantined++;
      return this.quarantine.add(collection, reason, path, id);
    }
    const { row, adjustments } = mapped;
    this.#addRow(assessment, encodeRow(collection, row), row.generation ?? "", row.status ?? "");
    if (tables[collection].isLarge) this.#keys.add(keyOf(collection, row));
    if (collection === "users") this.users.add(row.email ?? "", row.hashed_password ?? "", mapped.documentId);
    assessment[adjustments.length > 0 ? "adjusted" : "exact"]++;
    const counted = new Set<string>();
    for (const { rule, path } of adjustments) {
      if (counted.has(`${rule} ${path}`)) continue;
      counted.add(`${rule} ${path}`);
      this.rules.add(collection, rule, path, id);
    }
  }

  #addRow(assessment: CollectionAssessment, line: string, generation: string, status: string): void {
    assessment.row_bytes += line.length;
    increment(assessment.generations, generation);
    if (assessment.collection === "users") return;
    increment(assessment.statuses, status);
    if (status !== "pending" && status !== "processing") return;
    this.unfinished[assessment.collection === "tasks" ? "tasks" : "subtasks"]++;
  }

  /** Moves duplicate subtasks to the quarantine. A load keeps the first document with a key. */
  finish(): void {
    const duplicates = this.#keys.count();
    if (duplicates === 0) return;
    const assessment = this.collections.get("dramatiq_tasks")!;
    assessment.quarantined += duplicates;
    // Only a second pass could tell which of them are adjusted. Nearly all documents are exact.
    assessment.exact -= duplicates;
    for (let i = 0; i < duplicates; i++) {
      this.quarantine.add("dramatiq_tasks", "duplicate_id", "id");
    }
  }
}

function idOf(raw: RawDocument): string {
  try {
    return showId(raw.read());
  } catch {
    return `(position ${raw.position})`;
  }
}
