/** Waits that a signal can end. */
import { setTimeout } from "node:timers/promises";

/** Waits for `ms`, or until the signal is aborted. It never rejects. */
export const wait = (ms: number, signal?: AbortSignal): Promise<void> =>
  setTimeout(ms, undefined, { signal }).catch(() => {});
