/** Keeps a small window of the fair order in Redis: one leader does it, PostgreSQL says what is in it. */
import type { Sql } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import type { Queue, Ref } from "../../db/queue/subtasks.ts";
import type { RedisHealth } from "../../bell.ts";
import type { Streams } from "../../redis/stream.ts";

/**
 * What was fed so long ago and is still pending is fed again, where the stream is shorter than what should be in it: a
 * claim guards against doing it twice, and a stream that nobody reads does not grow.
 */
const staleMs = 15_000;
/** The same where the stream is empty and readers keep nothing, so that the entry is certainly gone. */
const lostMs = 250;
/** Over REST looking costs; there a reader that finds its group gone says so. */
const lookEveryMs = { tcp: 200, rest: 60_000 };
/** The same where something is amiss. */
const sureMs = 5_000;
/** Subtasks of one entry where commands cost money. */
const refsPerEntryMax = 16;

const keyOf = ({ task_id, id }: Ref): string => `${task_id}/${id}`;

export class Feed {
  readonly #sql: Sql;
  readonly #streams: Streams;
  readonly #health: RedisHealth;
  readonly #queues: readonly Queue[];
  readonly #mark: string;
  /** What is in the window, as far as we know: when each was fed. */
  readonly #fed = new Map<Queue, Map<string, number>>();
  #lookedAt = -Infinity;
  /** Entries in the streams at most: those of the last look, and what was added since. */
  readonly #entries = new Map<Queue, number>();
  /** Something was added since the last look. */
  #grown = false;

  constructor(
    { sql, streams, health, queues, mark }: {
      sql: Sql;
      streams: Streams;
      health: RedisHealth;
      queues: readonly Queue[];
      /** Written into Redis to notice when it was wiped. */
      mark: string;
    },
  ) {
    this.#sql = sql;
    this.#streams = streams;
    this.#health = health;
    this.#queues = queues;
    this.#mark = mark;
    for (const queue of queues) this.#fed.set(queue, new Map());
  }

  /** Forgets what was fed: another leader may have fed since, or Redis was wiped. */
  forget(): void {
    for (const fed of this.#fed.values()) fed.clear();
    this.#lookedAt = -Infinity;
  }

  /** Looks at Redis before the next feeding: somebody found it wiped. */
  suspect(): void {
    this.#lookedAt = -Infinity;
  }

  /**
   * Fills the windows.
   *
   * @param slots over all workers, by queue: a window is twice as long
   * @returns the queues to which something was added
   */
  async runOnce(slots: Map<Queue, number>): Promise<Queue[]> {
    if (!this.#health.worthTrying) return [];
    const added: Queue[] = [];
    for (const queue of this.#queues) {
      const length = 2 * (slots.get(queue) ?? 0);
      if (length === 0) continue;
      const refs = await listDispatchable(this.#sql, queue, length);
      this.#forgetGone(queue, refs);
      if (refs.length > 0 && await this.#tryAdd(queue, refs, length)) added.push(queue);
    }
    return added;
  }

  #forgetGone(queue: Queue, pending: Ref[]): void {
    const fed = this.#fed.get(queue)!;
    if (fed.size === 0) return;
    const keys = new Set(pending.map(keyOf));
    for (const key of fed.keys()) if (!keys.has(key)) fed.delete(key);
  }

  /** How long ago something must have been fed to be fed again. */
  #tooOldMs(queue: Queue): number {
    const perEntry = this.#streams.kind === "tcp" ? 1 : refsPerEntryMax;
    const left = (this.#entries.get(queue) ?? 0) * perEntry;
    if (left >= this.#fed.get(queue)!.size) return Infinity;
    return left === 0 && this.#streams.kind === "tcp" ? lostMs : staleMs;
  }

  /** One each, or many together: all readers get some of a short backlog. */
  #countPerEntry(refs: number, missing: number, length: number): number {
    if (this.#streams.kind === "tcp") return 1;
    return Math.max(1, Math.min(refsPerEntryMax, Math.ceil(refs < length ? missing / 4 : length / 2)));
  }

  async #tryAdd(queue: Queue, refs: Ref[], length: number): Promise<boolean> {
    try {
      const fed = this.#fed.get(queue)!;
      const now = performance.now();
      const isFull = () => (this.#entries.get(queue) ?? 0) >= 2 * length;
      const isStuck = refs.some((ref) => now - (fed.get(keyOf(ref)) ?? now) > staleMs);
      // Our own count only grows: full by what we added since the last look says nothing of what was read.
      await this.#look(isFull() && this.#grown ? 0 : isFull() || isStuck ? sureMs : undefined);
      // However often it was fed again: Redis never holds more than two windows.
      if (isFull()) return false;
      const tooOld = this.#tooOldMs(queue);
      const missing = refs.filter((ref) => {
        const fedAt = fed.get(keyOf(ref));
        return fedAt === undefined || now - fedAt > tooOld;
      });
      // Over REST half a window is refilled at once.
      const waits = this.#streams.kind === "rest" && refs.length - missing.length > length / 2;
      if (missing.length === 0 || waits) return false;
      const perEntry = this.#countPerEntry(refs.length, missing.length, length);
      await this.#streams.add(queue, missing, perEntry);
      for (const ref of missing) fed.set(keyOf(ref), now);
      this.#entries.set(queue, (this.#entries.get(queue) ?? 0) + Math.ceil(missing.length / perEntry));
      this.#grown = true;
      this.#health.answered();
      return true;
    } catch (error) {
      this.#health.failed(error);
      this.forget();
      return false;
    }
  }

  /** Asks Redis what is left of the windows, unless it did so within `everyMs`. */
  async #look(everyMs = lookEveryMs[this.#streams.kind]): Promise<void> {
    const now = performance.now();
    if (now - this.#lookedAt < Math.min(everyMs, lookEveryMs[this.#streams.kind])) return;
    const { epoch, lengths } = await this.#streams.look(this.#queues);
    if (!epoch) {
      this.forget();
      await this.#streams.markEpoch(this.#queues, this.#mark);
    }
    for (const [queue, length] of lengths) this.#entries.set(queue, length);
    this.#grown = false;
    this.#lookedAt = now;
  }
}
