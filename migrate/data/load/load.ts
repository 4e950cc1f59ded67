/**
 * Loads a source: acquires the migrator lock, surveys the source, stores its plan, and then writes the rows, the
 * ledger entries and the checkpoint of each range in one transaction.
 */
import { requireWritableServer } from "../../../db/pg/server.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { rejectWhenLost } from "../../../db/pg/reserve.ts";
import { AppError } from "../../../errors.ts";
import { requireSchema } from "../../schema/runner.ts";
import { deferredFrom, dropIndexes, listDroppedIndexes } from "./deferred_indexes.ts";
import { failpoint } from "../tools/failpoint.ts";
import { findSource, finishRun, insertPlan, insertRun, listRanges } from "../ledger/ledger.ts";
import { acquireMigratorLock, migratorBusy, releaseMigratorLock } from "../ledger/lock.ts";
import { makePlanAsStage, rangeBytesDefault } from "./plan.ts";
import type { Progress } from "../tools/progress.ts";
import { type Connections, loadRanges } from "./range_load.ts";
import { settle } from "./settle.ts";
import { type Source, sumOf } from "../documents/source.ts";
import { loadStages, stageNames } from "./stages.ts";

export interface LoadOptions {
  /** Approximate bytes of source in one transaction. */
  rangeBytes?: number;
  progress: Progress;
  /** Aborted by SIGINT. The load then finishes the current range and stops. */
  signal?: AbortSignal;
  /** Receives notes for the operator during the load. */
  onNote?: (note: string) => void;
}

export interface LoadResult {
  fingerprint: string;
  /** Documents loaded by this run; 0 if the source was settled before. */
  documents: number;
  ranges: number;
}

async function loadLocked(
  connections: Connections,
  source: Source,
  options: LoadOptions,
): Promise<LoadResult> {
  const [sql] = connections;
  const { progress, rangeBytes = rangeBytesDefault } = options;
  const { plan, form } = await makePlanAsStage(source, { rangeBytes, progress, toStages: loadStages });
  const { fingerprint } = plan;
  failpoint("plan.made");
  const known = await findSource(sql, fingerprint);
  if (known?.settled) return { fingerprint, documents: 0, ranges: 0 };
  if (!known) {
    await sql`begin`;
    failpoint("plan.begun");
    await insertPlan(sql, source, fingerprint, plan.ranges);
    if (plan.documents.dramatiq_tasks >= deferredFrom) await dropIndexes(sql);
    failpoint("plan.before_commit");
    await sql`commit`;
    failpoint("plan.committed");
  }
  const dropped = await listDroppedIndexes(sql);
  if (dropped.length > 0) {
    options.onNote?.(`dropped during the load, recreated at the end: ${dropped.join(", ")}`);
  }
  const ranges = await listRanges(sql, fingerprint, { planned: true });
  // A crash of the server may lose the last ranges together with their checkpoints, and they are loaded again.
  // settle() commits synchronously, which also flushes everything before it.
  for (const connection of connections) await connection`set synchronous_commit = off`;
  const runId = await insertRun(sql, fingerprint);
  failpoint("run.inserted");
  const left = sumOf(ranges, "bytes");
  progress.plan(loadStages(form, { all: sumOf(plan.ranges, "bytes"), left }));
  progress.begin(stageNames.load, left);
  try {
    const documents = await loadRanges(connections, source, {
      plan,
      ranges,
      runId,
      progress,
      signal: options.signal,
    });
    failpoint("ranges.done");
    progress.begin(stageNames.settle, 0);
    await sql`set synchronous_commit = on`;
    await settle(connections, fingerprint, runId);
    failpoint("settle.committed");
    return { fingerprint, documents, ranges: ranges.length };
  } catch (error) {
    if (!options.signal?.aborted) throw error;
    await finishRun(sql, runId, "stopped");
    throw new AppError(
      "interrupted",
      "loading: stopped on request; loaded ranges are kept; run the same command again to load the rest",
      { cause: error },
    );
  } finally {
    progress.end();
  }
}

/**
 * Loads the ranges of a source that are not loaded yet. Loading the same content again changes nothing.
 *
 * @throws AppError busy (another migrator is running), schema_mismatch, invalid_source, source_truncated,
 * source_changed, interrupted
 */
export async function load(pool: Pool, source: Source, options: LoadOptions): Promise<LoadResult> {
  await requireWritableServer(pool);
  await requireSchema(pool);
  failpoint("load.schema_checked");
  const connections = [await pool.reserve(), await pool.reserve(), await pool.reserve()] as const;
  let isComplete = false;
  try {
    for (const [number, connection] of connections.entries()) {
      if (await acquireMigratorLock(connection, number)) continue;
      throw await migratorBusy(connection, "loading");
    }
    failpoint("load.lock_acquired");
    const result = await Promise.race([
      loadLocked(connections, source, options),
      ...connections.map(rejectWhenLost),
    ]);
    for (const [number, connection] of connections.entries()) {
      await connection`reset synchronous_commit`;
      await releaseMigratorLock(connection, number);
    }
    failpoint("load.lock_released");
    isComplete = true;
    return result;
  } finally {
    // After a failure a session may be in any state of the COPY protocol, so both are closed.
    if (isComplete) { for (const connection of connections) connection.release(); }
    else await pool.end({ timeout: 0 });
  }
}
