/** Computed answers, kept while what they were computed from is unchanged. */
import { SizedCache } from "./sized_cache.ts";

interface Kept {
  version: string;
  text: Promise<string>;
}

/** The latest answers of one process. Requests for the same answer share one computation. */
export class AnswerCache {
  readonly #kept: SizedCache<Kept>;

  /** @param sizeMax maximum characters of all answers together */
  constructor(sizeMax = 8_000_000) {
    this.#kept = new SizedCache(sizeMax);
  }

  /**
   * Returns the answer to `key` in this version, and computes it if it is not there.
   *
   * @param version changes with everything that the answer depends on. It is read before the data, so that an answer is
   * never older than its version
   */
  async get(key: string, version: string, compute: () => Promise<string>): Promise<string> {
    const before = this.#kept.get(key);
    if (before?.version === version) return await before.text;
    const kept: Kept = { version, text: compute() };
    // Its size is known when it is computed.
    this.#kept.set(key, kept, 0);
    try {
      const text = await kept.text;
      if (this.#kept.peek(key) === kept) this.#kept.set(key, kept, text.length);
      return text;
    } catch (error) {
      if (this.#kept.peek(key) === kept) this.#kept.delete(key);
      throw error;
    }
  }
}
