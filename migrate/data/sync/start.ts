/** Preconditions of a sync, and the decision how it begins. */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { createHash } from "node:crypto";
import { AppError } from "../../../errors.ts";
import { documentKey } from "../documents/ids.ts";
import { ObjectId } from "../documents/tree.ts";
import { formatSeconds } from "../tools/format.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { readOplog } from "../sources/oplog.ts";
import { failpoint } from "../tools/failpoint.ts";
import { clockPosition } from "./poll.ts";
import { findFollow, type Follow, type FollowMode, insertFollow, openGap } from "./state.ts";
import { counted, inflect } from "../../../phrases.ts";

export interface StartOptions {
  mode: FollowMode;
  /** Compares both sides and continues from now, after the source was replaced or the sync was stopped. */
  restart: boolean;
  /** Begins even if the oplog may be too short for the copy. */
  acceptShortOplog: boolean;
}

/** Documents' bytes that a copy reads in a second, at least. */
const copyBytesPerSecond = 8 * 1024 * 1024;
/** The oplog must cover the copy this many times. */
const oplogFactor = 2;

/** @throws AppError database_unsuitable when the source cannot be followed in this mode */
export function checkTopology({ topology, location }: FollowedMongo, mode: FollowMode): void {
  if (topology !== "standalone" || mode === "poll") return;
  throw new AppError(
    "database_unsuitable",
    `following '${location}': it is a standalone server, which has no change streams; start it with --replSet rs0 ` +
      "and run 'rs.initiate()' once, which makes it a replica set of one; or follow it with --poll, which reads " +
      "'updated_at' and finds deletions only by comparing both sides",
  );
}

/**
 * Opens a change stream once, because only that shows whether the account may.
 *
 * @throws AppError database_refused
 */
async function checkPermission(source: FollowedMongo, position: bigint): Promise<void> {
  try {
    await (await source.openStream({ position })).close();
  } catch (error) {
    if ((error as { code?: unknown }).code !== 13) throw error;
    throw new AppError(
      "database_refused",
      `following '${source.location}': its account may not open change streams; wanted the role 'read' on the ` +
        "database, which allows 'find' and 'changeStream'",
      { cause: error },
    );
  }
}

/** @throws AppError database_unsuitable when the oplog would be overwritten before the copy ends */
async function checkOplog(source: FollowedMongo, onNote: (note: string) => void): Promise<void> {
  const oplog = await readOplog(source);
  if (oplog === undefined) {
    onNote("the size of the oplog is unknown, because the account may not read the database 'local'");
    return;
  }
  const copySeconds = await source.countBytes() / copyBytesPerSecond;
  if (oplog.windowSeconds >= oplogFactor * copySeconds) return;
  throw new AppError(
    "database_unsuitable",
    `following '${source.location}': its oplog covers about ${
      formatSeconds(oplog.windowSeconds)
    }, and the copy may ` +
      `take ${
        formatSeconds(copySeconds)
      }; wanted at least ${oplogFactor} times as much, or the position is lost ` +
      "before the copy ends. Enlarge it with db.adminCommand({replSetResizeOplog: 1, size: 16000}) (in MB), or go on " +
      "with --accept-short-oplog",
  );
}

const sampleSize = 1000;

/**
 * Checks that rows which were loaded before come from this source.
 *
 * @throws AppError source_changed when fewer than half of the sampled tasks are in the source
 */
async function checkOrigin(sql: Sql, source: FollowedMongo): Promise<void> {
  const rows = await sql<{ legacy_id: string }[]>`
    select legacy_id from tasks where generation is not null and (extra is null or extra -> '_id' is null)
    limit ${sampleSize}`;
  if (rows.length === 0) return;
  const keys = rows.map(({ legacy_id }) => new ObjectId(legacy_id));
  const found = await source.countExisting("tasks", keys);
  if (found * 2 >= rows.length) return;
  throw new AppError(
    "source_changed",
    `following '${source.location}': the rows of the target come from another database, since only ${found} of ` +
      `${counted(rows.length, "sampled task")} ${
        inflect(found, "is", "are")
      } in this one; wanted the MONGODB_URL and DB_NAME that were loaded, or an empty ` +
      "target",
  );
}

const hasRows = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql`
    select exists (select from users where generation is not null)
      or exists (select from tasks where generation is not null) as rows`;
  return row!.rows;
};

const fingerprintOf = (identity: string): string =>
  createHash("sha256").update(`followed ${documentKey(identity)}`).digest("hex");

/** Stores the position from which changes will be applied. It is taken before the first document is read. */
async function begin(sql: Sql, source: FollowedMongo, mode: FollowMode, position: bigint): Promise<void> {
  const { identity, location } = source;
  await insertFollow(sql, { fingerprint: fingerprintOf(identity), identity, location, mode, position });
  if (await hasRows(sql)) {
    await openGap(sql, "the target had rows when the source was first followed", position);
  }
}

/** @throws AppError source_changed when the followed source is another one, or an operator must decide */
function checkSame(follow: Follow, { identity, location }: FollowedMongo): void {
  if (follow.source_identity !== identity) {
    throw new AppError(
      "source_changed",
      `following '${location}': it is not the source that was followed before: found '${identity}', wanted ` +
        `'${follow.source_identity}'; name that one, or compare both sides and continue with --restart`,
    );
  }
  if (follow.state === "stopped") {
    throw new AppError(
      "source_changed",
      `following '${location}': it was stopped: ${follow.stop_reason}; compare both sides and continue with --restart`,
    );
  }
}

/** @throws AppError conflict when this system is in charge: documents must not replace its rows */
async function checkInCharge(sql: Sql): Promise<void> {
  const { phase, phase_before } = await readTraffic(sql);
  if (phase !== "new" && phase_before !== "new") return;
  throw new AppError(
    "conflict",
    "following: this system is in charge since the cut-over, and its rows must not be replaced by documents; to give " +
      "the traffic back to the old backend, run 'deno task migrate data rollback'",
  );
}

/**
 * Checks the source and prepares the row of the followed source.
 *
 * @returns the followed source, with its state
 * @throws AppError database_unsuitable, database_refused, source_changed
 */
export async function startFollow(
  sql: Pool,
  source: FollowedMongo,
  { mode, restart, acceptShortOplog }: StartOptions,
  onNote: (note: string) => void,
): Promise<Follow> {
  checkTopology(source, mode);
  await checkInCharge(sql);
  failpoint("sync.before_start");
  const position = mode === "poll" ? await clockPosition(source) : await source.clusterPosition();
  if (mode === "stream") await checkPermission(source, position);
  const known = await findFollow(sql);
  if (known === undefined || known.state === "ended") {
    if (mode === "stream" && !acceptShortOplog) await checkOplog(source, onNote);
    await checkOrigin(sql, source);
    await sql.begin(async (transaction) => {
      await transaction`delete from migration.follows`;
      await begin(transaction, source, mode, position);
    });
  } else if (restart) {
    await checkOrigin(sql, source);
    await sql.begin(async (transaction) => {
      await openGap(transaction, "restarted by an operator", position);
      await transaction`
        update migration.follows
        set source_identity = ${source.identity}, mode = ${mode}`;
    });
  } else {
    checkSame(known, source);
    if (known.mode !== mode) await sql`update migration.follows set mode = ${mode}`;
  }
  failpoint("sync.started");
  return (await findFollow(sql))!;
}
