/** Bounded waiting for a condition. */
import assert from "node:assert/strict";

/**
 * Polls `check` every 10 ms and returns its first truthy value.
 *
 * @throws Error that names `what` after `ms` milliseconds
 */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  ms = 120_000,
): Promise<T> {
  const until = performance.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > until) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * Polls `read` every 10 ms until its value deeply equals `wanted`.
 *
 * @throws AssertionError with the last value after `ms` milliseconds
 */
export async function waitForEqual<T>(read: () => Promise<T>, wanted: T, ms = 20_000): Promise<void> {
  const until = performance.now() + ms;
  for (;;) {
    const value = await read();
    try {
      assert.deepEqual(value, wanted);
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
