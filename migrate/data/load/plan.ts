/** Before anything is written: the whole source read once, its plan, and who wins where ids or e-mails double. */
import { failpoint } from "../tools/failpoint.ts";
import {
  type Collection,
  collections,
  type Range,
  type RawDocument,
  type Source,
} from "../documents/source.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { type Form, formOf } from "./stages.ts";
import { take } from "../lens/tables.ts";
import { readTime } from "../documents/times.ts";

/** Someone already has the key: the document that keeps it. */
export interface Loser {
  reason: "duplicate_email" | "duplicate_id";
  path: string;
  detail: string;
}

export interface Plan {
  fingerprint: string;
  ranges: Range[];
  documents: Record<Collection, number>;
  /** Uuid of a task by `id`, `task_uuid` or `_id`. */
  parents: Map<string, string>;
  /** Losers by collection and position. */
  losers: Map<string, Loser>;
}

interface Claim {
  position: number;
  key: string;
  legacyId: string;
  active: boolean;
  created: number;
  id: string;
}

/** The active one, then the oldest, then the first in the source. */
function isBetter(a: Claim, b: Claim): boolean {
  if (a.active !== b.active) return a.active;
  return a.created !== b.created ? a.created < b.created : a.position < b.position;
}

export const loserKey = (collection: Collection, position: number): string => `${collection}/${position}`;

class Contest {
  readonly #best = new Map<string, Claim>();
  readonly #beaten: [Claim, string][] = [];
  readonly #seen = new Set<string>();
  readonly #doubles: Claim[] = [];

  enter(claim: Claim): boolean {
    // The same `_id` twice is one document exported twice: the first stays.
    if (this.#seen.has(claim.legacyId)) {
      this.#doubles.push(claim);
      return false;
    }
    this.#seen.add(claim.legacyId);
    const best = this.#best.get(claim.key);
    if (best === undefined) this.#best.set(claim.key, claim);
    else if (isBetter(claim, best)) {
      this.#best.set(claim.key, claim);
      this.#beaten.push([best, claim.key]);
    } else this.#beaten.push([claim, claim.key]);
    return true;
  }

  losers(reason: Loser["reason"], path: string): [number, Loser][] {
    const detail = (key: string) => `${this.#best.get(key)!.id} keeps '${key}'`;
    return [
      ...this.#beaten.map((
        [{ position }, key],
      ): [number, Loser] => [position, { reason, path, detail: detail(key) }]),
      ...this.#doubles.map(({ position, id }): [number, Loser] => [
        position,
        { reason: "duplicate_id", path: "_id", detail: `${id} came before` },
      ]),
    ];
  }
}

const none: FindParent = () => undefined;

function claimOf(collection: "users" | "tasks", raw: RawDocument): Claim | undefined {
  const taken = take(collection, raw, none);
  if ("rejected" in taken) return undefined;
  const { row, id } = taken;
  return {
    position: raw.position,
    key: (collection === "users" ? row.email : row.id)!,
    legacyId: row.legacy_id!,
    active: collection === "users" ? row.is_active === "t" : row.is_deleted === "f",
    created: readTime(row.created_at!) ?? 0,
    id,
  };
}

/** Every name that a task goes by in its subtasks. */
function namesOf(raw: RawDocument): string[] {
  const document = raw.read();
  const names = ["id", "task_uuid"].map((field) => document.get(field));
  return names.filter((name): name is string => typeof name === "string" && name !== "");
}

/**
 * Surveys a source.
 *
 * @throws AppError invalid_source, source_truncated: nothing was written then
 */
export async function makePlan(
  source: Source,
  { rangeBytes, onBytes, onForm }: {
    rangeBytes: number;
    onBytes?: (bytes: number) => void;
    /** Hears of the form of the subtasks at the first of them. */
    onForm?: (form: Form) => void;
  },
): Promise<Plan> {
  const users = new Contest();
  const tasks = new Contest();
  const named: { position: number; names: string[]; legacyId: string; id: string }[] = [];
  const ranges: Range[] = [];
  const documents: Record<Collection, number> = { users: 0, tasks: 0, dramatiq_tasks: 0 };
  let isFirst = true;
  failpoint("survey.begun");
  for (const collection of collections) {
    const onDocument = (raw: RawDocument) => {
      failpoint("survey.document");
      if (collection === "dramatiq_tasks") {
        if (isFirst) onForm?.(formOf(raw));
        isFirst = false;
        return;
      }
      const claim = claimOf(collection, raw);
      if (claim === undefined) return;
      if (collection === "users") users.enter(claim);
      else if (tasks.enter(claim)) {
        named.push({ position: raw.position, names: namesOf(raw), legacyId: claim.legacyId, id: claim.key });
      }
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
  const losers = new Map<string, Loser>();
  for (const [position, loser] of users.losers("duplicate_email", "email")) {
    losers.set(loserKey("users", position), loser);
  }
  for (const [position, loser] of tasks.losers("duplicate_id", "id")) {
    losers.set(loserKey("tasks", position), loser);
  }
  const parents = new Map<string, string>();
  const winners = named.filter(({ position }) => !losers.has(loserKey("tasks", position)));
  for (const { names, id } of winners) {
    for (const name of [id, ...names]) if (!parents.has(name)) parents.set(name, id);
  }
  for (const { legacyId, id } of winners) if (!parents.has(legacyId)) parents.set(legacyId, id);
  return { fingerprint: source.fingerprint(), ranges, documents, parents, losers };
}
