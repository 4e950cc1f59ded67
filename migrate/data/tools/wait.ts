/** Waits of processes that run until they are stopped. */
import { setTimeout } from "node:timers/promises";

/** Waits for `ms`, or less if the signal is aborted. */
export const wait = (ms: number, signal?: AbortSignal): Promise<void> =>
  setTimeout(ms, undefined, { signal }).catch(() => {});
