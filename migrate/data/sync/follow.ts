/**
 * Follows a source: copies it once, then applies its changes until it is stopped. States, as stored in
 * migration.follows: `copying` → `following`; `following` → `gap` when the position was lost → `following`;
 * → `stopped` when the source was replaced, which an operator must look at; → `ended` by a cut-over.
 */
import { AppError } from "../../../errors.ts";
import { isPassing } from "../../../passing.ts";
import { isPassingMongo, isPositionLost } from "../sources/mongo_errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import { wait } from "../../../wait.ts";
import { copyAll, createFollowIndex } from "./copy.ts";
import { healGap } from "./gap.ts";
import { clockPosition } from "./poll.ts";
import type { SyncContext } from "./session.ts";
import { findFollow, openGap, setFollowState } from "./state.ts";
import { applyChanges, type BatchReport, lagOf } from "./stream.ts";
import { counted, inflect } from "../../../phrases.ts";

/** Waits before the first and before any further retry, in milliseconds. */
const retryMsMin = 200;
const retryMsMax = 5000;
/** Lag from which a sync with `once` is not at its end, in milliseconds. */
const lagMsMax = 1000;

export interface FollowOptions {
  /** Ends when all changes up to now are applied. */
  once: boolean;
  onBatch: (report: BatchReport) => void;
  /** Receives each failure that is waited for. */
  onRetry: (message: string) => void;
}

/** See follow(). */
class Follower {
  #retryMs = retryMsMin;
  #isDone = false;
  /** No batch was applied yet. */
  #isFirst = true;

  constructor(readonly context: SyncContext, readonly options: FollowOptions) {}

  async run(): Promise<void> {
    const { signal } = this.context;
    while (!this.#isDone && !signal.aborted) {
      try {
        await this.#step();
      } catch (error) {
        if (signal.aborted) break;
        await this.#handle(error);
      }
    }
    failpoint("sync.stopped");
  }

  async #step(): Promise<void> {
    const { context, options } = this;
    const follow = await findFollow(context.pool);
    if (follow === undefined) {
      throw new AppError("conflict", "following: its row in migration.follows was deleted");
    }
    if (follow.state === "ended") {
      this.#isDone = true;
      return context.onNote("this system is in charge now: the cut-over has ended the sync");
    }
    if (follow.state === "copying") return await copyAll(context);
    if (follow.state === "gap") {
      const { compared, applied } = await healGap(context);
      return context.onNote(
        `compared both sides: ${applied} of ${counted(compared, "document")} differed and ${
          inflect(applied, "was", "were")
        } read again`,
      );
    }
    // A target that was restored from a backup into another database does not have it.
    if (this.#isFirst) await createFollowIndex(context.pool);
    const target = await this.#now();
    const onBatch = (report: BatchReport) => {
      this.#retryMs = retryMsMin;
      this.#isFirst = false;
      options.onBatch(report);
      this.#isDone = options.once && report.position >= target && lagOf(report) < lagMsMax;
      if (this.#isDone) failpoint("sync.caught_up");
    };
    const isDone = () => this.#isDone || context.signal.aborted;
    await applyChanges(context, { retriesQuarantine: this.#isFirst, onBatch, isDone });
  }

  #now(): Promise<bigint> {
    const { source } = this.context;
    return source.topology === "standalone" ? clockPosition(source) : source.clusterPosition();
  }

  /** @throws errors that do not pass */
  async #handle(error: unknown): Promise<void> {
    const { pool, source, lease, onNote, signal } = this.context;
    if (isPositionLost(error)) {
      await openGap(pool, (error as Error).message.slice(0, 300), await this.#now());
      failpoint("gap.opened");
      return onNote("the position has left the oplog; comparing both sides");
    }
    if (error instanceof AppError) {
      if (error.code === "source_changed") await setFollowState(pool, "stopped", error.message);
      // The cut-over takes the lease, and the next step ends.
      if (error.code === "busy" && (await findFollow(pool))?.state === "ended") return;
      // A lease that only expired, because PostgreSQL was away or this process stood still, goes on.
      if (error.code !== "busy" || !await lease.renew()) throw error;
      return;
    }
    if (!isPassingMongo(error) && !isPassing(error)) throw source.toAppError(error, "following");
    this.options.onRetry(`${(error as Error).message}; trying again in ${this.#retryMs} ms`);
    await wait(this.#retryMs, signal);
    this.#retryMs = Math.min(retryMsMax, this.#retryMs * 2);
    await lease.renew().catch(() => {});
  }
}

/**
 * Follows a source until the signal is aborted, or once.
 *
 * @throws AppError source_changed, busy
 */
export const follow = (context: SyncContext, options: FollowOptions): Promise<void> =>
  new Follower(context, options).run();
