/** Writes the next subtasks of the fair order into the streams. Only the leader runs it. */
import type { Sql } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import type { Queue, SubtaskRef } from "../../db/queue/subtasks.ts";
import { refeedMs } from "../../db/queue/times.ts";
import type { RedisHealth } from "../../redis/health.ts";
import type { Streams } from "../../redis/stream.ts";

/**
 * Like `refeedMs`, for an empty stream over TCP: readers keep nothing there, so the entry is certainly lost.
 */
const refeedEmptyMs = 250;
/**
 * Interval at which the streams are inspected. Over REST each call is charged, and readers report a wiped
 * Redis.
 */
const inspectEveryMs = { tcp: 200, rest: 60_000 };
/** The same while a stream seems full or stuck. */
const inspectAgainMs = 5_000;
/**
 * Longest pause between two runs while there is more to do than the windows hold, in milliseconds. Without a pause, every
 * settlement would cost a listing of the whole window.
 */
const pauseMsMax = 100;
/** Maximum number of subtasks of an entry over REST, where each command is charged. */
const refsPerEntryMax = 16;

const keyOf = ({ task_id, id }: SubtaskRef): string => `${task_id}/${id}`;

/**
 * Keeps a window of each queue's fair order in its stream, twice as long as the queue's slots.
 *
 * States of a window: unknown, filling, full. Moves:
 * - At first, and after `forget`, the content is unknown: the next run inspects Redis and writes the whole
 * window.
 * - `runOnce` adds the subtasks that are missing from the window and forgets those that are no longer
 * pending.
 * - A subtask that stays pending for `refeedMs` is written again while the stream is shorter than the window.
 * The claim ensures that a subtask in two entries starts once.
 * - A stream of two windows is full: nothing is added until an inspection finds it shorter.
 * - An inspection that finds Redis wiped creates the streams again and makes all windows unknown.
 * - A failed call of Redis makes all windows unknown. While the feed fails, a run without new entries asks
 * Redis whether it accepts entries again.
 */
export class Feed {
  readonly #sql: Sql;
  readonly #streams: Streams;
  readonly #health: RedisHealth;
  readonly #queues: readonly Queue[];
  readonly #mark: string;
  /** The known content of each window: subtasks with the time at which each was written. */
  readonly #fed = new Map<Queue, Map<string, number>>();
  #inspectedAt = -Infinity;
  /**
   * Upper bound of the entries in each stream: the length at the last inspection, and all entries added
   * since.
   */
  readonly #entries = new Map<Queue, number>();
  /** Whether entries were added since the last inspection. */
  #grown = false;
  /** Time at which each window was listed. */
  readonly #listedAt = new Map<Queue, number>();
  #pauseMs = 0;

