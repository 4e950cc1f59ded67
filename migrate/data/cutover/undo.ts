/** Undoes what a cut-over or rollback did before its one irrevocable line. */
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { setWriteBlock } from "../sources/write_block.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { SwitchContext } from "./context.ts";
import { askProxy, thaw } from "./freeze.ts";
import { endHold } from "./hold.ts";
import { type CutoverRow, endCutover, listSteps, markUndone, type StepRow } from "./journal.ts";
import type { FreezeWay, ProxyWay } from "./options.ts";
import { resumeWork } from "./stop_work.ts";

/** Steps after which there is no way back but the opposite: the switch of a cut-over, the return of a rollback. */
const finalSteps = ["switch", "return"];

/** Reports whether the irrevocable line was passed. */
export async function isSwitched(pool: Pool, id: number): Promise<boolean> {
  const steps = await listSteps(pool, id);
  return steps.some(({ step, outcome }) => finalSteps.includes(step) && outcome === "done");
}

async function undoStep(context: SwitchContext, { step, detail }: StepRow): Promise<void> {
  const { pool, by } = context;
  const way = detail?.way as FreezeWay | null | undefined;
  if (step === "freeze" && way) await thaw(context, way);
  if (step === "unblock" && detail!.was_blocked) await setWriteBlock(context.source.client, true);
  if (step === "stop") await resumeWork(pool, (detail?.tasks ?? []) as string[]);
  if (step === "hold" && detail!.proxy) await askProxy(context, detail!.proxy as ProxyWay, "resume");
  if (step === "hold") await endHold(pool, detail!.version as number, by, "the cut-over was undone");
  failpoint("undo.step_undone");
}

/**
 * Undoes the steps, the last one first, and ends the journal's row.
 *
 * @param state `failed` after an error, `undone` on request
 * @throws AppError conflict when a step cannot be undone now; the others are
 */
export async function undo(
  context: SwitchContext,
  { id }: Pick<CutoverRow, "id">,
  state: "undone" | "failed",
  note: string | null,
): Promise<void> {
  const { pool } = context;
  failpoint("undo.begun");
  const faults: string[] = [];
  for (const step of (await listSteps(pool, id)).toReversed()) {
    if (step.undone_at !== null) continue;
    try {
      await undoStep(context, step);
      await markUndone(pool, id, step.number);
    } catch (error) {
      faults.push(`${step.step}: ${(error as Error).message}`);
    }
  }
  if (faults.length > 0) {
    throw new AppError(
      "conflict",
      `undoing the cut-over: ${
        faults.join("; ")
      }; run 'deno task migrate data cutover --abort' when that is mended`,
    );
  }
  failpoint("undo.before_end");
  await endCutover(pool, id, state, { note });
  failpoint("undo.ended");
}
