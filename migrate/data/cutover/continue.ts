/** What an operator does after the process of a cut-over, rehearsal or rollback was killed: abort it, or go on. */
import { AppError } from "../../../errors.ts";
import type { SwitchContext } from "./context.ts";
import { cutOver, type CutoverResult } from "./cutover.ts";
import { pointProxy } from "./freeze.ts";
import { type CutoverRow, endCutover, findRunningCutover } from "./journal.ts";
import { optionsDefault } from "./options.ts";
import { rollBack, type RollbackResult } from "./rollback.ts";
import { startTarget } from "./start.ts";
import { Steps } from "./steps.ts";
import { isSwitched, undo } from "./undo.ts";

async function requireRunning({ pool }: SwitchContext, action: string): Promise<CutoverRow> {
  const row = await findRunningCutover(pool);
  if (row !== undefined) return row;
  throw new AppError(
    "conflict",
    `${action}: no cut-over or rollback is open; 'migrate traffic' shows who is in charge`,
  );
}

/**
 * Undoes what a killed one left.
 *
 * @throws AppError conflict when its irrevocable line was passed
 */
export async function abortCutover(
  context: SwitchContext,
): Promise<{ id: number; kind: CutoverRow["kind"] }> {
  const row = await requireRunning(context, "aborting");
  const { id, kind } = row;
  if (await isSwitched(context.pool, id)) {
    throw new AppError(
      "conflict",
      kind === "rollback"
        ? "aborting: the rollback was made, and the old backend is in charge; run 'cutover --continue' to end it"
        : "aborting: the switch was made, and this system is in charge; run 'cutover --continue' to end it, or " +
          "'deno task migrate data rollback' after that",
    );
  }
  await undo(context, row, "undone", `aborted by ${context.by}`);
  return { id, kind };
}

/** What `--continue` did. */
export type Continued =
  | { did: "ended"; id: number; kind: CutoverRow["kind"] }
  | { did: "aborted"; id: number; kind: "rehearsal" }
  | { did: "cutover"; result: CutoverResult }
  | { did: "rollback"; result: RollbackResult };

/** Ends a killed one whose irrevocable line was passed; otherwise undoes it and begins again, as decided before. */
export async function continueCutover(context: SwitchContext): Promise<Continued> {
  const row = await requireRunning(context, "continuing");
  const { id, kind } = row;
  const options = Object.assign({}, optionsDefault, row.options);
  if (await isSwitched(context.pool, id)) {
    const steps = new Steps(context.pool, id, context.onNote);
    await pointProxy(context, steps, options.proxy, kind === "cutover" ? "new" : "old");
    if (kind === "cutover") await startTarget(context, steps, options);
    await endCutover(context.pool, id, "done", { note: "continued after a kill" });
    return { did: "ended", id, kind };
  }
  await undo(context, row, "undone", `continued by ${context.by}`);
  if (kind === "rehearsal") return { did: "aborted", id, kind };
  if (kind === "rollback") return { did: "rollback", result: await rollBack(context, options) };
  return { did: "cutover", result: await cutOver(context, options) };
}
