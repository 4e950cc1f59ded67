/** Claims under way: until one is answered, a lease that nobody works on may be its. */

/** By the code, a failure that passes. */
class LateClaim extends Error {
  readonly code = "ETIMEDOUT";
}

/** An answer later than this starts nothing: the POST that the claim allowed could not be sent any more. */
const lateMs = 4_000;

export class Claims {
  readonly #sent = new Set<{ at: number }>();
  readonly #lateMs: number;

  constructor(lateAfterMs = lateMs) {
    this.#lateMs = lateAfterMs;
  }

  /** Whether a claim that was sent by then has no answer yet. @param at of `performance.now()` */
  underWaySince(at: number): boolean {
    for (const sent of this.#sent) if (sent.at <= at) return true;
    return false;
  }

  /**
   * Waits for a claim's answer, within bounds.
   *
   * @param onLate is given an answer that came after this gave up
   * @throws what the claim throws, and an error that passes when it takes too long
   */
  async run<T>(claim: () => Promise<T>, onLate: (answer: T) => void): Promise<T> {
    const sent = { at: performance.now() };
    this.#sent.add(sent);
    const { promise: late, reject } = Promise.withResolvers<never>();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new LateClaim("claiming took too long"));
    }, this.#lateMs);
    const answer = claim();
    answer.then((rows) => isLate && onLate(rows), () => {});
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
      this.#sent.delete(sent);
    }
  }
}
