/** Distributions, by jstat: quantiles and tails by which intervals and p-values are made. */
// @ts-types="./jstat.d.ts"
import jStat from "jstat";

/**
 * Share of Student's t with `freedom` degrees beyond ±|t|.
 *
 * @example
 * ```ts
 * import { tTails } from "./distributions.ts";
 * if (Math.abs(tTails(2.570582, 5) - 0.05) > 1e-6) throw new Error();
 * ```
 */
export const tTails = (t: number, freedom: number): number =>
  Math.min(1, 2 * jStat.studentt.cdf(-Math.abs(t), freedom));

const quantiles = new Map<string, number>();

/**
 * The t beyond which lie `1 - confidence` of both tails together.
 *
 * @example
 * ```ts
 * import { tQuantile } from "./distributions.ts";
 * if (Math.abs(tQuantile(0.95, 5) - 2.570582) > 1e-6) throw new Error();
 * ```
 */
export function tQuantile(confidence: number, freedom: number): number {
  const key = `${confidence} ${freedom}`;
  const found = quantiles.get(key) ?? jStat.studentt.inv((1 + confidence) / 2, freedom);
  // Degrees of Welch's test are any number; those of units repeat.
  if (quantiles.size < 10_000) quantiles.set(key, found);
  return found;
}

/**
 * The z within which lie `confidence` of a normal distribution, on both sides.
 *
 * @example
 * ```ts
 * import { zQuantile } from "./distributions.ts";
 * if (Math.abs(zQuantile(0.95) - 1.959964) > 1e-6) throw new Error();
 * ```
 */
export const zQuantile = (confidence: number): number => jStat.normal.inv((1 + confidence) / 2, 0, 1);

/** Share of chi-square with `freedom` degrees above `x`. */
export const chiSquareTail = (x: number, freedom: number): number =>
  Math.max(0, 1 - jStat.chisquare.cdf(x, freedom));
