/** Loads a source: fence, survey, plan, then each range as rows, exceptions and checkpoint in one transaction. */
import type { Pool } from "../../../db/pg/connect.ts";
import { whenLost } from "../../../db/pg/reserve.ts";
import { AppError } from "../../../errors.ts";
import { requireSchema } from "../../schema/runner.ts";
import { deferredFrom, listTakenOff, takeOff } from "./deferred.ts";
import { failpoint } from "../tools/failpoint.ts";
import {
  dropFence,
  findSource,
  finishRun,
  insertPlan,
  insertRun,
  listRanges,
  takeFence,
} from "../ledger/ledger.ts";
import { makePlan } from "./plan.ts";
import type { Progress } from "../tools/progress.ts";
import { type Lanes, loadRanges } from "./range_load.ts";
import { settle } from "./settle.ts";
import { type Source, sumOf } from "../documents/source.ts";
import { type Form, loadStages, stageNames } from "./stages.ts";

export interface LoadOptions {
  /** Bytes of source in one transaction, about. */
  rangeBytes?: number;
  progress: Progress;
  /** Aborted by SIGINT: the range under way is finished, then the run stops. */
  signal?: AbortSignal;
  /** Hears what a person should know while it runs. */
  onNote?: (note: string) => void;
}

export interface LoadResult {
  fingerprint: string;
  /** Documents carried in this run; 0 where all was done before. */
  documents: number;
  ranges: number;
}

export const rangeBytesDefault = 2 * 1024 * 1024;

async function loadUnderFence(
  lanes: Lanes,
  source: Source,
  options: LoadOptions,
): Promise<LoadResult> {
  const [sql] = lanes;
  const { progress, rangeBytes = rangeBytesDefault } = options;
  let form: Form = source.kind === "mongoexport" ? "usual lines" : "bson";
  progress.plan(loadStages(form, { all: source.bytes }));
  progress.begin(stageNames.survey, source.bytes);
  const plan = await makePlan(source, {
    rangeBytes,
    onBytes: (bytes) => progress.add(bytes, 0),
    onForm: (found) => {
      form = found;
      progress.plan(loadStages(form, { all: source.bytes }));
    },
  });
  const { fingerprint } = plan;
  failpoint("plan.made");
  const known = await findSource(sql, fingerprint);
  if (known?.settled) return { fingerprint, documents: 0, ranges: 0 };
  if (!known) {
    await sql`begin`;
    failpoint("plan.begun");
    await insertPlan(sql, source, fingerprint, plan.ranges);
    if (plan.documents.dramatiq_tasks >= deferredFrom) await takeOff(sql);
    failpoint("plan.before_commit");
    await sql`commit`;
    failpoint("plan.committed");
  }
  const off = await listTakenOff(sql);
  if (off.length > 0) options.onNote?.(`off while rows come in, put back at the end: ${off.join(", ")}`);
  const ranges = await listRanges(sql, fingerprint, { planned: true });
  // A crash of the server may lose the last ranges, each with its checkpoint: they are loaded again. What
  // settle() commits is on disk, and so is all before it.
  for (const lane of lanes) await lane`set synchronous_commit = off`;
  const runId = await insertRun(sql, fingerprint);
  failpoint("run.inserted");
  const left = sumOf(ranges, "bytes");
  progress.plan(loadStages(form, { all: sumOf(plan.ranges, "bytes"), left }));
  progress.begin(stageNames.load, left);
  try {
    const documents = await loadRanges(lanes, source, {
      plan,
      ranges,
      runId,
      progress,
      signal: options.signal,
    });
    failpoint("ranges.done");
    progress.begin(stageNames.settle, 0);
    await sql`set synchronous_commit = on`;
    await settle(sql, fingerprint, runId);
    failpoint("settle.committed");
    return { fingerprint, documents, ranges: ranges.length };
  } catch (error) {
    if (!options.signal?.aborted) throw error;
    await finishRun(sql, runId, "stopped");
    throw new AppError(
      "interrupted",
      "loading: stopped as asked; what is in is in, run the same command again for the rest",
      { cause: error },
    );
  } finally {
    progress.end();
  }
}

/**
 * Loads what of a source is not loaded yet; a second run of the same content changes nothing.
 *
 * @throws AppError busy (another migrator), schema_mismatch, invalid_source, source_truncated, source_changed,
 * interrupted
 */
export async function load(pool: Pool, source: Source, options: LoadOptions): Promise<LoadResult> {
  await requireSchema(pool);
  failpoint("load.schema_checked");
  const lanes = [await pool.reserve(), await pool.reserve()] as const;
  let whole = false;
  try {
    for (const [number, lane] of lanes.entries()) {
      if (await takeFence(lane, number)) continue;
      throw new AppError("busy", "loading: another migrator works on this database; wait for it to end");
    }
    failpoint("load.fence_taken");
    const result = await Promise.race([loadUnderFence(lanes, source, options), ...lanes.map(whenLost)]);
    for (const [number, lane] of lanes.entries()) {
      await lane`reset synchronous_commit`;
      await dropFence(lane, number);
    }
    failpoint("load.fence_dropped");
    whole = true;
    return result;
  } finally {
    // After a failure the sessions may be anywhere in COPY's protocol: only their end is sure.
    if (whole) { for (const lane of lanes) lane.release(); }
    else await pool.end({ timeout: 0 });
  }
}
