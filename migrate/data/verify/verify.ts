/** Compares every document of a source with its row, in full, through the lens. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { whenLost } from "../../../db/pg/reserve.ts";
import { AppError } from "../../../errors.ts";
import { requireSchema } from "../../schema/runner.ts";
import { failpoint } from "../tools/failpoint.ts";
import { findSource, listRanges } from "../ledger/ledger.ts";
import { rangeBytesDefault } from "../load/load.ts";
import { makePlan, type Plan } from "../load/plan.ts";
import type { Progress } from "../tools/progress.ts";
import { readParents } from "../load/replay_rows.ts";
import { type Collection, type Range, type Source, sumOf } from "../documents/source.ts";
import { type Form, stageNames, verifyStages } from "../load/stages.ts";
import {
  finishVerification,
  isInterrupted,
  openVerification,
  saveRange,
  type Verification,
} from "./checkpoint.ts";
import { findWrongCounters, findWrongOwners, findWrongSums } from "./derived.ts";
import { findExtraRows } from "./extra.ts";
import { Verifier } from "./range.ts";
import { Findings, mismatchesMax, type Verdict } from "./result.ts";

export type { Verdict } from "./result.ts";

export interface VerifyOptions {
  progress: Progress;
  signal?: AbortSignal;
  /** Begins anew where an earlier verification was interrupted. */
  again?: boolean;
}

/** What one run has in hand. */
interface Run {
  sql: postgres.ReservedSql;
  source: Source;
  plan: Plan;
  form: Form;
  options: VerifyOptions;
  /** Undefined for a source that was not loaded: all is compared, nothing is kept. */
  verification: Verification | undefined;
}

async function begin(sql: postgres.ReservedSql, source: Source, plan: Plan, again: boolean) {
  const known = await findSource(sql, plan.fingerprint);
  if (known && !known.settled) {
    throw new AppError(
      "not_found",
      "verifying: the load of this source is not finished; run 'data load' again",
    );
  }
  if (!known && !again && await isInterrupted(sql, source.location)) {
    throw new AppError(
      "source_changed",
      `verifying '${source.location}': it is not what it was when this verify was interrupted; put back what was ` +
        "loaded, or compare what is there now from the beginning with --again",
    );
  }
  return known && await openVerification(sql, plan.fingerprint, again);
}

/** Everything that is no range's own: rows too many, sums, owners, counters. */
async function findRest(
  { sql, source, plan: { fingerprint }, verification }: Run,
  { ranges, rowsOf, findParent, found }: {
    ranges: Range[];
    rowsOf: ReadonlyMap<Collection, number>;
    findParent: (name: string) => string | undefined;
    found: Findings;
  },
): Promise<Findings> {
  const rest = new Findings();
  const note = rest.note.bind(rest);
  failpoint("verify.extra_begun");
  await findExtraRows(sql, source, { fingerprint, ranges, rowsOf, findParent, note });
  if (!verification) return rest;
  await findWrongSums(sql, fingerprint, note);
  await findWrongOwners(sql, note);
  // A subtask that differs may well be counted otherwise: that is told already.
  const differ = [...found.mismatches, ...rest.mismatches].some(({ collection }) =>
    collection === "dramatiq_tasks"
  );
  if (!differ) await findWrongCounters(sql, note);
  return rest;
}

async function compare(run: Run): Promise<Verdict> {
  const { sql, source, plan, verification, options: { progress, signal } } = run;
  const { fingerprint } = plan;
  const isLoaded = verification !== undefined;
  // Subtasks may hang on tasks that another source brought.
  const others = isLoaded ? await readParents(sql) : new Map<string, string>();
  const findParent = (name: string) => plan.parents.get(name) ?? others.get(name);
  const ranges = isLoaded ? await listRanges(sql, fingerprint, { planned: false }) : plan.ranges;
  const found = verification?.found ?? new Findings();
  const rowsOf = verification?.rowsOf ?? new Map<Collection, number>();
  const isDone = ({ collection, number }: Range) =>
    verification?.done.has(`${collection}/${number}`) ?? false;
  const before = ranges.filter(isDone);
  const left = ranges.filter((range) => !isDone(range));
  progress.plan(verifyStages(run.form, { all: sumOf(ranges, "bytes") }));
  progress.begin(stageNames.verify, sumOf(ranges, "bytes"));
  if (before.length > 0) progress.resume(sumOf(before, "bytes"), sumOf(before, "documents"));
  let under = left[0]?.collection;
  await new Verifier(sql, plan, { isLoaded, findParent }).run(source, left, {
    signal,
    onRange: async (range, part) => {
      if (verification) await saveRange(sql, verification, range, part);
      failpoint("verify.range_saved");
      found.add(part);
      if (range.collection !== under) progress.turn();
      under = range.collection;
      rowsOf.set(range.collection, (rowsOf.get(range.collection) ?? 0) + part.rows);
      progress.add(range.bytes, range.documents);
    },
  });
  progress.begin(stageNames.rest, 0);
  const rest = await findRest(run, { ranges, rowsOf, findParent, found });
  const kept = found.mismatches.length;
  found.add(rest);
  if (verification) {
    await sql`reset synchronous_commit`;
    await finishVerification(sql, verification, found, rest.mismatches.slice(0, mismatchesMax - kept));
  }
  const { documents, rows, quarantined, differences, mismatches } = found;
  return {
    fingerprint,
    verdict: differences === 0 ? "equal" : "different",
    documents,
    rows,
    quarantined,
    differences,
    mismatches,
    resumed: verification && before.length > 0
      ? { ranges: before.length, of: ranges.length, since: verification.since }
      : null,
  };
}

/**
 * Verifies a source against the database; nothing but the result is written. What an interrupted verification of the
 * same source has compared is not compared again.
 *
 * @throws AppError not_found where the load is not finished; schema_mismatch, interrupted, source_changed
 */
export async function verify(pool: Pool, source: Source, options: VerifyOptions): Promise<Verdict> {
  await requireSchema(pool);
  const { progress, again = false } = options;
  let form: Form = source.kind === "mongoexport" ? "usual lines" : "bson";
  progress.plan(verifyStages(form, { all: source.bytes }));
  progress.begin(stageNames.survey, source.bytes);
  const plan = await makePlan(source, {
    rangeBytes: rangeBytesDefault,
    onBytes: (bytes) => progress.add(bytes, 0),
    onForm: (found) => {
      form = found;
      progress.plan(verifyStages(form, { all: source.bytes }));
    },
  });
  failpoint("verify.planned");
  const sql = await pool.reserve();
  try {
    const work = async () => {
      // A crash of the server may lose the last checkpoints: those ranges are compared again.
      await sql`set synchronous_commit = off`;
      const verification = await begin(sql, source, plan, again);
      return await compare({ sql, source, plan, form, options, verification });
    };
    return await Promise.race([work(), whenLost(sql)]);
  } finally {
    progress.end();
    sql.release();
  }
}
