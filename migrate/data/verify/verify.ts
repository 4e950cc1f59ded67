/** Compares the full content of every document of a source with its row. */
import { requireWritableServer } from "../../../db/pg/server.ts";
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { rejectWhenLost } from "../../../db/pg/reserve.ts";
import { AppError } from "../../../errors.ts";
import { requireSchema } from "../../schema/runner.ts";
import { failpoint } from "../tools/failpoint.ts";
import { findSource, listRanges } from "../ledger/ledger.ts";
import { makePlanAsStage, type Plan, rangeBytesDefault } from "../load/plan.ts";
import type { Progress } from "../tools/progress.ts";
import { readParents } from "../load/rows.ts";
import { type Collection, type Range, type Source, sumOf } from "../documents/source.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { type Form, stageNames, verifyStages } from "../load/stages.ts";
import {
  finishVerification,
  hasInterruptedVerification,
  openVerification,
  saveRange,
  type Verification,
} from "./checkpoint.ts";
import { findWrongCounters, findWrongCounts, findWrongOwners } from "./derived.ts";
import { findExtraRows } from "./extra.ts";
import { Verifier } from "./range.ts";
import { Comparison, mismatchesMax, type Verdict } from "./result.ts";

export type { Verdict } from "./result.ts";

export interface VerifyOptions {
  progress: Progress;
  signal?: AbortSignal;
  /** Begins a new verification instead of resuming an interrupted one. */
  again?: boolean;
}

/** Inputs of one run. */
interface Run {
  sql: postgres.ReservedSql;
  source: Source;
  plan: Plan;
  form: Form;
  options: VerifyOptions;
  /** Undefined for a source that was not loaded: everything is compared, and nothing is stored. */
  verification: Verification | undefined;
}

async function beginVerification(sql: postgres.ReservedSql, source: Source, plan: Plan, again: boolean) {
  const known = await findSource(sql, plan.fingerprint);
  if (known && !known.settled) {
    throw new AppError(
      "not_found",
      "verifying: the load of this source has not finished; run 'data load' again",
    );
  }
  if (!known && !again && await hasInterruptedVerification(sql, source.location)) {
    throw new AppError(
      "source_changed",
      `verifying '${source.location}': the source changed after the last verify was interrupted; restore the loaded ` +
        "source, or compare its current content from the beginning with --again",
    );
  }
  return known && await openVerification(sql, plan.fingerprint, again);
}

/** Number of compared rows by collection. */
type RowCounts = Map<Collection, number>;

interface CompareOptions {
  ranges: Range[];
  comparedRows: RowCounts;
  findParent: FindParent;
  /** Receives the results of the ranges. */
  total: Comparison;
}

/** Compares the ranges that have no checkpoint. Returns the number of ranges that had one. */
async function compareRanges(
  { sql, source, plan, form, verification, options: { progress, signal } }: Run,
  { ranges, comparedRows, findParent, total }: CompareOptions,
): Promise<number> {
  const isDone = ({ collection, number }: Range) =>
    verification?.done.has(`${collection}/${number}`) ?? false;
  const done = ranges.filter(isDone);
  const remaining = ranges.filter((range) => !isDone(range));
  const bytes = sumOf(ranges, "bytes");
  progress.plan(verifyStages(form, { all: bytes }));
  progress.begin(stageNames.verify, bytes);
  if (done.length > 0) progress.resume(sumOf(done, "bytes"), sumOf(done, "documents"));
  let currentCollection = remaining[0]?.collection;
  const verifier = new Verifier(sql, plan, { isLoaded: verification !== undefined, findParent });
  await verifier.compareRanges(source, remaining, {
    signal,
    onRange: async (range, comparison) => {
      const { collection } = range;
      if (verification) await saveRange(sql, verification, range, comparison);
      failpoint("verify.range_saved");
      total.add(comparison);
      if (collection !== currentCollection) progress.resetSpeed();
      currentCollection = collection;
      comparedRows.set(collection, (comparedRows.get(collection) ?? 0) + comparison.rows);
      progress.add(range.bytes, range.documents);
    },
  });
  return done.length;
}

/** Finds differences that belong to no range: extra rows, counts, owners and counters. */
async function compareRest(
  { sql, source, plan: { fingerprint }, verification }: Run,
  { ranges, comparedRows, findParent, total }: CompareOptions,
): Promise<Comparison> {
  const rest = new Comparison();
  const onMismatch = rest.addMismatch.bind(rest);
  failpoint("verify.extra_begun");
  await findExtraRows(sql, source, { fingerprint, ranges, comparedRows, findParent, onMismatch });
  if (!verification) return rest;
  await findWrongCounts(sql, fingerprint, onMismatch);
  await findWrongOwners(sql, onMismatch);
  // If subtasks differ, wrong counters are a consequence and are not reported again.
  const hasSubtaskMismatch = [...total.mismatches, ...rest.mismatches].some(({ collection }) =>
    collection === "dramatiq_tasks"
  );
  if (!hasSubtaskMismatch) await findWrongCounters(sql, onMismatch);
  return rest;
}

async function compare(run: Run): Promise<Verdict> {
  const { sql, plan, verification, options: { progress } } = run;
  const { fingerprint } = plan;
  // The parents of subtasks may come from another source.
  const loadedParents = verification ? await readParents(sql) : new Map<string, string>();
  const findParent = (name: string) => plan.parents.get(name) ?? loadedParents.get(name);
  const ranges = verification ? await listRanges(sql, fingerprint, { planned: false }) : plan.ranges;
  const total = verification?.total ?? new Comparison();
  const comparedRows = verification?.comparedRows ?? new Map<Collection, number>();
  const options = { ranges, comparedRows, findParent, total };
  const resumedRanges = await compareRanges(run, options);
  progress.begin(stageNames.rest, 0);
  const rest = await compareRest(run, options);
  const restMax = mismatchesMax - total.mismatches.length;
  total.add(rest);
  if (verification) {
    await sql`reset synchronous_commit`;
    await finishVerification(sql, verification, total, rest.mismatches.slice(0, restMax));
  }
  const { documents, rows, quarantined, differences, mismatches } = total;
  return {
    fingerprint,
    verdict: differences === 0 ? "equal" : "different",
    documents,
    rows,
    quarantined,
    differences,
    mismatches,
    resumed: verification && resumedRanges > 0
      ? { ranges: resumedRanges, of: ranges.length, since: verification.since }
      : null,
  };
}

/**
 * Verifies a source against the database and stores the result. Does not compare ranges again that an interrupted
 * verification of the same source has compared.
 *
 * @throws AppError not_found when the load has not finished; schema_mismatch, interrupted, source_changed
 */
export async function verify(pool: Pool, source: Source, options: VerifyOptions): Promise<Verdict> {
  await requireWritableServer(pool);
  await requireSchema(pool);
  const { progress, again = false } = options;
  const { plan, form } = await makePlanAsStage(source, {
    rangeBytes: rangeBytesDefault,
    progress,
    toStages: verifyStages,
  });
  failpoint("verify.planned");
  const sql = await pool.reserve();
  try {
    const work = async () => {
      // If the server crashes, the last checkpoints may be lost; their ranges are then compared again.
      await sql`set synchronous_commit = off`;
      const verification = await beginVerification(sql, source, plan, again);
      return await compare({ sql, source, plan, form, options, verification });
    };
    return await Promise.race([work(), rejectWhenLost(sql)]);
  } finally {
    progress.end();
    sql.release();
  }
}
