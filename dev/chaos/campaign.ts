/** Many runs, one after another in each lane, until there are enough of them or time is up. */
import { openLane, runPlan, type RunResult } from "./run.ts";
import { drawPlan } from "./schedule.ts";
import type { FaultKind } from "./faults.ts";

export interface Campaign {
  root: URL;
  /** Of the first run; the others count on from it. */
  seed: number;
  runsMax: number;
  /** No run begins after this. */
  ms: number;
  lanes: number;
  faults?: readonly FaultKind[];
  /** Stops at the first run that went wrong. */
  stopAtRed?: boolean;
  onRun?: (result: RunResult) => void | Promise<void>;
}

export interface CampaignResult {
  runs: number;
  red: number[];
}

/** @param signal no run begins once it is aborted */
export async function runCampaign(campaign: Campaign, signal: AbortSignal): Promise<CampaignResult> {
  const { root, seed, runsMax, ms, lanes, faults, stopAtRed = false, onRun = () => {} } = campaign;
  const until = performance.now() + ms;
  const result: CampaignResult = { runs: 0, red: [] };
  let next = seed;
  const mayBegin = () =>
    !signal.aborted && next < seed + runsMax && performance.now() < until &&
    !(stopAtRed && result.red.length > 0);
  await Promise.all(Array.from({ length: Math.min(lanes, runsMax) }, async () => {
    await using lane = await openLane(root);
    while (mayBegin()) {
      const run = await runPlan(lane, drawPlan(next++, faults));
      result.runs++;
      if (run.violations.length > 0) result.red.push(run.plan.seed);
      await onRun(run);
    }
  }));
  return result;
}
