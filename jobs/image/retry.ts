/**
 * Decides what follows an attempt, as the old backend did: a timeout permits five attempts without a wait, illegal
 * content one, any other failure two with a wait between them. Pure.
 */

/** How an attempt ended. `timeout` includes an attempt that exceeded its maximum length. */
export type Outcome =
  | { kind: "done"; url: string }
  | { kind: "timeout"; reason: string }
  | { kind: "illegal"; reason: string }
  | { kind: "error"; reason: string; retryAfterMs?: number };

export type Step =
  | { kind: "retry"; waitMs: number }
  | { kind: "end"; status: "completed" | "failed" };

/** Maximum number of attempts, by the outcome of the latest. */
export const attemptsMax = { timeout: 5, illegal: 1, error: 2 } as const;

/** Minimum wait before another attempt after an error. */
export const errorWaitMs = 3_000;

/** Maximum random addition to a wait, as a fraction of it. It spreads attempts that failed together. */
const jitterShare = 0.2;

/** Maximum wait, whatever the image API asks for. The attempt holds its slot meanwhile. */
const waitMsMax = 60_000;

/**
 * Decides what follows an attempt.
 *
 * @param attempt number of the attempt, from 1
 * @param random returns a number from 0 to below 1, for the jitter of the wait
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
