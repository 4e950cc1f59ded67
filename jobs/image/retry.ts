/** What follows an attempt (EXECUTION.md «Retries and outcome»): pure. */

/** How an attempt ended; `timeout` also for one that ran past its five minutes. */
export type Outcome =
  | { kind: "done"; url: string }
  | { kind: "timeout"; reason: string }
  | { kind: "illegal"; reason: string }
  | { kind: "error"; reason: string; retryAfterMs?: number };

export type Step =
  | { kind: "retry"; waitMs: number }
  | { kind: "end"; status: "completed" | "failed" };

/** Attempts in all, by how the latest ended. */
export const attemptsMax = { timeout: 5, illegal: 1, error: 2 } as const;

/** Before another attempt after an error. */
export const errorWaitMs = 3_000;

/** Part of the wait that chance may add, so that what failed together does not come back together. */
const jitterShare = 0.2;

/** However long the generator asks for: longer, and a slot would be held for nothing. */
const waitMsMax = 60_000;

/**
 * Decides what follows attempt number `attempt`.
 *
 * @param attempt from 1, this one counted, whatever ended those before
 * @param random 0 up to 1, for the jitter of the wait after an error
 *
 * @example
 * ```ts
 * import { nextStep } from "./retry.ts";
 * const step = nextStep({ kind: "timeout", reason: "TIMEOUT" }, 4);
 * if (step.kind !== "retry" || step.waitMs !== 0) throw new Error("the fifth attempt follows at once");
 * ```
 */
export function nextStep(outcome: Outcome, attempt: number, random: () => number = Math.random): Step {
  if (outcome.kind === "done") return { kind: "end", status: "completed" };
  if (attempt >= attemptsMax[outcome.kind]) return { kind: "end", status: "failed" };
  if (outcome.kind !== "error") return { kind: "retry", waitMs: 0 };
  const asked = Math.min(outcome.retryAfterMs ?? 0, waitMsMax);
  const waitMs = Math.max(errorWaitMs, asked);
  return { kind: "retry", waitMs: Math.round(waitMs * (1 + jitterShare * random())) };
}
