/** Reproducible random numbers: everything that varies in a plan derives from its seed. */

/** A seeded random number generator. */
export interface Random {
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  next(): number;
  /** Returns an integer from `min` to `max`, both included. */
  between(min: number, max: number): number;
  /** Returns one of the items. */
  pick<T>(items: readonly T[]): T;
  /** Returns true with probability 1 / `times`. */
  oneIn(times: number): boolean;
  /** Returns an independent generator, so that changes of one part of a plan do not change the others. */
  fork(name: string): Random;
}

function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * Creates a generator for a seed (mulberry32).
 *
 * @example
 * ```ts
 * import { createRandom } from "./random.ts";
 * if (createRandom(7).next() !== createRandom(7).next()) throw new Error("not reproducible");
 * ```
 */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    between,
    pick: (items) => items[between(0, items.length - 1)]!,
    oneIn: (times) => next() * times < 1,
    fork: (name) => createRandom(seed ^ hashText(name)),
  };
}
