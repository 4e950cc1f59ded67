/** The cap on a backend's slots by its health: additive increase, multiplicative decrease. Pure. */
import { type HealthCounts, noCounts } from "../image/health.ts";
import { counted } from "../../phrases.ts";

/** The cap of a backend and what its next change depends on. Times are in milliseconds of one clock. */
export interface Cap {
  /** Maximum slots that the backend's health allows; Infinity without a limit. */
  slots: number;
  /** Moving average of the time to create a job; undefined before the first job. */
  usualMs: number | undefined;
  cutAtMs: number;
  raisedAtMs: number;
}

export const uncapped: Cap = {
  slots: Infinity,
  usualMs: undefined,
  cutAtMs: -Infinity,
  raisedAtMs: -Infinity,
};

/**
 * Returns the increase between two counts of the same worker. Without an earlier count, returns the whole
 * count.
 */
export function subtractCounts(now: HealthCounts, before: HealthCounts = noCounts): HealthCounts {
  const less = (key: keyof HealthCounts) => Math.max(0, now[key] - before[key]);
  return {
    creates: less("creates"),
    createMs: less("createMs"),
    calls: less("calls"),
    failures: less("failures"),
    throttled: less("throttled"),
  };
}

const cutPauseMs = 10_000;
const raisePauseMs = 5_000;
/** Creating jobs is slow when it takes this many times the usual, and at least `slowMsMin`. */
const slowFactor = 3;
const slowMsMin = 2_000;

interface Limits {
  /** Current slots. */
  slots: number;
  slotsMin: number;
  slotsMax: number;
  step: number;
}

/** Returns the reason to decrease, the factor and the minimum. Only HTTP 429 goes below `slotsMin`. */
function findTrouble(seen: HealthCounts, usualMs: number | undefined, slotsMin: number) {
  if (seen.throttled > 0) {
    return { min: 1, factor: 0.5, reason: `${counted(seen.throttled, "call")} answered by HTTP 429` };
  }
  if (seen.failures >= 3 && 2 * seen.failures > seen.calls) {
    return {
      min: slotsMin,
      factor: 0.5,
      reason: `${seen.failures} of ${counted(seen.calls, "call")} failed`,
    };
  }
  const meanMs = Math.round(seen.createMs / Math.max(1, seen.creates));
  if (usualMs !== undefined && meanMs > slowMsMin && meanMs > slowFactor * usualMs) {
    const reason = `making a job takes ${meanMs} ms, usually ${Math.round(usualMs)} ms`;
    return { min: slotsMin, factor: 0.8, reason };
  }
}

/**
 * Adjusts a cap once. Decreases it by a factor on HTTP 429, failing or slow calls, and increases it by a step
 * otherwise.
 *
 * @param seen counts of all workers since the last adjustment
 * @returns the new cap, and the reason if its slots have changed
 *
 * @example
 * ```ts
 * import { adjustCap, uncapped } from "./aimd.ts";
 * const seen = { creates: 9, createMs: 90, calls: 9, failures: 0, throttled: 2 };
 * const limits = { slots: 40, slotsMin: 10, slotsMax: 50, step: 5 };
 * if (adjustCap(uncapped, seen, limits, 0).cap.slots !== 20) throw new Error("half of the slots");
 * ```
 */
export function adjustCap(
  before: Cap,
  seen: HealthCounts,
  { slots, slotsMin, slotsMax, step }: Limits,
  nowMs: number,
): { cap: Cap; reason?: string } {
  const trouble = findTrouble(seen, before.usualMs, slotsMin);
  if (trouble) {
    if (nowMs - before.cutAtMs < cutPauseMs) return { cap: { ...before, raisedAtMs: nowMs } };
    const fewer = Math.max(trouble.min, Math.floor(Math.min(before.slots, slots) * trouble.factor));
    if (fewer >= before.slots) return { cap: { ...before, raisedAtMs: nowMs } };
    return { cap: { ...before, slots: fewer, cutAtMs: nowMs, raisedAtMs: nowMs }, reason: trouble.reason };
  }
  const cap = { ...before };
  if (seen.creates > 0) {
    const meanMs = seen.createMs / seen.creates;
    cap.usualMs = before.usualMs === undefined ? meanMs : before.usualMs * 0.9 + meanMs * 0.1;
  }
  if (cap.slots === Infinity || seen.calls === 0 || nowMs - before.raisedAtMs < raisePauseMs) return { cap };
  cap.slots = cap.slots + step >= slotsMax ? Infinity : cap.slots + step;
  cap.raisedAtMs = nowMs;
  return { cap, reason: "the API answers well again" };
}
