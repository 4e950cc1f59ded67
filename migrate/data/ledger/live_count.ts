/** Counts the documents of a followed source: at the position of the rows, or while the source is quiet. */
import { wait } from "../../../wait.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { type Collection, collections } from "../documents/source.ts";
import type { ChangeStream } from "../sources/change_stream.ts";
import { isPositionLost } from "../sources/mongo_errors.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { readSnapshot, type TargetSnapshot } from "../../../db/migration/ledger.ts";
import { type FollowedCollection, toEquation } from "./equation.ts";

/** The equation of all collections, and when it held. */
export interface LiveEquation {
  /** Time of the source at which the documents were counted; null before the first position. */
  position_at: string | null;
  collections: FollowedCollection[];
  /**
   * `proven`: the source was quiet, or the counts of one position agree. `moving`: they differ, and changes that are under
   * way may be the reason. `differs`: they differ although the source is quiet. `unknown`: see `reason`.
   */
  state: "proven" | "moving" | "differs" | "unknown";
  /** Why the documents are not known, or what is under way. */
  reason: string | null;
}

/** Attempts to find a moment without changes under way, and the wait between them. */
const attemptsMax = 6;
const waitMs = 400;

async function countAll(
  source: FollowedMongo,
  position: bigint | undefined,
): Promise<Map<Collection, number>> {
  const counts = new Map<Collection, number>();
  for (const collection of collections) counts.set(collection, await source.countAt(collection, position));
  return counts;
}

const isEqual = (equation: readonly FollowedCollection[]): boolean =>
  equation.every(({ difference, exact }) => difference === 0 && exact >= 0);

async function snapshotOf(sql: Pool): Promise<TargetSnapshot> {
  const snapshot = await sql.begin("isolation level repeatable read read only", (one) => readSnapshot(one));
  if (snapshot) return snapshot;
  throw new AppError("conflict", "counting the followed source: no source is followed any more");
}

/** Returns the equation without the documents. */
export const unknownEquation = (snapshot: TargetSnapshot, reason: string): LiveEquation => ({
  position_at: snapshot.position_at,
  collections: toEquation(snapshot, null),
  state: "unknown",
  reason,
});

/** Returns the counts of the target alone. */
export async function countTarget(sql: Pool, reason: string): Promise<LiveEquation> {
  return unknownEquation(await snapshotOf(sql), reason);
}

/** Returns the reason why documents cannot be counted at a position. */
function explain(error: unknown): string {
  const { code, message } = error as { code?: number; message: string };
  // SnapshotTooOld, SnapshotUnavailable
  if (code === 239 || code === 246) {
    return "the server does not keep the state of this position any more (5 minutes by default); start 'sync'";
  }
  // InvalidOptions: before MongoDB 5.0
  if (code === 72) return "this server cannot count at a position; use --settled";
  return message;
}

/** Counts both sides at the position of the target. The source may change meanwhile. */
export async function countAtPosition(sql: Pool, source: FollowedMongo): Promise<LiveEquation> {
  for (let attempt = 1;; attempt++) {
    const snapshot = await snapshotOf(sql);
    const { state, position, mode, position_at } = snapshot;
    if (state === "copying" || state === "gap") {
      return unknownEquation(
        snapshot,
        state === "gap" ? "both sides are being compared" : "the copy is running",
      );
    }
    if (mode === "poll" || position === null) {
      return unknownEquation(snapshot, "a standalone cannot count at a position; use --settled");
    }
    try {
      const equation = toEquation(snapshot, await countAll(source, BigInt(position)));
      if (isEqual(equation)) return { position_at, collections: equation, state: "proven", reason: null };
      if (attempt === attemptsMax) {
        return { position_at, collections: equation, state: "moving", reason: "changes are under way" };
      }
    } catch (error) {
      return unknownEquation(snapshot, explain(error));
    }
    await wait(waitMs);
  }
}

/** Reads on to a cluster time. Returns the number of changes. */
async function readOn(stream: ChangeStream, target: bigint): Promise<number> {
  let events = 0;
  while (true) {
    const batch = await stream.next();
    events += batch.events;
    if (batch.position >= target || events > 0) return events;
  }
}

/** Counts both sides if the source has no change that is not applied, and gets none meanwhile. */
async function countQuiet(sql: Pool, source: FollowedMongo): Promise<LiveEquation | string> {
  const before = await snapshotOf(sql);
  if (before.state !== "following") return `its state is '${before.state}'`;
  const stream = await source.openStream(
    before.resume_token === null ? { position: BigInt(before.position!) } : { token: before.resume_token },
  );
  try {
    if (await readOn(stream, await source.clusterPosition()) > 0) return "changes are still to be applied";
    const documents = await countAll(source, undefined);
    const snapshot = await snapshotOf(sql);
    if (await readOn(stream, await source.clusterPosition()) > 0) return "the source is changing";
    const equation = toEquation(snapshot, documents);
    const state = isEqual(equation) ? "proven" : "differs";
    return { position_at: snapshot.position_at, collections: equation, state, reason: null };
  } catch (error) {
    if (isPositionLost(error)) {
      return "its position has left the oplog; start 'sync', which compares both sides";
    }
    throw error;
  } finally {
    await stream.close();
  }
}

/** Counts both sides of a standalone, where only a count that stays the same tells that it is quiet. */
async function countPolled(sql: Pool, source: FollowedMongo): Promise<LiveEquation | string> {
  const before = await countAll(source, undefined);
  const first = await snapshotOf(sql);
  // Two polls.
  await wait(waitMs * 6);
  const documents = await countAll(source, undefined);
  const snapshot = await snapshotOf(sql);
  if (snapshot.state !== "following") return `its state is '${snapshot.state}'`;
  if (snapshot.position === first.position) return "no sync is polling";
  if ([...before].some(([name, count]) => documents.get(name) !== count)) return "the source is changing";
  const equation = toEquation(snapshot, documents);
  const state = isEqual(equation) ? "proven" : "differs";
  return { position_at: snapshot.position_at, collections: equation, state, reason: null };
}

/**
 * Waits until the source is quiet and everything is applied, and counts both sides.
 *
 * @param onWait receives the reason of each wait, and the seconds that are left
 * @throws AppError busy when the source was not quiet within this time; source_changed when the sync was stopped
 */
export async function countSettled(
  sql: Pool,
  source: FollowedMongo,
  { waitSeconds, signal, onWait }: {
    waitSeconds: number;
    signal: AbortSignal;
    onWait: (reason: string, secondsLeft: number) => void;
  },
): Promise<LiveEquation> {
  const until = Date.now() + waitSeconds * 1000;
  while (true) {
    const { mode } = await snapshotOf(sql);
    const equation = await (mode === "poll" ? countPolled(sql, source) : countQuiet(sql, source));
    if (typeof equation !== "string") return equation;
    if (signal.aborted) {
      throw new AppError("interrupted", "waiting until the source is quiet: stopped on request");
    }
    if (Date.now() >= until) {
      throw new AppError(
        "busy",
        `waiting until the source is quiet: after ${waitSeconds} s, ${equation}; stop what writes to it, see that ` +
          "'sync' runs, and run the command again",
      );
    }
    onWait(equation, Math.ceil((until - Date.now()) / 1000));
    await wait(waitMs);
  }
}
