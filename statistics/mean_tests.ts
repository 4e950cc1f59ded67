/** Means over units with intervals, and tests of paired differences: Student's t and sign flips. */
import { tQuantile, tTails } from "./distributions.ts";
import { createRandom } from "./random.ts";

/** Minimum number of units for an interval. With fewer, there is only a point estimate. */
export const unitsMin = 6;

/** Confidence level of all intervals. */
export const confidence = 0.95;

/** A point estimate with an interval; without one if there are too few units or they do not vary. */
export interface Estimate {
  value: number;
  low: number | null;
  high: number | null;
}

export interface TTest extends Estimate {
  /** Number of units. */
  n: number;
  /** p-value of the hypothesis of a zero mean; null if there is no interval. */
  p: number | null;
}

/** Returns the arithmetic mean. */
export const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
};

/** Returns the sum of squared deviations from the mean. */
export function sumOfSquares(values: ArrayLike<number>, mean = meanOf(values)): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! - mean) ** 2;
  return sum;
}

/** Variance below which values count as equal; rounding produces such differences. */
const roundingVariance = 1e-12;

/**
 * Returns the mean of `values`, one per unit, with Student's interval and the t test of a zero mean (Student
 * 1908). There is no interval for fewer than 6 units or for units that do not vary.
 *
 * @returns undefined for an empty list
 *
 * @example
 * ```ts
 * import { testMean } from "./mean_tests.ts";
 * const { value, p } = testMean([1, 2, 0, 1, 3, 1, 2])!;
 * if (Math.abs(value - 10 / 7) > 1e-9 || Math.abs(p! - 0.008237) > 1e-5) throw new Error(String(p));
 * if (testMean([1, 2, 3])!.low !== null) throw new Error();
 * ```
 */
export function testMean(values: ArrayLike<number>): TTest | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const value = meanOf(values);
  const squares = sumOfSquares(values, value);
  if (n < unitsMin || squares <= roundingVariance * n) return { n, value, low: null, high: null, p: null };
  const error = Math.sqrt(squares / (n - 1) / n);
  const margin = tQuantile(confidence, n - 1) * error;
  return { n, value, low: value - margin, high: value + margin, p: tTails(value / error, n - 1) };
}

/** Maximum number of units for which all sign flips are enumerated. */
export const flipsExactMax = 12;

/** Counts the sign combinations whose absolute sum reaches the threshold. */
function countExtremeFlips(values: ArrayLike<number>, threshold: number): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const signs = new Int8Array(values.length).fill(1);
  // Gray code: each step flips one sign, so that the sum is updated instead of recomputed.
  for (let step = 0;; step++) {
    if (Math.abs(sum) >= threshold) count++;
    if (step === 2 ** values.length - 1) return count;
    const turned = Math.log2((step + 1) & -(step + 1));
    sum -= 2 * signs[turned]! * values[turned]!;
    signs[turned] = -signs[turned]! as 1 | -1;
  }
}

/**
 * Returns the two-sided p-value of a sign-flip test of paired differences (Fisher 1935). Up to 12 units all
 * 2^n flips are enumerated. Beyond that, flips are drawn with a fixed seed and the observed sample is counted
 * in (Phipson and Smyth 2010).
 *
 * @param draws number of random flips, used for more than 12 units
 * @returns undefined for an empty list
 *
 * @example
 * ```ts
 * import { flipSigns } from "./mean_tests.ts";
 * const { p, exact } = flipSigns([1, 2, 3, 4, 5, 6])!;
 * if (p !== 2 / 64 || !exact) throw new Error();
 * ```
 */
export function flipSigns(
  values: ArrayLike<number>,
  draws = 9_999,
): { p: number; exact: boolean } | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const threshold = Math.abs(meanOf(values) * n) - 1e-9;
  if (n <= flipsExactMax) return { p: countExtremeFlips(values, threshold) / 2 ** n, exact: true };
  const random = createRandom(n);
  let count = 1;
  for (let draw = 0; draw < draws; draw++) {
    let sum = 0;
    for (let i = 0; i < n;) {
      // One draw provides the signs of 32 units.
      let bits = Math.floor(random() * 4_294_967_296);
      for (const end = Math.min(n, i + 32); i < end; i++, bits >>>= 1) {
        sum += bits & 1 ? values[i]! : -values[i]!;
      }
    }
    if (Math.abs(sum) >= threshold) count++;
  }
  return { p: count / (draws + 1), exact: false };
}

/**
 * Returns the p-value of Welch's test that two groups of units have the same mean (Welch 1947); undefined if
 * a group has fewer than 6 units or neither group varies.
 */
export function testWelch(a: ArrayLike<number>, b: ArrayLike<number>): number | undefined {
  if (a.length < unitsMin || b.length < unitsMin) return undefined;
  const squaredError = (values: ArrayLike<number>) =>
    sumOfSquares(values) / (values.length - 1) / values.length;
  const u = squaredError(a);
  const v = squaredError(b);
  if (u + v <= roundingVariance) return undefined;
  const degrees = (u + v) ** 2 / (u ** 2 / (a.length - 1) + v ** 2 / (b.length - 1));
  return tTails((meanOf(a) - meanOf(b)) / Math.sqrt(u + v), degrees);
}
