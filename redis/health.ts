/** Whether the queue can use Redis, as the calls of this process and the leader's reports showed. */
import type { Metrics } from "../metrics.ts";
import { type DescribedFault, describeFault, type RedisFault } from "./refusal.ts";

/** Pause after a failed call. */
const retryEveryMs = 1_000;
/** Age from which a failed feed is forgotten: the leader that reported it each second is gone. */
const feedReportMs = 10_000;

/**
 * A use of Redis: `reads` of a worker, its `drops` of handled messages, the leader's `feed`, counted `logins` of
 * the API.
 */
export type RedisUse = "reads" | "drops" | "feed" | "logins";

/** Returns a function that shows in the metrics which use fails, and why. */
export function createFailureGauge({ redisFailing }: Metrics) {
  const shown = new Map<RedisUse, RedisFault>();
  return (use: RedisUse, cause: RedisFault | undefined): void => {
    const before = shown.get(use);
    if (before !== undefined) redisFailing.remove({ use, cause: before });
    shown.delete(use);
    if (cause === undefined) return;
    shown.set(use, cause);
    redisFailing.set({ use, cause }, 1);
  };
}

/**
 * Remembers whether Redis works and reports each change once.
 *
 * The uses fail independently: a full Redis answers reads and refuses entries. Then messages are missing, so
 * pullers claim from the rows until the feed has succeeded again. Messages that cannot be dropped fill the
 * streams, which has the same effect.
 *
 * States: present; away, with the failing uses and their causes. Moves: `failed`, `dropFailed` and
 * `feedFailed` make it away. It is present when `answered`, `dropped` and `fed` have ended all failures, or
 * when a failure of the feed has not been reported again.
 */
export class RedisHealth {
  readonly #causes = new Map<RedisUse, DescribedFault>();
  readonly #failedAt = new Map<RedisUse, number>();
  readonly #onChange: (use: RedisUse, cause: DescribedFault | undefined) => void;

  /** @param onChange called at each change, with the cause if the use fails now */
  constructor(onChange: (use: RedisUse, cause: DescribedFault | undefined) => void) {
    this.#onChange = onChange;
  }

  #isRecent(use: RedisUse, ms: number): boolean {
    return performance.now() - (this.#failedAt.get(use) ?? -Infinity) <= ms;
  }

  /** Whether the feed may call Redis now: it has not failed within the last second. */
  get mayFeed(): boolean {
    return !this.#isRecent("feed", retryEveryMs);
  }

  /**
   * Whether a puller may read from Redis now: entries arrive, and no read or drop has failed within the last
   * second.
   */
  get mayRead(): boolean {
    return !this.isFeedFailing && !this.#isRecent("reads", retryEveryMs) &&
      !this.#isRecent("drops", retryEveryMs);
  }

  get isFeedFailing(): boolean {
    return this.feedCause !== undefined;
  }

  /** Why the feed fails. */
  get feedCause(): DescribedFault | undefined {
    if (this.#causes.has("feed") && !this.#isRecent("feed", feedReportMs)) this.#clear("feed");
    return this.#causes.get("feed");
  }

  /** Whether workers claim from the rows. */
  get isAway(): boolean {
    return this.isFeedFailing || this.#causes.has("reads") || this.#causes.has("drops");
  }

  /** Notes that a call of this worker failed. */
  failed(error: unknown): void {
    this.#fail("reads", error);
  }

  /** Notes that a read of this worker was answered. */
  answered(): void {
    this.#clear("reads");
  }

  /** Notes that this worker failed to drop messages. It drops them before its next read. */
  dropFailed(error: unknown): void {
    this.#fail("drops", error);
  }

  /** Notes that this worker dropped messages. */
  dropped(): void {
    this.#clear("drops");
  }

  /** Notes that the leader failed to add entries. */
  feedFailed(error: unknown): void {
    this.#fail("feed", error);
  }

  /** Notes that the leader added entries, or may add them. */
  fed(): void {
    this.#clear("feed");
  }

  #fail(use: RedisUse, error: unknown): void {
    this.#failedAt.set(use, performance.now());
    const cause = describeFault(error);
    const before = this.#causes.get(use);
    this.#causes.set(use, cause);
    if (before?.fault !== cause.fault) this.#onChange(use, cause);
  }

  #clear(use: RedisUse): void {
    this.#failedAt.delete(use);
    if (this.#causes.delete(use)) this.#onChange(use, undefined);
  }
}
