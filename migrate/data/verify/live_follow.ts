/** Which source is followed, and whether its sync works. */
import { wait } from "../../../wait.ts";
import { findLeaseHolder } from "../../../db/queue/workers.ts";
import type { Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { findFollow, type Follow } from "../sync/state.ts";

const startSync = "start 'deno task migrate data sync --from mongodb'";

/**
 * Returns the followed source if it is this one and its copy is complete.
 *
 * @throws AppError not_found (nothing is followed), source_changed (another source, or it was stopped), conflict (its
 * copy is not complete)
 */
export async function requireFollowed(sql: Sql, { identity, location }: FollowedMongo): Promise<Follow> {
  const follow = await findFollow(sql);
  if (follow === undefined || follow.state === "ended") {
    throw new AppError(
      "not_found",
      `verifying '${location}': it is not followed; ${startSync}, or compare a source at rest without --live`,
    );
  }
  if (follow.source_identity !== identity) {
    throw new AppError(
      "source_changed",
      `verifying '${location}': it is not the source that is followed: found '${identity}', wanted ` +
        `'${follow.source_identity}'; name that one`,
    );
  }
  requireFollowing(follow, location);
  return follow;
}

/** @throws AppError source_changed, conflict */
function requireFollowing({ state, stop_reason }: Follow, location: string): void {
  if (state === "following") return;
  if (state === "stopped") {
    throw new AppError(
      "source_changed",
      `verifying '${location}': its sync was stopped: ${stop_reason}; run 'sync --restart' first`,
    );
  }
  const what = state === "copying"
    ? "its first copy is not complete"
    : "its position was lost, and sync has to compare both sides first";
  throw new AppError(
    "conflict",
    `verifying '${location}': ${what}; ${startSync}, and verify when it reports that it applies changes`,
  );
}

/** Reports whether a process follows the source now. */
export const isSyncRunning = async (sql: Sql): Promise<boolean> =>
  await findLeaseHolder(sql, "sync") !== undefined;

/** Returns the identity of the source that a process follows now, if there is one. */
export async function findFollowedNow(sql: Sql): Promise<string | undefined> {
  const follow = await findFollow(sql);
  return follow !== undefined && await isSyncRunning(sql) ? follow.source_identity : undefined;
}

/** Waits for the sync without progress, in milliseconds. */
export interface WaitLimits {
  /** Without a process that follows. A restart, or an expiring lease, takes up to 10 s. */
  withoutSync: number;
  /** Without a stored position, although a process follows. */
  standstill: number;
  /** Without a document that can be compared again, although the position moves. */
  lag: number;
}

export const waitLimits: WaitLimits = { withoutSync: 12_000, standstill: 60_000, lag: 600_000 };

/** Waits for the sync to get past the positions that were seen. */
export class SyncWatch {
  #since = performance.now();
  #runningAt = performance.now();
  #movedAt = performance.now();
  #appliedAt = "";

  constructor(readonly sql: Sql, readonly source: FollowedMongo, readonly limits: WaitLimits) {}

  /** Notes that documents could be compared again. */
  reset(): void {
    this.#since = performance.now();
  }

  /**
   * Waits a moment.
   *
   * @throws AppError busy when the sync does not move, or stays behind; source_changed, conflict
   */
  async wait(): Promise<void> {
    const follow = await requireFollowed(this.sql, this.source);
    const now = performance.now();
    if (await isSyncRunning(this.sql)) this.#runningAt = now;
    if (follow.applied_at !== this.#appliedAt) this.#movedAt = now;
    this.#appliedAt = follow.applied_at;
    if (now - this.#runningAt > this.limits.withoutSync) {
      throw this.#error(
        `documents differ, and whether they only lag cannot be told, because no sync is running; ${startSync}, and`,
      );
    }
    if (now - this.#movedAt > this.limits.standstill) {
      throw this.#error(
        `the sync has applied nothing since ${follow.applied_at}; look at its output, restart it, and`,
      );
    }
    if (now - this.#since > this.limits.lag) {
      throw this.#error(
        `the sync stays behind the source: it has applied everything up to ${follow.position_at}; wait until its lag ` +
          "falls, and",
      );
    }
    await wait(100);
  }

  #error(why: string): AppError {
    return new AppError(
      "busy",
      `verifying '${this.source.location}': ${why} run the same command again, which continues`,
    );
  }
}
