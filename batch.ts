/** Many small writes as few big ones, and patience with a database that is away. */

const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Failures that pass: the connection, a restart, a server that takes no writes just now, a deadlock. */
export function isPassing(error: unknown): boolean {
  const code = String((error as { code?: unknown })?.code ?? "");
  return /^(08|25006|40|53|57)/.test(code) || /^(CONNECT|E[A-Z]+$|.*CONNECTION)/.test(code);
}

const waitMsMax = 1_000;

/**
 * Repeats work until it succeeds or fails for good.
 *
 * @param onWait told of each failure that is waited out
 * @throws what does not pass, and anything once `signal` is aborted
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
 * Gathers single items into calls of `run`: what comes while a call is under way goes together in the next.
 *
 * @param run answers in the order of its items
 * @param gatherMs waits so long for company before a call; 0 waits for the end of this turn
 * @param itemsMax of one call
 */
export function createBatcher<Item, Answer>(
  run: (items: Item[]) => Promise<Answer[]>,
  { gatherMs = 0, itemsMax = 500 }: { gatherMs?: number; itemsMax?: number } = {},
): (item: Item) => Promise<Answer> {
  type Waiting = { item: Item; resolve: (answer: Answer) => void; reject: (error: unknown) => void };
  let waiting: Waiting[] = [];
  let running = false;

  async function runOne(batch: Waiting[]): Promise<void> {
    try {
      const answers = await run(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, i) => resolve(answers[i]!));
    } catch (error) {
      // What passes is no item's fault: each alone would only fail again, one after the other.
      if (batch.length === 1 || isPassing(error)) batch.forEach(({ reject }) => reject(error));
      // One bad item must not spoil the others: each goes alone.
      else for (const single of batch) await runOne([single]);
    }
  }

  async function runAll(): Promise<void> {
    running = true;
    await delay(gatherMs);
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
