/** Quantiles and tail probabilities of distributions, computed by jstat. */
// @ts-types="./jstat.d.ts"
import jStat from "jstat";

/**
 * Returns the two-sided tail probability of |t| for Student's t distribution with the given degrees of
 * freedom.
 *
 * @example
 * ```ts
 * import { tTails } from "./distributions.ts";
 * if (Math.abs(tTails(2.570582, 5) - 0.05) > 1e-6) throw new Error();
 * ```
 */
export const tTails = (t: number, degrees: number): number =>
  Math.min(1, 2 * jStat.studentt.cdf(-Math.abs(t), degrees));

const quantiles = new Map<string, number>();

/**
 * Returns the two-sided critical value of Student's t distribution for a confidence level.
 *
 * @example
 * ```ts
 * import { tQuantile } from "./distributions.ts";
 * if (Math.abs(tQuantile(0.95, 5) - 2.570582) > 1e-6) throw new Error();
 * ```
 */
export function tQuantile(confidence: number, degrees: number): number {
  const key = `${confidence} ${degrees}`;
  const found = quantiles.get(key) ?? jStat.studentt.inv((1 + confidence) / 2, degrees);
  // Degrees of freedom of Welch's test are arbitrary numbers, so the cache is bounded. Those of units repeat.
  if (quantiles.size < 10_000) quantiles.set(key, found);
  return found;
}

/**
 * Returns the two-sided critical value of the standard normal distribution for a confidence level.
 *
 * @example
 * ```ts
 * import { zQuantile } from "./distributions.ts";
 * if (Math.abs(zQuantile(0.95) - 1.959964) > 1e-6) throw new Error();
 * ```
 */
export const zQuantile = (confidence: number): number => jStat.normal.inv((1 + confidence) / 2, 0, 1);

/** Returns the upper tail probability of the chi-square distribution with the given degrees of freedom. */
export const chiSquareTail = (x: number, degrees: number): number =>
  Math.max(0, 1 - jStat.chisquare.cdf(x, degrees));
