/** Answers that wait for their comparison: a bounded number of them, with a bounded size. */

const itemsMax = 100;
const bytesMax = 16 * 1024 * 1024;

/** A queue that several loops may read. It ends when its signal is aborted. */
export class ShadowBacklog<Item> {
  readonly #items: { item: Item; bytes: number }[] = [];
  #bytes = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(readonly signal: AbortSignal) {
    signal.addEventListener("abort", () => this.#wakeAll());
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Adds an item. @returns false if there is no room */
  add(item: Item, bytes: number): boolean {
    if (this.#items.length >= itemsMax || this.#bytes + bytes > bytesMax || this.signal.aborted) return false;
    this.#items.push({ item, bytes });
    this.#bytes += bytes;
    this.#waiting.shift()?.();
    return true;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    while (!this.signal.aborted) {
      const next = this.#items.shift();
      if (next) {
        this.#bytes -= next.bytes;
        yield next.item;
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
  }
}
