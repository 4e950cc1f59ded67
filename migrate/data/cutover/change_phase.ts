/** Changes the phase or the share on an operator's request, in the safe order. */
import type { Pool } from "../../../db/pg/connect.ts";
import { changeTrafficByHand } from "../../../db/traffic/fence.ts";
import { checkPhaseChange } from "../../../db/traffic/order.ts";
import { type Phase, readTraffic } from "../../../db/traffic/traffic.ts";
import { AppError } from "../../../errors.ts";
import { findRunningCutover } from "./journal.ts";
import { operatorName } from "../tools/operator.ts";

/** A change that an operator wants. */
export interface PhaseRequest {
  share?: number | undefined;
  /** Why, for the journal. */
  reason?: string | undefined;
  /** Whether to change out of order. */
  force?: boolean | undefined;
  /** Who decides; USER@HOST by default. */
  by?: string | undefined;
}

/**
 * Changes the phase or the share.
 *
 * @param phase the present one by default
 * @returns what a forced change may lose
 * @throws AppError usage, conflict; nothing has changed
 */
export async function changePhase(
  pool: Pool,
  phase: Phase | undefined,
  { share, reason, force = false, by }: PhaseRequest,
): Promise<string | null> {
  if (reason === undefined) {
    throw new AppError("usage", "changing the traffic: wanted --reason TEXT, for the journal");
  }
  const traffic = await readTraffic(pool);
  const check = checkPhaseChange(traffic, { phase, share }, { force });
  if (check.result === "unchanged") return null;
  if (check.result === "refused") {
    const hint = check.canForce ? "; --force does it all the same, and tells what may be lost" : "";
    throw new AppError("conflict", `changing the traffic: ${check.reason}${hint}`);
  }
  if (force && await findRunningCutover(pool)) {
    throw new AppError(
      "conflict",
      "changing the traffic: a cut-over or rollback is open; end it with 'deno task migrate data cutover --abort' first",
    );
  }
  const changed = await changeTrafficByHand(pool, traffic, {
    phase: check.phase,
    share: check.share,
    by: operatorName(by),
    reason,
    forced: check.mayLose !== null,
    holdMs: null,
  });
  if (changed !== undefined) return check.mayLose;
  throw new AppError(
    "conflict",
    "changing the traffic: somebody else changed it at the same moment; look, and decide again",
  );
}
