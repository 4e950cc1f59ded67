/** Random numbers with a fixed seed: repeated requests return the same numbers. */

/** Draws a number from [0, 1). */
export type Random = () => number;

/**
 * Creates a generator from a seed (sfc32 of PractRand, with three words of state and a counter).
 *
 * @example
 * ```ts
 * import { createRandom } from "./random.ts";
 * const [a, b] = [createRandom(1), createRandom(1)];
 * if (a() !== b() || a() === createRandom(2)()) throw new Error();
 * ```
 */
export function createRandom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed | 0;
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}

/** Draws from the standard normal distribution (Box and Muller). */
export const drawNormal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/**
 * Draws one bootstrap resample: `weights.length` draws with replacement from as many items. `weights`
 * receives how often each item was drawn.
 */
export function drawWeights(weights: Uint16Array, random: Random): void {
  weights.fill(0);
  for (let i = 0; i < weights.length; i++) weights[Math.floor(random() * weights.length)]!++;
}

/**
 * Returns the `p` quantile of `values`, interpolated linearly (type 7 of Hyndman and Fan 1996, the default of
 * R and NumPy).
 *
 * @example
 * ```ts
 * import { quantileOf } from "./random.ts";
 * if (quantileOf([4, 1, 2, 3], 0.5) !== 2.5) throw new Error();
 * ```
 */
export function quantileOf(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = p * (sorted.length - 1);
  const low = Math.floor(position);
  const next = sorted[Math.min(low + 1, sorted.length - 1)]!;
  return sorted[low]! + (position - low) * (next - sorted[low]!);
}
