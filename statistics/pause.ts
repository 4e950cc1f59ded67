/** Yielding to other requests during long computations. */

/**
 * Creates a function that yields to the event loop if at least `everyMs` have passed since it last did.
 *
 * @example
 * ```ts
 * import { createPause } from "./pause.ts";
 * const pause = createPause(1000);
 * await pause();
 * ```
 */
export function createPause(everyMs = 15): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < everyMs) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    since = performance.now();
  };
}
