/** What a person has judged and the server has not confirmed yet. */

/** One request, or the part of one. */
export interface Entry {
  /** Given by the store; ascends in the order of the person's actions. */
  id: number;
  /** Whose it is: only that person's session sends it. */
  owner: string;
  task: string;
  kind: "rating" | "vote" | "withdrawal" | "text" | "mark";
  method: "POST" | "PUT" | "DELETE";
  /** Path under the run, such as `/votes`. */
  path: string;
  body?: unknown;
  /** Idempotency key of its request. A withdrawal has that of its vote. */
  key: string;
  /** Idempotency key of the request that sends it with others. Once set, that request never changes. */
  batch?: string;
  /** Why the server will never accept it. */
  refusal?: { code: string; message: string };
}

export type NewEntry = Omit<Entry, "id">;

/** Maximum number of ratings in one request. */
const batchMax = 200;

/** Returns a random UUID. `crypto.randomUUID` exists on https and localhost only. */
export function createId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = bytes[6]! & 15 | 64;
  bytes[8] = bytes[8]! & 63 | 128;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * Returns the entries of the next request. Ratings of the same run that follow each other are sent together.
 *
 * @param entries all of them, oldest first
 */
export function takeNext(entries: readonly Entry[], owner: string): Entry[] {
  const open = entries.filter((entry) => entry.owner === owner && !entry.refusal);
  const first = open[0];
  if (!first) return [];
  if (first.batch !== undefined) return open.filter(({ batch }) => batch === first.batch);
  const end = open.findIndex(({ kind, task, batch }) =>
    kind !== "rating" || task !== first.task || batch !== undefined
  );
  const taken = first.kind === "rating"
    ? open.slice(0, end < 0 ? batchMax : Math.min(end, batchMax))
    : [first];
  return taken.map((entry) => ({ ...entry, batch: first.key }));
}

/** Maximum time for one judgement that v2 takes, a day. */
const tookMsMax = 86_400_000;

/** Returns the time since something was shown, as v2 takes it. @param shownAt time by `performance.now()` */
export const tookMsSince = (shownAt: number): number =>
  Math.min(tookMsMax, Math.round(performance.now() - shownAt));
