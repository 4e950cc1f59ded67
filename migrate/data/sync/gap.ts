/**
 * Heals a gap: both sides are compared, and the documents that differ are read in full and applied. A gap opens when
 * the position was lost, and when a source is followed whose documents were loaded before.
 */
import type { Sql } from "../../../db/pg/connect.ts";
import { collections } from "../documents/source.ts";
import type { ChangedKeys } from "../sources/change_stream.ts";
import { failpoint } from "../tools/failpoint.ts";
import { findDiffering } from "./compare.ts";
import { createFollowIndex } from "./copy.ts";
import { readParts } from "./reading.ts";
import { type SyncContext, SyncSession } from "./session.ts";
import { closeGaps, setFollowState } from "./state.ts";

const keysAtOnce = 1000;

/** Applies the current state of documents, without moving the position. */
async function applyKeys(context: SyncContext, session: SyncSession, keys: ChangedKeys): Promise<void> {
  const { source, lease } = context;
  for await (const { states } of readParts(source, keys)) {
    await session.guard(session.applier.apply(states, (sql) => lease.check(sql), () => Promise.resolve()));
    failpoint("gap.applied");
  }
}

/** Deletes the ledger entries of sources that were loaded before; the followed source has its own for all documents. */
async function supersedeSources(sql: Sql): Promise<void> {
  await sql`delete from migration.quarantine where fingerprint not in (select fingerprint from migration.follows)`;
  await sql`delete from migration.adjustments where document_id is null`;
  await sql`delete from migration.originals where document_id is null`;
  await sql`
    update migration.sources
    set superseded_at = now()
    where superseded_at is null and fingerprint not in (select fingerprint from migration.follows)`;
}

/**
 * Compares all documents with the rows and applies those that differ. Then sets the state `following`.
 *
 * @returns the number of compared and of applied documents
 * @throws errors of both databases; the same call begins again
 */
export async function healGap(context: SyncContext): Promise<{ compared: number; applied: number }> {
  const { pool, source, progress, signal } = context;
  failpoint("gap.begun");
  await createFollowIndex(pool);
  await using session = await SyncSession.open(context);
  let compared = 0;
  let applied = 0;
  progress.begin("comparing both sides", 0);
  for (const collection of collections) {
    const onPage = (documents: number) => {
      compared += documents;
      progress.add(0, documents);
      signal.throwIfAborted();
    };
    const differing = [...await findDiffering(pool, source, collection, onPage)];
    failpoint("gap.compared");
    applied += differing.length;
    for (let at = 0; at < differing.length; at += keysAtOnce) {
      signal.throwIfAborted();
      await applyKeys(
        context,
        session,
        new Map([[collection, new Map(differing.slice(at, at + keysAtOnce))]]),
      );
    }
    failpoint("gap.collection_done");
  }
  await pool.begin(async (sql) => {
    await context.lease.check(sql);
    await supersedeSources(sql);
    failpoint("gap.superseded");
    await closeGaps(sql, { compared, applied });
    await setFollowState(sql, "following");
  });
  failpoint("gap.closed");
  progress.end();
  return { compared, applied };
}
