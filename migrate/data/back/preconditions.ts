/** What must hold before the first document is written back. Each failure is one message, and nothing is written. */
import { findLeaseHolder, waitForLeaseEnd } from "../../../db/queue/workers.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { collections } from "../documents/source.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { isWriteBlocked, readBlockRights } from "../sources/write_block.ts";
import { isCaptureEnabled } from "./capture.ts";
import { findFollowedIdentity } from "../../../db/migration/following.ts";
import { findBack } from "./state.ts";
import { blockedError, unauthorizedError } from "./writer.ts";

/** @throws AppError conflict */
async function checkCapture(pool: Pool): Promise<void> {
  if (await isCaptureEnabled(pool)) return;
  throw new AppError(
    "conflict",
    "back: changes are not captured, so it is not known what to write back; begin with " +
      "'deno task migrate data capture on', at a moment when both sides are equal",
  );
}

/**
 * Checks that no sync runs. One that is ending, as each does after a cut-over, is waited for.
 *
 * @throws AppError busy
 */
async function checkSync(pool: Pool, onNote: (note: string) => void): Promise<void> {
  const running = await findLeaseHolder(pool, "sync");
  if (running === undefined) return;
  onNote(`waiting up to 10 s for the forward sync (process ${running}) to end`);
  const holder = await waitForLeaseEnd(pool, "sync");
  if (holder === undefined) return;
  throw new AppError(
    "busy",
    `back: the forward sync still runs (process ${holder}); stop it first, since one side must be in charge`,
  );
}

/** @throws AppError conflict */
async function checkIdentity(pool: Pool, source: FollowedMongo, acceptOther: boolean): Promise<void> {
  if (acceptOther) return;
  const written = (await findBack(pool))?.target_identity;
  const known = written ?? await findFollowedIdentity(pool);
  if (known === undefined || known === source.identity) return;
  throw new AppError(
    "conflict",
    `back: '${source.location}' is not the database that ${
      written === undefined ? "was followed" : "earlier changes were written to"
    } (found '${source.identity}', wanted '${known}'); name that one, or add --other-database after you copied its ` +
      "documents there",
  );
}

/** @throws AppError conflict */
async function checkBlock({ client, version, location }: FollowedMongo): Promise<void> {
  if (!await isWriteBlocked(client)) return;
  if ((await readBlockRights(client, version)).canBypass) return;
  throw blockedError(location);
}

/** @throws AppError database_refused when the account may not write */
export async function checkPermissions(source: FollowedMongo): Promise<void> {
  const { db, location } = source;
  // No document has this _id, so nothing is changed.
  const _id = `contactsheet: ${crypto.randomUUID()}`;
  for (const collection of collections) {
    const updates = [{ q: { _id }, u: { $set: { _id } } }];
    const deletes = [{ q: { _id }, limit: 1 }];
    try {
      await db.command({ update: collection, updates });
      await db.command({ delete: collection, deletes });
    } catch (error) {
      const { code, message } = error as { code?: number; message: string };
      throw code === 13
        ? unauthorizedError(location, message)
        : source.toAppError(error, "checking the permissions of");
    }
  }
}

/** @throws AppError database_unsuitable */
async function checkPrimary(source: FollowedMongo): Promise<void> {
  const { isWritablePrimary } = await source.db.command({ hello: 1 });
  if (isWritablePrimary === true) return;
  throw new AppError(
    "database_unsuitable",
    `back: '${source.location}' is a secondary, which takes no writes; name the whole replica set in the URL`,
  );
}

/**
 * Checks everything.
 *
 * @throws AppError conflict, busy, database_refused, database_unsuitable
 */
export async function checkPreconditions(
  pool: Pool,
  source: FollowedMongo,
  { acceptOther, onNote }: { acceptOther: boolean; onNote: (note: string) => void },
): Promise<void> {
  await checkCapture(pool);
  await checkSync(pool, onNote);
  await checkIdentity(pool, source, acceptOther);
  await checkPrimary(source);
  await checkBlock(source);
  await checkPermissions(source);
}