  constructor(
    { sql, streams, health, queues, mark }: {
      sql: Sql;
      streams: Streams;
      health: RedisHealth;
      queues: readonly Queue[];
      /** Value of the epoch key, by which a wiped Redis is detected. */
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

  /**
   * Pause in milliseconds before the next run, unless a task is submitted: the time in which half of a window will be
   * gone, if it is read as fast as since the last run. 0 while no window is full. Cells that wait outside of a full window
   * have to wait for slots in any case.
   */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  /** Makes all windows unknown: another leader may have changed them. */
  forget(): void {
    for (const fed of this.#fed.values()) fed.clear();
    this.#inspectedAt = -Infinity;
  }

  /** Inspects Redis before the next run: a reader found it wiped. */
  inspectNext(): void {
    this.#inspectedAt = -Infinity;
  }

  /**
   * Fills the windows.
   *
   * @param slots slots over all workers, by queue
   * @returns the queues to which entries were added
   */
  async runOnce(slots: Map<Queue, number>): Promise<Queue[]> {
    const added: Queue[] = [];
    const needs: number[] = [];
    for (const queue of this.#queues) {
      if (!this.#health.mayFeed) return added;
      const length = 2 * (slots.get(queue) ?? 0);
      if (length === 0) continue;
      const listedAt = performance.now();
      const refs = await listDispatchable(this.#sql, queue, length);
      this.#forgetGone(queue, refs);
      const elapsedMs = listedAt - (this.#listedAt.get(queue) ?? listedAt);
      this.#listedAt.set(queue, listedAt);
      const read = Math.max(1, refs.length - this.#fed.get(queue)!.size);
      if (refs.length === length) needs.push(elapsedMs * (length / 2) / read);
      if (refs.length > 0 && await this.#tryAdd(queue, refs, length)) added.push(queue);
    }
    this.#pauseMs = needs.length === 0 ? 0 : Math.min(pauseMsMax, ...needs);
    if (this.#health.isFeedFailing && this.#health.mayFeed) await this.#probe();
    return added;
  }

  async #probe(): Promise<void> {
    try {
      await this.#streams.probe();
      this.#health.fed();
    } catch (error) {
      this.#health.feedFailed(error);
    }
  }

  #forgetGone(queue: Queue, pending: SubtaskRef[]): void {
    const fed = this.#fed.get(queue)!;
    if (fed.size === 0) return;
    const keys = new Set(pending.map(keyOf));
    for (const key of fed.keys()) if (!keys.has(key)) fed.delete(key);
  }

  /** Returns the age from which a subtask of the window is written again. */
  #refeedAfterMs(queue: Queue): number {
    const perEntry = this.#streams.kind === "tcp" ? 1 : refsPerEntryMax;
    const left = (this.#entries.get(queue) ?? 0) * perEntry;
    if (left >= this.#fed.get(queue)!.size) return Infinity;
    return left === 0 && this.#streams.kind === "tcp" ? refeedEmptyMs : refeedMs;
  }

  /**
   * Returns the number of subtasks in an entry. A short backlog is spread over several entries for all
   * readers.
   */
  #refsPerEntry(refs: number, missing: number, length: number): number {
    if (this.#streams.kind === "tcp") return 1;
    return Math.max(1, Math.min(refsPerEntryMax, Math.ceil(refs < length ? missing / 4 : length / 2)));
  }

  async #tryAdd(queue: Queue, refs: SubtaskRef[], length: number): Promise<boolean> {
    try {
      const fed = this.#fed.get(queue)!;
      const now = performance.now();
      const isFull = () => (this.#entries.get(queue) ?? 0) >= 2 * length;
      const isStuck = refs.some((ref) => now - (fed.get(keyOf(ref)) ?? now) > refeedMs);
      // The count of entries only grows between inspections, so a stream that seems full may have been read
      // since.
      await this.#inspect(isFull() && this.#grown ? 0 : isFull() || isStuck ? inspectAgainMs : undefined);
      if (isFull()) return false;
      const refeedAfterMs = this.#refeedAfterMs(queue);
      const missing = refs.filter((ref) => {
        const fedAt = fed.get(keyOf(ref));
        return fedAt === undefined || now - fedAt > refeedAfterMs;
      });
      // Over REST, entries are added only for half a window or more.
      const waits = this.#streams.kind === "rest" && refs.length - missing.length > length / 2;
      if (missing.length === 0 || waits) return false;
      const perEntry = this.#refsPerEntry(refs.length, missing.length, length);
      await this.#streams.add(queue, missing, perEntry);
      for (const ref of missing) fed.set(keyOf(ref), now);
      this.#entries.set(queue, (this.#entries.get(queue) ?? 0) + Math.ceil(missing.length / perEntry));
      this.#grown = true;
      this.#health.fed();
      return true;
    } catch (error) {
      this.#health.feedFailed(error);
      this.forget();
      return false;
    }
  }

  /** Reads the lengths of the streams, unless it did so within `everyMs`. */
  async #inspect(everyMs = inspectEveryMs[this.#streams.kind]): Promise<void> {
    const now = performance.now();
    if (now - this.#inspectedAt < Math.min(everyMs, inspectEveryMs[this.#streams.kind])) return;
    const { epoch, lengths } = await this.#streams.readState(this.#queues);
    if (!epoch) {
      this.forget();
      await this.#streams.markEpoch(this.#queues, this.#mark);
    }
    for (const [queue, length] of lengths) this.#entries.set(queue, length);
    this.#grown = false;
    this.#inspectedAt = now;
  }
}
