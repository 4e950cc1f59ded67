/** Chance that can be played again: everything that varies in a run is drawn from its seed. */

export interface Dice {
  /** 0 up to 1. */
  next(): number;
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  pick<T>(items: readonly T[]): T;
  /** True once in `times`, on average. */
  once(times: number): boolean;
  /** Dice of their own for a part, so that what is added there moves nothing elsewhere. */
  fork(name: string): Dice;
}

function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * Opens dice for a seed (mulberry32).
 *
 * @example
 * ```ts
 * import { createDice } from "./random.ts";
 * if (createDice(7).between(0, 1e9) !== createDice(7).between(0, 1e9)) throw new Error("a seed replays");
 * ```
 */
export function createDice(seed: number): Dice {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    next,
    between,
    pick: (items) => items[between(0, items.length - 1)]!,
    once: (times) => next() * times < 1,
    fork: (name) => createDice(seed ^ hashText(name)),
  };
}
