/** Gathers many small writes into few big ones, and repeats work while PostgreSQL is unavailable. */
import { setImmediate } from "node:timers/promises";
import { isPassing } from "./passing.ts";

const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const waitMsMax = 1_000;

/**
 * Repeats work while it fails with a failure that passes by itself.
 *
 * @param onWait called with each failure before the wait
 * @throws any other failure, and every failure once `signal` is aborted
 */
export async function withPatience<T>(
  work: () => Promise<T>,
  { signal, onWait = () => {} }: { signal?: AbortSignal; onWait?: (error: unknown) => void } = {},
): Promise<T> {
  for (let waitMs = 50;; waitMs = Math.min(waitMs * 2, waitMsMax)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || signal?.aborted) throw error;
      onWait(error);
      await delay(waitMs * (0.75 + Math.random() / 2));
    }
  }
}

/**
 * Creates a function that gathers single items into calls of `run`: those of one turn of the event loop, and those that
 * arrive during a call.
 *
 * @param run returns the answers in the order of its items
 * @param itemsMax maximum number of items in a call
 */
export function createBatcher<Item, Answer>(
  run: (items: Item[]) => Promise<Answer[]>,
  { itemsMax = 500 }: { itemsMax?: number } = {},
): (item: Item) => Promise<Answer> {
  type Waiting = { item: Item; resolve: (answer: Answer) => void; reject: (error: unknown) => void };
  let waiting: Waiting[] = [];
  let running = false;

  async function runOne(batch: Waiting[]): Promise<void> {
    try {
      const answers = await run(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, i) => resolve(answers[i]!));
    } catch (error) {
      // A failure that passes is not caused by an item: single calls would only fail one after the other.
      if (batch.length === 1 || isPassing(error)) batch.forEach(({ reject }) => reject(error));
      // One bad item must not fail the others, so each item gets a call of its own.
      else for (const single of batch) await runOne([single]);
    }
  }

  async function runAll(): Promise<void> {
    running = true;
    // In Deno, a timer of 0 ms takes about 2 ms.
    await setImmediate();
    while (waiting.length > 0) {
      const batch = waiting.slice(0, itemsMax);
      waiting = waiting.slice(itemsMax);
      await runOne(batch);
    }
    running = false;
  }

  return (item) =>
    new Promise<Answer>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (!running) void runAll();
    });
}
