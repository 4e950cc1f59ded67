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
  onBroken?: (seed: number, error: unknown) => void;
}

export interface CampaignResult {
  runs: number;
  red: number[];
  /** Runs that came to no end: the rig failed, not what it looks at. */
  broken: number[];
}

/** So many runs in a row that come to no end, and the campaign ends too. */
const brokenMax = 3;

/** @param signal no run begins once it is aborted */
export async function runCampaign(campaign: Campaign, signal: AbortSignal): Promise<CampaignResult> {
  const { root, seed, runsMax, ms, lanes, faults, stopAtRed = false } = campaign;
  const { onRun = () => {}, onBroken = () => {} } = campaign;
  const until = performance.now() + ms;
  const result: CampaignResult = { runs: 0, red: [], broken: [] };
  let next = seed;
  const mayBegin = () =>
    !signal.aborted && next < seed + runsMax && performance.now() < until &&
    !(stopAtRed && result.red.length > 0);
  let brokenInARow = 0;
  /** Runs until there are enough, or until one broke: then the servers are anyone's guess. */
  const runLane = async () => {
    await using lane = await openLane(root);
    while (mayBegin()) {
      const seed = next++;
      try {
        const run = await runPlan(lane, drawPlan(seed, faults));
        brokenInARow = 0;
        result.runs++;
        if (run.violations.length > 0) result.red.push(seed);
        await onRun(run);
      } catch (error) {
        result.broken.push(seed);
        onBroken(seed, error);
        if (++brokenInARow >= brokenMax) throw error;
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, runsMax) }, async () => {
    while (mayBegin()) await runLane();
  }));
  return result;
}
