/** Surveys a whole source before anything is written: plans its ranges and resolves duplicate ids and e-mails. */
import { failpoint } from "../tools/failpoint.ts";
import {
  type Collection,
  collections,
  type Range,
  type RawDocument,
  type Source,
} from "../documents/source.ts";
import type { FindParent } from "../lens/subtasks.ts";
import type { Stage } from "../tools/eta.ts";
import type { Progress } from "../tools/progress.ts";
import { type Bytes, type Form, formOf, stageNames } from "./stages.ts";
import { mapDocument } from "../lens/tables.ts";
import { readTime } from "../documents/times.ts";

/** Default for the approximate bytes of source in one range. */
export const rangeBytesDefault = 2 * 1024 * 1024;

/** Why a document goes to quarantine: another document keeps its id or e-mail. */
export interface Duplicate {
  reason: "duplicate_email" | "duplicate_id";
  path: string;
  detail: string;
}

export interface Plan {
  fingerprint: string;
  ranges: Range[];
  documents: Record<Collection, number>;
  /** Uuids of tasks by `id`, `task_uuid` and `_id`. */
  parents: Map<string, string>;
  /** Duplicates by duplicateKey(). */
  duplicates: Map<string, Duplicate>;
}

/** Returns the key of a document in `Plan.duplicates`. */
export const duplicateKey = (collection: Collection, position: number): string => `${collection}/${position}`;

/** A user or task with the key that must be unique: e-mail or id. */
interface KeyedDocument {
  position: number;
  key: string;
  legacyId: string;
  isActive: boolean;
  createdMs: number;
  /** See showId(). */
  id: string;
}

/** An active document precedes an inactive one, then the older one precedes, then the first in the source. */
function precedes(a: KeyedDocument, b: KeyedDocument): boolean {
  if (a.isActive !== b.isActive) return a.isActive;
  return a.createdMs !== b.createdMs ? a.createdMs < b.createdMs : a.position < b.position;
}

/** Finds documents with the same key or the same `_id`, and decides which of them keeps the key. */
class DuplicateFinder {
  readonly #winners = new Map<string, KeyedDocument>();
  readonly #sameKey: KeyedDocument[] = [];
  readonly #legacyIds = new Set<string>();
  readonly #sameId: KeyedDocument[] = [];

  /** Adds a document. Returns false if its `_id` came before: the document was exported twice, the first counts. */
  add(document: KeyedDocument): boolean {
    if (this.#legacyIds.has(document.legacyId)) {
      this.#sameId.push(document);
      return false;
    }
    this.#legacyIds.add(document.legacyId);
    const winner = this.#winners.get(document.key);
    if (winner === undefined) this.#winners.set(document.key, document);
    else if (precedes(document, winner)) {
      this.#winners.set(document.key, document);
      this.#sameKey.push(winner);
    } else this.#sameKey.push(document);
    return true;
  }

  /** Adds the duplicates to a plan. */
  report(duplicates: Plan["duplicates"], collection: Collection, reason: Duplicate["reason"], path: string) {
    for (const { position, key } of this.#sameKey) {
      const detail = `${this.#winners.get(key)!.id} keeps '${key}'`;
      duplicates.set(duplicateKey(collection, position), { reason, path, detail });
    }
    for (const { position, id } of this.#sameId) {
      const duplicate: Duplicate = { reason: "duplicate_id", path: "_id", detail: `${id} came before` };
      duplicates.set(duplicateKey(collection, position), duplicate);
    }
  }
}

const findNoParent: FindParent = () => undefined;

/** Returns the key of a document, or undefined if the lens rejects the document. */
function toKeyed(collection: "users" | "tasks", raw: RawDocument): KeyedDocument | undefined {
  const mapped = mapDocument(collection, raw, findNoParent);
  if ("rejected" in mapped) return undefined;
  const { row, documentId } = mapped;
  return {
    position: raw.position,
    key: (collection === "users" ? row.email : row.id)!,
    legacyId: row.legacy_id!,
    isActive: collection === "users" ? row.is_active === "t" : row.is_deleted === "f",
    createdMs: readTime(row.created_at!) ?? 0,
    id: documentId,
  };
}

