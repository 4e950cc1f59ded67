/** Means over units with their intervals, and tests of paired differences: Student's t, and sign flips. */
import { tQuantile, tTails } from "./distributions.ts";
import { createRandom } from "./random.ts";

/** Below this many units there are points and no interval (api-v2.md «Statistics done right»). */
export const unitsMin = 6;

/** All intervals are of this confidence. */
export const confidence = 0.95;

/** An estimate with its interval; without one where units are too few or all alike. */
export interface Estimate {
  value: number;
  low: number | null;
  high: number | null;
}

export interface TTest extends Estimate {
  /** Units. */
  n: number;
  /** Of no difference; null where there is no interval. */
  p: number | null;
}

export const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
};

/** Sum of squares around the mean. */
export function squaresOf(values: ArrayLike<number>, mean = meanOf(values)): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! - mean) ** 2;
  return sum;
}

/** What rounding makes of values that are equal. */
const alike = 1e-12;

/**
 * Mean of `values`, one a unit, with Student's interval, and the test that it is 0 (Student 1908). Fewer than 6 units, or
 * units all alike, have no interval: their spread says nothing.
 *
 * @returns undefined without values
 *
 * @example
 * ```ts
 * import { testMean } from "./paired.ts";
 * const { value, p } = testMean([1, 2, 0, 1, 3, 1, 2])!;
 * if (Math.abs(value - 10 / 7) > 1e-9 || Math.abs(p! - 0.008237) > 1e-5) throw new Error(String(p));
 * if (testMean([1, 2, 3])!.low !== null) throw new Error();
 * ```
 */
export function testMean(values: ArrayLike<number>): TTest | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const value = meanOf(values);
  const squares = squaresOf(values, value);
  if (n < unitsMin || squares <= alike * n) return { n, value, low: null, high: null, p: null };
  const error = Math.sqrt(squares / (n - 1) / n);
  const reach = tQuantile(confidence, n - 1) * error;
  return { n, value, low: value - reach, high: value + reach, p: tTails(value / error, n - 1) };
}

/** Up to this many units all flips are tried. */
export const flipsExactMax = 12;

function countExact(values: ArrayLike<number>, bar: number): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const signs = new Int8Array(values.length).fill(1);
  // Gray's code: each step turns one sign, so that no sum is made anew.
  for (let step = 0;; step++) {
    if (Math.abs(sum) >= bar) count++;
    if (step === 2 ** values.length - 1) return count;
    const turned = Math.log2((step + 1) & -(step + 1));
    sum -= 2 * signs[turned]! * values[turned]!;
    signs[turned] = -signs[turned]! as 1 | -1;
  }
}

/**
 * Two-sided p of paired differences by turning their signs (Fisher 1935): all 2^n ways up to 12 units, beyond that drawn
 * with a fixed seed, where the sample itself is counted in (Phipson and Smyth 2010).
 *
 * @param draws ways drawn, beyond 12 units
 * @returns undefined without values
 *
 * @example
 * ```ts
 * import { flipSigns } from "./paired.ts";
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
  const bar = Math.abs(meanOf(values) * n) - 1e-9;
  if (n <= flipsExactMax) return { p: countExact(values, bar) / 2 ** n, exact: true };
  const random = createRandom(n);
  let count = 1;
  for (let draw = 0; draw < draws; draw++) {
    let sum = 0;
    for (let i = 0; i < n;) {
      // Each draw gives the signs of 32 units.
      let bits = Math.floor(random() * 4_294_967_296);
      for (const end = Math.min(n, i + 32); i < end; i++, bits >>>= 1) {
        sum += bits & 1 ? values[i]! : -values[i]!;
      }
    }
    if (Math.abs(sum) >= bar) count++;
  }
  return { p: count / (draws + 1), exact: false };
}

/**
 * p of two groups of units having one mean, by Welch's test (Welch 1947); undefined where a group has fewer than 6 units
 * or nothing in them varies.
 */
export function testTwoMeans(a: ArrayLike<number>, b: ArrayLike<number>): number | undefined {
  if (a.length < unitsMin || b.length < unitsMin) return undefined;
  const [u, v] = [a, b].map((values) => squaresOf(values) / (values.length - 1) / values.length) as [
    number,
    number,
  ];
  if (u + v <= alike) return undefined;
  const freedom = (u + v) ** 2 / (u ** 2 / (a.length - 1) + v ** 2 / (b.length - 1));
  return tTails((meanOf(a) - meanOf(b)) / Math.sqrt(u + v), freedom);
}
