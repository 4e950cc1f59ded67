/** Plans the repair of differences between a source and the target, without changing anything. */
import { createHash } from "node:crypto";
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import { listRanges } from "../ledger/ledger.ts";
import type { Mismatch } from "../verify/mismatch.ts";
import { makePlan, rangeBytesDefault } from "../load/plan.ts";
import type { Progress } from "../tools/progress.ts";
import { readParents } from "../load/rows.ts";
import { collections, type RawDocument, type Source } from "../documents/source.ts";
import { showId } from "../lens/tables.ts";
import { verify } from "../verify/verify.ts";
import { groupMismatches, Planner, type PlannerOptions, unrepairableReason } from "./planner.ts";
import type { RepairPlan, RepairStep } from "./step.ts";

export interface PlanOptions extends PlannerOptions {
  progress: Progress;
  signal?: AbortSignal;
}

function idOf(raw: RawDocument): string {
  try {
    return showId(raw.read());
  } catch {
    return "(unread)";
  }
}

async function planSteps(
  sql: postgres.ReservedSql,
  source: Source,
  mismatches: Mismatch[],
  options: PlanOptions,
): Promise<Planner> {
  const { progress, signal } = options;
  const { rows, originals, extraRows, unrepairable } = groupMismatches(mismatches);
  progress.begin("reading documents", source.bytes);
  const plan = await makePlan(source, { rangeBytes: rangeBytesDefault });
  const loaded = await readParents(sql);
  const planner = new Planner(sql, options, (name) => plan.parents.get(name) ?? loaded.get(name));
  const ranges = await listRanges(sql, plan.fingerprint, { planned: false });
  for (const range of ranges) {
    if (signal?.aborted) throw new AppError("interrupted", "planning the repair: stopped on request");
    for (const raw of await source.read(range)) {
      const { collection } = range;
      if (originals.has(`${collection}/position ${raw.position}`)) {
        await planner.planOriginal(collection, raw, plan.fingerprint);
      } else if (rows.size > 0) {
        const key = `${collection}/${idOf(raw)}`;
        const found = rows.get(key);
        if (!found) continue;
        // Of several documents with one `_id`, the first was loaded; the others are skipped.
        rows.delete(key);
        await planner.planRow(collection, raw, found);
      }
    }
    progress.add(range.bytes, range.documents);
  }
  for (const [first] of rows.values()) {
    planner.addUnrepaired(first!, "the source has no document with this _id");
  }
  for (const mismatch of extraRows) await planner.planExtraRow(mismatch);
  for (const mismatch of unrepairable) planner.addUnrepaired(mismatch, unrepairableReason(mismatch));
  progress.end();
  return planner;
}

/**
 * Verifies a source and plans a step for each difference. Writes only the result of the verification.
 *
 * @throws AppError as verify(); not_found for a source that was not loaded
 */
export async function planRepair(pool: Pool, source: Source, options: PlanOptions): Promise<RepairPlan> {
  const { progress, signal } = options;
  const { fingerprint, differences, mismatches } = await verify(pool, source, {
    progress,
    // A plan must not rely on ranges that an interrupted verification compared earlier.
    again: true,
    ...(signal ? { signal } : {}),
  });
  const sql = await pool.reserve();
  try {
    const [known] = await sql`select from migration.sources where fingerprint = ${fingerprint}`;
    if (!known) {
      throw new AppError(
        "not_found",
        "planning a repair: this source has not been loaded; run 'data load' first",
      );
    }
    const { steps, unrepaired } = differences === 0
      ? { steps: [], unrepaired: [] }
      : await planSteps(sql, source, mismatches, options);
    const loadOrder = ({ collection }: RepairStep) => collections.indexOf(collection);
    steps.sort((a, b) => loadOrder(a) - loadOrder(b));
    const hash = createHash("sha256");
    for (const { action, collection, row_id, before, after } of steps) {
      hash.update(`${JSON.stringify([action, collection, row_id, before, after])}\n`);
    }
    const plan = hash.digest("hex").slice(0, 12);
    failpoint("repair.planned");
    const more = differences - mismatches.length;
    return { plan, fingerprint, differences, steps, left: unrepaired, more };
  } finally {
    sql.release();
  }
}
