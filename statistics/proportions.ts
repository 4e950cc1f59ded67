/** Proportions of cells, such as the refused ones. */
import { chiSquareTail, zQuantile } from "./distributions.ts";
import { confidence } from "./mean_tests.ts";

export interface Proportion {
  n: number;
  of: number;
  /** Null if `of` is 0. */
  rate: number | null;
  low: number | null;
  high: number | null;
}

/**
 * Returns a proportion with its score interval (Wilson 1927).
 *
 * @example
 * ```ts
 * import { estimateProportion } from "./proportions.ts";
 * const { low, high } = estimateProportion(1, 10);
 * if (Math.abs(low! - 0.017876) > 1e-6 || Math.abs(high! - 0.404150) > 1e-6) throw new Error();
 * ```
 */
export function estimateProportion(n: number, of: number): Proportion {
  if (of === 0) return { n, of, rate: null, low: null, high: null };
  const z = zQuantile(confidence);
  const rate = n / of;
  const scale = 1 + z * z / of;
  const middle = (rate + z * z / (2 * of)) / scale;
  const margin = z / scale * Math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of));
  return { n, of, rate, low: Math.max(0, middle - margin), high: Math.min(1, middle + margin) };
}

/**
 * Returns the p-value of the hypothesis that all proportions are equal (Pearson 1900); undefined if the
 * expected count per level is below 5, where the test is not valid.
 */
export function testEqualProportions(rates: readonly { n: number; of: number }[]): number | undefined {
  const counted = rates.filter(({ of }) => of > 0);
  const all = counted.reduce((sum, { n, of }) => ({ n: sum.n + n, of: sum.of + of }), { n: 0, of: 0 });
  const rarer = Math.min(all.n, all.of - all.n);
  if (counted.length < 2 || rarer / counted.length < 5) return undefined;
  const share = all.n / all.of;
  const chi = counted.reduce((sum, { n, of }) => sum + (n - of * share) ** 2 / (of * share * (1 - share)), 0);
  return chiSquareTail(chi, counted.length - 1);
}
