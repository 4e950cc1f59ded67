/** A campaign: many runs, one after another in each lane, until their number or the time is reached. */
import { openLane, runPlan, type RunResult } from "./run.ts";
import { generatePlan } from "./plan.ts";
import type { FaultKind } from "./faults.ts";

/** The input of a campaign. A lane is a set of servers that its runs use one after another. */
export interface Campaign {
  root: URL;
  /** Seed of the first run; each later run uses the next number. */
  seed: number;
  runsMax: number;
  /** Time in milliseconds after which no run starts. */
  ms: number;
  lanes: number;
  faults?: readonly FaultKind[];
  /** Whether to stop at the first run with a violation. */
  stopAtRed?: boolean;
  onRun?: (result: RunResult) => void | Promise<void>;
  onBroken?: (seed: number, error: unknown) => void;
}

/** Seeds of failed runs, and the number of completed runs. */
export interface CampaignResult {
  runs: number;
  /** Seeds of runs with violations. */
  red: number[];
  /** Seeds of runs that the rig itself could not complete. */
  broken: number[];
}

/** Number of consecutive incomplete runs that ends the campaign. */
const brokenMax = 3;

/**
 * Runs a campaign.
 *
 * @param signal when aborted, no further run starts
 */
export async function runCampaign(campaign: Campaign, signal: AbortSignal): Promise<CampaignResult> {
  const { root, seed, runsMax, ms, lanes, faults, stopAtRed = false } = campaign;
  const { onRun = () => {}, onBroken = () => {} } = campaign;
  const until = performance.now() + ms;
  const result: CampaignResult = { runs: 0, red: [], broken: [] };
  let next = seed;
  const mayStart = () =>
    !signal.aborted && next < seed + runsMax && performance.now() < until &&
    !(stopAtRed && result.red.length > 0);
  let brokenInARow = 0;
  /** Starts runs in one lane. An incomplete run ends the lane, since the state of its servers is unknown. */
  const runLane = async () => {
    await using lane = await openLane(root);
    while (mayStart()) {
      const seed = next++;
      try {
        const run = await runPlan(lane, generatePlan(seed, faults));
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
    while (mayStart()) await runLane();
  }));
  return result;
}
