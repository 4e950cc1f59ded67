/** The claims of a worker that PostgreSQL has not answered yet. */
import { claimAnswerMsMax } from "../../db/queue/times.ts";

/** A claim without an answer. Its code makes it a failure that passes. */
class ClaimTimeout extends Error {
  readonly code = "ETIMEDOUT";
}

/** Tracks claims under way. Until a claim is answered, a lease without an attempt may belong to it. */
export class Claims {
  readonly #pending = new Set<{ sentAt: number }>();
  readonly #timeoutMs: number;

  constructor(timeoutMs = claimAnswerMsMax) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Reports whether a claim that was sent at `time` or before has no answer yet.
   *
   * @param time time by `performance.now()`
   */
  hasPendingClaimBefore(time: number): boolean {
    for (const { sentAt } of this.#pending) if (sentAt <= time) return true;
    return false;
  }

  /**
   * Sends a claim and waits for its answer.
   *
   * @param onLate receives an answer that arrives after the timeout
   * @throws the error of the claim, or ClaimTimeout
   */
  async run<T>(claim: () => Promise<T>, onLate: (answer: T) => void): Promise<T> {
    const entry = { sentAt: performance.now() };
    this.#pending.add(entry);
    const { promise: timeout, reject } = Promise.withResolvers<never>();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new ClaimTimeout("claiming took too long"));
    }, this.#timeoutMs);
    const answer = claim();
    answer.then((rows) => isLate && onLate(rows), () => {});
    try {
      return await Promise.race([answer, timeout]);
    } finally {
      clearTimeout(timer);
      this.#pending.delete(entry);
    }
  }
}
