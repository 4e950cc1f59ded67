/** Long computations give way to other requests. */

/**
 * A pause that is one only where `everyMs` have passed since the last: others have their turn then.
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
