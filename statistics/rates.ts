/** Shares of cells: refused, timed out, failed. */
import { chiSquareTail, zQuantile } from "./distributions.ts";
import { confidence } from "./paired.ts";

export interface Rate {
  n: number;
  of: number;
  /** Null of none. */
  rate: number | null;
  low: number | null;
  high: number | null;
}

/**
 * A share with its interval (Wilson 1927).
 *
 * @example
 * ```ts
 * import { rateOf } from "./rates.ts";
 * const { low, high } = rateOf(1, 10);
 * if (Math.abs(low! - 0.017876) > 1e-6 || Math.abs(high! - 0.404150) > 1e-6) throw new Error();
 * ```
 */
export function rateOf(n: number, of: number): Rate {
  if (of === 0) return { n, of, rate: null, low: null, high: null };
  const z = zQuantile(confidence);
  const rate = n / of;
  const spread = 1 + z * z / of;
  const middle = (rate + z * z / (2 * of)) / spread;
  const reach = z / spread * Math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of));
  return { n, of, rate, low: Math.max(0, middle - reach), high: Math.min(1, middle + reach) };
}

/**
 * p of all shares being one (Pearson 1900); undefined where fewer than 5 are expected on the average of the levels, as the
 * test says nothing then.
 */
export function testRates(rates: readonly { n: number; of: number }[]): number | undefined {
  const counted = rates.filter(({ of }) => of > 0);
  const all = counted.reduce((sum, { n, of }) => ({ n: sum.n + n, of: sum.of + of }), { n: 0, of: 0 });
  const rarer = Math.min(all.n, all.of - all.n);
  if (counted.length < 2 || rarer / counted.length < 5) return undefined;
  const share = all.n / all.of;
  const chi = counted.reduce((sum, { n, of }) => sum + (n - of * share) ** 2 / (of * share * (1 - share)), 0);
  return chiSquareTail(chi, counted.length - 1);
}