/** A task with the names by which its subtasks may refer to it. */
interface NamedTask {
  position: number;
  names: string[];
  legacyId: string;
  id: string;
}

function toNamed(raw: RawDocument, { position, legacyId, key: id }: KeyedDocument): NamedTask {
  const document = raw.read();
  const names = ["id", "task_uuid"].map((field) => document.get(field))
    .filter((name): name is string => typeof name === "string" && name !== "");
  return { position, names, legacyId, id };
}

/** Maps every name of the tasks to their uuids. A task's own names take precedence over `_id`s. */
function mapNames(tasks: readonly NamedTask[]): Map<string, string> {
  const parents = new Map<string, string>();
  for (const { names, id } of tasks) {
    for (const name of [id, ...names]) if (!parents.has(name)) parents.set(name, id);
  }
  for (const { legacyId, id } of tasks) if (!parents.has(legacyId)) parents.set(legacyId, id);
  return parents;
}

export interface PlanOptions {
  rangeBytes: number;
  /** Receives the number of bytes read since the last call. */
  onBytes?: (bytes: number) => void;
  /** Receives the form of the subtasks when the first of them is read. */
  onForm?: (form: Form) => void;
}

/**
 * Surveys a source and returns its plan. Writes nothing.
 *
 * @throws AppError invalid_source, source_truncated
 */
export async function makePlan(
  source: Source,
  { rangeBytes, onBytes, onForm }: PlanOptions,
): Promise<Plan> {
  const finders = { users: new DuplicateFinder(), tasks: new DuplicateFinder() };
  const named: NamedTask[] = [];
  const ranges: Range[] = [];
  const documents: Record<Collection, number> = { users: 0, tasks: 0, dramatiq_tasks: 0 };
  let isFirst = true;
  failpoint("survey.begun");
  for (const collection of collections) {
    const onDocument = (raw: RawDocument) => {
      failpoint("survey.document");
      if (collection === "dramatiq_tasks") {
        if (isFirst) onForm?.(formOf(collection, raw));
        isFirst = false;
        return;
      }
      const keyed = toKeyed(collection, raw);
      if (keyed === undefined) return;
      const isNew = finders[collection].add(keyed);
      if (isNew && collection === "tasks") named.push(toNamed(raw, keyed));
    };
    const survey = await source.survey(collection, {
      rangeBytes,
      onDocument,
      ...(onBytes ? { onBytes } : {}),
    });
    ranges.push(...survey.ranges);
    documents[collection] = survey.documents;
    failpoint("survey.collection_done");
  }
  const duplicates = new Map<string, Duplicate>();
  finders.users.report(duplicates, "users", "duplicate_email", "email");
  finders.tasks.report(duplicates, "tasks", "duplicate_id", "id");
  const winners = named.filter(({ position }) => !duplicates.has(duplicateKey("tasks", position)));
  return { fingerprint: source.fingerprint(), ranges, documents, parents: mapNames(winners), duplicates };
}

export interface SurveyProgress {
  rangeBytes: number;
  progress: Progress;
  /** Returns the stages of the whole command. */
  toStages: (form: Form, bytes: Bytes) => Stage[];
}

/** Makes the plan of a source as the first stage of a command. @throws AppError invalid_source, source_truncated */
export async function makePlanAsStage(
  source: Source,
  { rangeBytes, progress, toStages }: SurveyProgress,
): Promise<{ plan: Plan; form: Form }> {
  let form: Form = source.kind === "mongoexport" ? "fast lines" : "bson";
  progress.plan(toStages(form, { all: source.bytes }));
  progress.begin(stageNames.survey, source.bytes);
  const plan = await makePlan(source, {
    rangeBytes,
    onBytes: (bytes) => progress.add(bytes, 0),
    onForm: (found) => {
      form = found;
      progress.plan(toStages(form, { all: source.bytes }));
      // The survey also maps users and tasks, which come first, so a byte of them takes far longer.
      progress.resetSpeed();
    },
  });
  return { plan, form };
}
