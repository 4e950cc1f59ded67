/** Replays the quarantine: tries documents again after a rule has changed or missing tasks have been loaded. */
import type postgres from "postgres";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Progress } from "../tools/progress.ts";
import { withMigratorLock } from "../ledger/lock.ts";
import { type QuarantineFilter, whereQuarantine } from "../ledger/quarantine.ts";
import { readParents } from "../load/rows.ts";
import { collections } from "../documents/source.ts";
import { ReplayBatches, type ReplayGroup } from "./replay_batch.ts";
import type { QuarantinedDocument } from "./replay_ledger.ts";

export interface ReplayResult {
  /** False for a dry run, whose transaction was rolled back. */
  applied: boolean;
  documents: number;
  loaded: number;
  stay: number;
  /** Documents of the followed source, which are left to `sync`. */
  followed: number;
  groups: ReplayGroup[];
}

export interface ReplayOptions extends QuarantineFilter {
  /** False rolls the transaction back, so that the result shows what a replay would do. */
  apply: boolean;
  progress: Progress;
  signal?: AbortSignal;
}

const batchSize = 500;

const isFollowed = (sql: Sql) =>
  sql`exists (select from migration.follows f where f.fingerprint = q.fingerprint)`;

/** Counts the documents that a replay leaves out: `sync` tries them when it starts, with its position. */
async function countFollowed(sql: Sql, filter: QuarantineFilter): Promise<number> {
  const [row] = await sql<{ documents: number }[]>`
    select count(*)::float8 as documents
    from migration.quarantine q
    where ${whereQuarantine(sql, filter)} and ${isFollowed(sql)}`;
  return row!.documents;
}

async function replayAll(
  sql: postgres.TransactionSql,
  { progress, signal, ...filter }: Omit<ReplayOptions, "apply">,
): Promise<ReplayGroup[]> {
  const batches = new ReplayBatches(sql);
  const [size] = await sql`
    select coalesce(sum(length(q.original)), 0)::float8 as bytes
    from migration.quarantine q
    where ${whereQuarantine(sql, filter)} and not ${isFollowed(sql)}`;
  failpoint("replay.begun");
  progress.begin("replaying", size!.bytes);
  for (const collection of collections) {
    if (collection === "dramatiq_tasks") batches.parents = await readParents(sql);
    let lastId = "0";
    for (;;) {
      const documents = await sql<QuarantinedDocument[]>`
        select q.id::text as id, q.fingerprint, q.collection, q.range_number, q.position::float8 as position,
          q.reason, q.path, q.attempts, q.original
        from migration.quarantine q
        where q.collection = ${collection} and q.id > ${lastId}::bigint and ${whereQuarantine(sql, filter)}
          and not ${isFollowed(sql)}
        order by q.id
        limit ${batchSize}`;
      if (documents.length === 0) break;
      if (signal?.aborted) {
        throw new AppError("interrupted", "replaying: stopped on request; nothing was changed");
      }
      await batches.replayAll(collection, documents);
      progress.add(documents.reduce((sum, { original }) => sum + original.length, 0), documents.length);
      lastId = documents.at(-1)!.id;
    }
  }
  await batches.settle();
  failpoint("replay.settled");
  progress.end();
  return [...batches.groups.values()];
}

/** Rolls back the transaction of a dry run. */
class DryRun extends Error {}

/**
 * Replays quarantined documents in one transaction, together with the ledger's counts and the tasks' counters.
 *
 * @throws AppError busy while another migrator works; interrupted
 */
export async function replayQuarantine(
  pool: Pool,
  { apply, ...options }: ReplayOptions,
): Promise<ReplayResult> {
  let groups: ReplayGroup[] = [];
  await withMigratorLock(pool, "replaying", async () => {
    try {
      await pool.begin(async (sql) => {
        groups = await replayAll(sql, options);
        if (!apply) throw new DryRun();
      });
    } catch (error) {
      if (!(error instanceof DryRun)) throw error;
    }
    failpoint("replay.committed");
  });
  const sum = (field: "documents" | "loaded" | "present") =>
    groups.reduce((total, group) => total + group[field], 0);
  const documents = sum("documents");
  const loaded = sum("loaded");
  const stay = documents - loaded - sum("present");
  return { applied: apply, documents, loaded, stay, followed: await countFollowed(pool, options), groups };
}
