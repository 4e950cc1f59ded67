/** How many attempts an image API takes at once, by how it answers: less by half at once, more by steps. Pure. */
import { type HealthCounts, noCounts } from "../image/health.ts";

/** What is remembered of a backend, in ms of one clock. */
export interface Cap {
  /** The most slots its health allows. */
  slots: number;
  /** The usual time to make a job; undefined before the first. */
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

/** What happened in between, for two counts of the same worker; one that was never seen counts from its start. */
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
const slowTimes = 3;
const slowMsLeast = 2_000;

interface Limits {
  /** Slots it has now. */
  slots: number;
  slotsMin: number;
  slotsMax: number;
  step: number;
}

/** Why there should be fewer, and how many at least: only an API that says so itself goes below the table's floor. */
function findTrouble(seen: HealthCounts, usualMs: number | undefined, slotsMin: number) {
  if (seen.throttled > 0) {
    return { least: 1, times: 0.5, reason: `${seen.throttled} calls answered by HTTP 429` };
  }
  if (seen.failures >= 3 && 2 * seen.failures > seen.calls) {
    return { least: slotsMin, times: 0.5, reason: `${seen.failures} of ${seen.calls} calls failed` };
  }
  const meanMs = Math.round(seen.createMs / Math.max(1, seen.creates));
  if (usualMs !== undefined && meanMs > slowMsLeast && meanMs > slowTimes * usualMs) {
    const reason = `making a job takes ${meanMs} ms, usually ${Math.round(usualMs)} ms`;
    return { least: slotsMin, times: 0.8, reason };
  }
}

/**
 * Looks at a backend once: multiplicative decrease on 429, failing or slow calls, additive increase while it is well.
 *
 * @param seen what all workers counted since the last look
 * @returns the new memory, and the reason where the cap has changed
 *
 * @example
 * ```ts
 * import { adjustCap, uncapped } from "./aimd.ts";
 * const seen = { creates: 9, createMs: 90, calls: 9, failures: 0, throttled: 2 };
 * const limits = { slots: 40, slotsMin: 10, slotsMax: 50, step: 5 };
 * if (adjustCap(uncapped, seen, limits, 0).cap.slots !== 20) throw new Error("half of what there was");
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
    const fewer = Math.max(trouble.least, Math.floor(Math.min(before.slots, slots) * trouble.times));
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
