/** Computed answers, kept while what they were computed from is unchanged. */

interface Kept {
  version: string;
  text: Promise<string>;
  /** Characters of the text; 0 while it is computed. */
  size: number;
}

/** The latest answers of one process. Requests for the same answer share one computation. */
export class AnswerCache {
  /** Least recently used first. */
  readonly #kept = new Map<string, Kept>();
  #size = 0;

  /** @param sizeMax maximum characters of all answers together */
  constructor(readonly sizeMax = 8_000_000) {}

  #forget(key: string): void {
    this.#size -= this.#kept.get(key)?.size ?? 0;
    this.#kept.delete(key);
  }

  /**
   * Returns the answer to `key` in this version, and computes it if it is not there.
   *
   * @param version changes with everything that the answer depends on. It is read before the data, so that an answer is
   * never older than its version
   */
  async get(key: string, version: string, compute: () => Promise<string>): Promise<string> {
    const before = this.#kept.get(key);
    if (before?.version === version) {
      this.#kept.delete(key);
      this.#kept.set(key, before);
      return await before.text;
    }
    this.#forget(key);
    const kept: Kept = { version, text: compute(), size: 0 };
    this.#kept.set(key, kept);
    try {
      const text = await kept.text;
      if (this.#kept.get(key) === kept) {
        kept.size = text.length;
        this.#size += text.length;
      }
      for (const [oldest] of this.#kept) {
        if (this.#size <= this.sizeMax) break;
        this.#forget(oldest);
      }
      return text;
    } catch (error) {
      if (this.#kept.get(key) === kept) this.#forget(key);
      throw error;
    }
  }
}
