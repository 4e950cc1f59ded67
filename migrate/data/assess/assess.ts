/** Reads a whole source as a load would, writes nothing, and says what a load would make of it. */
import { createHash } from "node:crypto";
import { AppError } from "../../../errors.ts";
import { decodeLine, encodeLine } from "../tools/copy.ts";
import { type Finding, lookAtUsers, looksRelaxed, type ShapeCount, ShapeCounter } from "./values.ts";
import { toUsualLine } from "../lens/fast_subtask.ts";
import { rangeBytesDefault } from "../load/load.ts";
import { loserKey, makePlan, type Plan } from "../load/plan.ts";
import type { Progress } from "../tools/progress.ts";
import { type Collection, collections, type RawDocument, type Source } from "../documents/source.ts";
import { showId, tables, take } from "../lens/tables.ts";

/** Documents of a collection that one rule or reason concerns, with a few ids. */
export interface Concern {
  collection: string;
  /** Rule of an adjustment, or reason of the quarantine. */
  name: string;
  path: string;
  documents: number;
  samples: string[];
}

export interface CollectionAssessment {
  collection: string;
  documents: number;
  bytes: number;
  bytes_max: number;
  /** `_id` of the biggest document. */
  biggest: string | null;
  /** Bytes of the rows as text. */
  row_bytes: number;
  generations: Record<string, number>;
  statuses: Record<string, number>;
  exact: number;
  adjusted: number;
  quarantined: number;
  shapes: ShapeCount[];
}

export interface Assessment {
  source: { kind: string; location: string; bytes: number };
  fingerprint: string;
  collections: CollectionAssessment[];
  /** What each rule would touch. */
  rules: Concern[];
  /** Predicted quarantine. */
  quarantine: Concern[];
  /** Odd things that no rule changes, but somebody should know of. */
  findings: Finding[];
  unfinished: { tasks: number; subtasks: number };
  /** Seconds that reading took here, and what a load may take; bytes that rows and indexes may take. */
  predicted: { seconds_read: number; load_seconds: number; disk_bytes: number };
  relaxed: boolean;
  /** What the source itself has to say: a standalone server, an oplog beside a dump. */
  notes: string[];
}

const samplesMax = 5;

class Concerns {
  readonly #all = new Map<string, Concern>();

  add(collection: string, name: string, path: string, id: () => string): void {
    const key = JSON.stringify([collection, name, path]);
    const concern = this.#all.get(key) ?? { collection, name, path, documents: 0, samples: [] };
    this.#all.set(key, concern);
    concern.documents++;
    if (concern.samples.length < samplesMax) concern.samples.push(id());
  }

  list(): Concern[] {
    const place = ({ collection, name, path }: Concern) => `${collection} ${name} ${path}`;
    return [...this.#all.values()].sort((a, b) =>
      b.documents - a.documents || (place(a) < place(b) ? -1 : 1)
    );
  }
}

/** Keys as 52 bits of a digest: eight bytes each, whatever their number. */
class KeyList {
  #keys = new Float64Array(1024);
  #length = 0;

