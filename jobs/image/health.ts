/**
 * The health of one backend of the image API: counts for the scaler, and a circuit that stops new attempts.
 */
import type { Http, HttpResult } from "../../http.ts";

/** Counts since the start of the worker. They never decrease. */
export interface HealthCounts {
  /** Calls that create a job. */
  creates: number;
  /** Total time of these calls in milliseconds. */
  createMs: number;
  calls: number;
  /** Calls without an answer, answers with a server error, and jobs that timed out. */
  failures: number;
  /** Answers with HTTP 429. */
  throttled: number;
}

export const noCounts: HealthCounts = { creates: 0, createMs: 0, calls: 0, failures: 0, throttled: 0 };

/** Number of consecutive failed calls that opens the circuit. */
const failuresMax = 8;
const openMs = { min: 1_000, max: 30_000 };
/** Maximum pause after HTTP 429, whatever `retry-after` says. */
const pauseMsMax = 60_000;

/** What a call shows about its backend. */
export type CallOutcome = "sound" | "down" | "throttled";

const jobTimeout = /"task_status"\s*:\s*"TIMEOUT"/;

/** Classifies the result of a call. An answer that refuses a single job is sound. */
export function judgeCall(result: HttpResult): { outcome: CallOutcome; failed: boolean; pauseMs: number } {
  if (result.kind !== "answer") return { outcome: "down", failed: true, pauseMs: 0 };
  if (result.status === 429) {
    const seconds = Number(result.headers.get("retry-after") ?? "");
    return { outcome: "throttled", failed: false, pauseMs: Number.isFinite(seconds) ? seconds * 1000 : 0 };
  }
  if (result.status >= 500) return { outcome: "down", failed: true, pauseMs: 0 };
  return { outcome: "sound", failed: jobTimeout.test(result.text), pauseMs: 0 };
}

/**
 * The counts of a backend and its circuit.
 *
 * States: closed, open, half-open. Moves:
 * - `failuresMax` failed calls in a row open a closed circuit.
 * - When its time has passed, an open circuit is half-open: it lets one attempt through.
 * - A failed call opens a half-open circuit again, for twice as long.
 * - A sound call closes the circuit.
 * - HTTP 429 pauses new attempts and changes no state.
 */
export class BackendHealth {
  readonly counts: HealthCounts = { ...noCounts };
  #failures = 0;
  #opened = 0;
  #pausedUntil = -Infinity;
  readonly #now: () => number;
  readonly #onChange: (open: boolean, forMs: number) => void;

  /** @param onChange called when the circuit opens, with the length, and when it closes */
  constructor(onChange: (open: boolean, forMs: number) => void = () => {}, now = () => performance.now()) {
    this.#onChange = onChange;
    this.#now = now;
  }

  /**
   * Maximum number of running attempts that allows a new one: 0 while open, 1 while half-open, else Infinity.
   */
  get attemptsMax(): number {
    if (this.#now() < this.#pausedUntil) return 0;
    return this.#opened > 0 ? 1 : Infinity;
  }

  /** Notes the outcome of a call. */
  note(outcome: CallOutcome, pauseMs = 0): void {
    if (outcome === "sound") {
      if (this.#opened > 0) this.#onChange(false, 0);
      this.#failures = 0;
      this.#opened = 0;
      return;
    }
    if (outcome === "throttled") {
      this.#pausedUntil = Math.max(this.#pausedUntil, this.#now() + Math.min(pauseMs, pauseMsMax));
      return;
    }
    this.#failures++;
    // Calls that were under way when the circuit opened fail too. They do not prolong it.
    if (this.#failures < failuresMax && this.#opened === 0 || this.#now() < this.#pausedUntil) return;
    const forMs = Math.min(openMs.min * 2 ** this.#opened, openMs.max) * (0.9 + Math.random() / 5);
    if (this.#opened === 0) this.#onChange(true, forMs);
    this.#opened++;
    this.#pausedUntil = this.#now() + forMs;
  }
}

/** Wraps `http` so that `health` notes the outcome of each call, except of calls that the caller aborts. */
export const watchHttp = (http: Http, health: BackendHealth): Http => async (request) => {
  const sentAt = performance.now();
  const result = await http(request);
  const { outcome, failed, pauseMs } = judgeCall(result);
  health.counts.calls++;
  if (failed) health.counts.failures++;
  if (outcome === "throttled") health.counts.throttled++;
  if (request.method === "POST") {
    health.counts.creates++;
    health.counts.createMs += Math.round(performance.now() - sentAt);
  }
  health.note(outcome, pauseMs);
  return result;
};
