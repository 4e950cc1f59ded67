/** A cache with a maximum size, which forgets what was not used for the longest time. */

interface Entry<Value> {
  value: Value;
  size: number;
}

export class SizedCache<Value> {
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry<Value>>();
  #size = 0;

  /** @param sizeMax maximum size of all entries together */
  constructor(readonly sizeMax: number) {}

  /** Returns a value, which counts as used now; undefined if there is none. */
  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Returns a value and leaves its place in the order. */
  peek(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Stores a value. One that is stored already keeps its place in the order. */
  set(key: string, value: Value, size: number): void {
    this.#size += size - (this.#entries.get(key)?.size ?? 0);
    this.#entries.set(key, { value, size });
    for (const [oldest] of this.#entries) {
      if (this.#size <= this.sizeMax) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#size -= this.#entries.get(key)?.size ?? 0;
    this.#entries.delete(key);
  }
}
