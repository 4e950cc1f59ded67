/** How one backend of the image API answers: counted for the scaler, and a circuit that keeps new work from it. */
import type { Http, HttpResult } from "../../http.ts";

/** Since the worker began; all counts only grow. */
export interface HealthCounts {
  /** Calls that make a job. */
  creates: number;
  /** Time of these, all together. */
  createMs: number;
  calls: number;
  /** Unanswered, answered by a server error, or a job that timed out. */
  failures: number;
  /** HTTP 429. */
  throttled: number;
}

export const noCounts: HealthCounts = { creates: 0, createMs: 0, calls: 0, failures: 0, throttled: 0 };

/** So many calls in a row without a sound answer open the circuit. */
const downsMax = 8;
const openMs = { least: 1_000, most: 30_000 };
/** However long the API asks for. */
const pauseMsMax = 60_000;

export type CallSign = "sound" | "down" | "throttled";

const saysTimeout = /"task_status"\s*:\s*"TIMEOUT"/;

/** What an answer says of who gave it; refusals of a single job are sound. */
export function judgeCall(result: HttpResult): { sign: CallSign; failed: boolean; pauseMs: number } {
  if (result.kind !== "answer") return { sign: "down", failed: true, pauseMs: 0 };
  if (result.status === 429) {
    const seconds = Number(result.headers.get("retry-after") ?? "");
    return { sign: "throttled", failed: false, pauseMs: Number.isFinite(seconds) ? seconds * 1000 : 0 };
  }
  if (result.status >= 500) return { sign: "down", failed: true, pauseMs: 0 };
  return { sign: "sound", failed: saysTimeout.test(result.text), pauseMs: 0 };
}

export class BackendHealth {
  readonly counts: HealthCounts = { ...noCounts };
  #downs = 0;
  #opened = 0;
  #closedUntil = -Infinity;
  readonly #now: () => number;
  readonly #say: (open: boolean, forMs: number) => void;

  /** @param say told when the circuit opens, and when it is whole again */
  constructor(say: (open: boolean, forMs: number) => void = () => {}, now = () => performance.now()) {
    this.#say = say;
    this.#now = now;
  }

  /** How many new attempts may begin: none while the circuit is open, then one that tries, else any number. */
  get room(): number {
    if (this.#now() < this.#closedUntil) return 0;
    return this.#opened > 0 ? 1 : Infinity;
  }

  note(sign: CallSign, pauseMs = 0): void {
    if (sign === "sound") {
      if (this.#opened > 0) this.#say(false, 0);
      this.#downs = this.#opened = 0;
      return;
    }
    if (sign === "throttled") {
      this.#closedUntil = Math.max(this.#closedUntil, this.#now() + Math.min(pauseMs, pauseMsMax));
      return;
    }
    this.#downs++;
    // What was under way when it opened fails too, and says nothing new.
    if (this.#downs < downsMax && this.#opened === 0 || this.#now() < this.#closedUntil) return;
    const forMs = Math.min(openMs.least * 2 ** this.#opened, openMs.most) * (0.9 + Math.random() / 5);
    if (this.#opened === 0) this.#say(true, forMs);
    this.#opened++;
    this.#closedUntil = this.#now() + forMs;
  }
}

/** Calls through `http` and notes how they went; a call that its caller aborts says nothing. */
export const watchHttp = (http: Http, health: BackendHealth): Http => async (request) => {
  const sentAt = performance.now();
  const result = await http(request);
  const { sign, failed, pauseMs } = judgeCall(result);
  health.counts.calls++;
  if (failed) health.counts.failures++;
  if (sign === "throttled") health.counts.throttled++;
  if (request.method === "POST") {
    health.counts.creates++;
    health.counts.createMs += Math.round(performance.now() - sentAt);
  }
  health.note(sign, pauseMs);
  return result;
};