  add(key: string): void {
    if (this.#length === this.#keys.length) {
      const wider = new Float64Array(this.#length * 2);
      wider.set(this.#keys);
      this.#keys = wider;
    }
    const digest = createHash("sha1").update(key).digest();
    this.#keys[this.#length++] = digest.readUIntBE(0, 6) * 16 + (digest[6]! & 15);
  }

  /** How many keys came again. */
  countDoubles(): number {
    const sorted = this.#keys.subarray(0, this.#length).sort();
    let doubles = 0;
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) doubles++;
    return doubles;
  }
}

const emptyOf = (collection: Collection): CollectionAssessment => ({
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

const raise = (counts: Record<string, number>, name: string) => counts[name] = (counts[name] ?? 0) + 1;

class Assessor {
  readonly rules = new Concerns();
  readonly quarantine = new Concerns();
  readonly all = new Map<Collection, CollectionAssessment>(collections.map((name) => [name, emptyOf(name)]));
  readonly unfinished = { tasks: 0, subtasks: 0 };
  readonly shapes = new ShapeCounter();
  readonly users = lookAtUsers();
  readonly keys = new KeyList();
  relaxed = false;

  constructor(readonly plan: Plan) {}

  readonly #findParent = (name: string) => this.plan.parents.get(name);

  document(collection: Collection, raw: RawDocument): void {
    const one = this.all.get(collection)!;
    one.documents++;
    const original = raw.original();
    const bytes = original.length;
    one.bytes += bytes;
    if (bytes > one.bytes_max) {
      one.bytes_max = bytes;
      one.biggest = idOf(raw);
    }
    if (!this.relaxed && one.documents <= 200) this.relaxed = looksRelaxed(original);
    const usual = raw.line === undefined || collection !== "dramatiq_tasks"
      ? undefined
      : toUsualLine(raw.line, this.#findParent);
    if (usual) this.#usual(one, usual);
    else this.#general(collection, one, raw);
  }

  #usual(one: CollectionAssessment, usual: { parent: string; id: string; copy: string }): void {
    const { columns } = tables.dramatiq_tasks;
    const fields = decodeLine(usual.copy);
    const field = (name: string) => fields[columns.indexOf(name)] ?? "";
    this.#row(one, usual.copy, field("generation"), field("status"));
    this.keys.add(`${usual.parent}/${usual.id}`);
    one.exact++;
    this.shapes.addUsual(field("generation"));
  }

  #general(collection: Collection, one: CollectionAssessment, raw: RawDocument): void {
    const taken = take(collection, raw, this.#findParent);
    this.shapes.add(collection, raw);
    const reject = (reason: string, path: string) => {
      one.quarantined++;
      this.quarantine.add(collection, reason, path, () => taken.id);
    };
    if ("rejected" in taken) return reject(taken.rejected.reason, taken.rejected.path);
    const loser = this.plan.losers.get(loserKey(collection, raw.position));
    if (loser) return reject(loser.reason, loser.path);
    const { row, adjustments } = taken;
    const line = encodeLine(tables[collection].columns.map((column) => row[column]!));
    this.#row(one, line, row.generation ?? "", row.status ?? "");
    if (collection === "dramatiq_tasks") this.keys.add(`${row.parent_task_id}/${row.id}`);
    if (collection === "users") this.users.add(row.email ?? "", row.hashed_password ?? "", taken.id);
    one[adjustments.length > 0 ? "adjusted" : "exact"]++;
    const told = new Set<string>();
    for (const { rule, path } of adjustments) {
      if (told.has(`${rule} ${path}`)) continue;
      told.add(`${rule} ${path}`);
      this.rules.add(collection, rule, path, () => taken.id);
    }
  }

  #row(one: CollectionAssessment, line: string, generation: string, status: string): void {
    one.row_bytes += line.length;
    raise(one.generations, generation);
    if (one.collection === "users") return;
    raise(one.statuses, status);
    if (status !== "pending" && status !== "processing") return;
    this.unfinished[one.collection === "tasks" ? "tasks" : "subtasks"]++;
  }

  /** Subtasks whose key came before: all but the first stay out. */
  settleDoubles(): void {
    const doubles = this.keys.countDoubles();
    if (doubles === 0) return;
    const one = this.all.get("dramatiq_tasks")!;
    one.quarantined += doubles;
    // Which of them were adjusted is not known without a second reading; exact ones are nearly all.
    one.exact -= doubles;
    for (let i = 0; i < doubles; i++) {
      this.quarantine.add("dramatiq_tasks", "duplicate_id", "id", () => "(not singled out)");
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

// A row takes about so much more than its text, and its share of the indexes (measured on the generations' dump).
const rowOverheadBytes = 60;
const indexBytes: Record<string, number> = { users: 150, tasks: 260, dramatiq_tasks: 130 };

/**
 * Assesses a source.
 *
 * @throws AppError invalid_source, source_truncated, source_changed, interrupted
 */
export async function assess(
  source: Source,
  { progress, signal }: { progress: Progress; signal?: AbortSignal },
): Promise<Assessment> {
  progress.begin("checking the source", source.bytes);
  const plan = await makePlan(source, {
    rangeBytes: rangeBytesDefault,
    onBytes: (bytes) => progress.add(bytes, 0),
  });
  const assessor = new Assessor(plan);
  const started = performance.now();
  progress.begin("assessing", source.bytes);
  for (const range of plan.ranges) {
    if (signal?.aborted) throw new AppError("interrupted", "assessing: stopped as asked; start it again");
    for (const raw of await source.read(range)) assessor.document(range.collection, raw);
    progress.add(range.bytes, range.documents);
  }
  assessor.settleDoubles();
  progress.end();
  const seconds = (performance.now() - started) / 1000;
  const all = [...assessor.all.values()];
  for (const one of all) one.shapes = assessor.shapes.list(one.collection);
  const rows = ({ exact, adjusted }: CollectionAssessment) => exact + adjusted;
  const disk = all.reduce(
    (sum, one) => sum + one.row_bytes + rows(one) * (rowOverheadBytes + indexBytes[one.collection]!),
    0,
  );
  const { kind, location, bytes } = source;
  return {
    source: { kind, location, bytes },
    fingerprint: plan.fingerprint,
    collections: all,
    rules: assessor.rules.list(),
    quarantine: assessor.quarantine.list(),
    findings: assessor.users.findings(),
    unfinished: assessor.unfinished,
    predicted: {
      seconds_read: round(seconds),
      load_seconds: round(seconds * 2.2 + 0.5),
      disk_bytes: disk,
    },
    relaxed: assessor.relaxed,
    notes: [...source.notes],
  };
}

const round = (seconds: number) => Math.round(seconds * 10) / 10;
