/** Least squares for an additive model: effects of levels adjusted for other axes, content and raters. */
import { createRandom } from "./random.ts";

/** A factor of the model: the level of each observation. */
export interface Factor {
  of: Int32Array;
  levels: number;
}

/** Result of a fit. */
export interface Fit {
  /**
   * For each level of the first factor the prediction, averaged over the observed levels of every other
   * factor. Null if the observations cannot separate the level from other factors, or if it has no
   * observations.
   */
  adjusted: (number | null)[];
  /** Iterations of the solver. */
  iterations: number;
}

/** The design matrix, implicitly: an intercept and one coefficient per level of each factor. */
interface DesignMatrix {
  factors: readonly Factor[];
  /** Position of each factor's first coefficient. */
  starts: number[];
  size: number;
  observations: number;
}

function multiplyDesign(
  { factors, starts, observations }: DesignMatrix,
  x: Float64Array,
  out: Float64Array,
): void {
  out.fill(x[0]!);
  factors.forEach(({ of }, f) => {
    const start = starts[f]!;
    for (let i = 0; i < observations; i++) out[i]! += x[start + of[i]!]!;
  });
}

function multiplyTransposed(
  { factors, starts, observations }: DesignMatrix,
  y: Float64Array,
  out: Float64Array,
): void {
  out.fill(0);
  for (let i = 0; i < observations; i++) out[0]! += y[i]!;
  factors.forEach(({ of }, f) => {
    const start = starts[f]!;
    for (let i = 0; i < observations; i++) out[start + of[i]!]! += y[i]!;
  });
}

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

const iterationsMax = 300;
const tolerance = 1e-11;

/**
 * Solves the normal equations by conjugate gradients, scaled by the counts of the levels (CGLS: Hestenes and
 * Stiefel 1952; Björck 1996 §7.4). A balanced design takes about as many iterations as it has factors.
 * `pause` is awaited after each.
 */
async function solve(
  design: DesignMatrix,
  y: Float64Array,
  scale: Float64Array,
  pause: () => Promise<void>,
): Promise<{ x: Float64Array; iterations: number }> {
  const { size, observations } = design;
  const x = new Float64Array(size);
  const residual = y.slice();
  const projected = new Float64Array(observations);
  const gradient = new Float64Array(size);
  multiplyTransposed(design, residual, gradient);
  let scaled = gradient.map((value, i) => value * scale[i]!);
  const step = scaled.slice();
  let gamma = dot(gradient, scaled);
  const enough = gamma * tolerance * tolerance;
  let iterations = 0;
  for (; iterations < iterationsMax && gamma > enough && gamma > 1e-20; iterations++) {
    multiplyDesign(design, step, projected);
    const alpha = gamma / dot(projected, projected);
    for (let i = 0; i < size; i++) x[i]! += alpha * step[i]!;
    for (let i = 0; i < observations; i++) residual[i]! -= alpha * projected[i]!;
    multiplyTransposed(design, residual, gradient);
    scaled = gradient.map((value, i) => value * scale[i]!);
    const next = dot(gradient, scaled);
    for (let i = 0; i < size; i++) step[i] = scaled[i]! + next / gamma * step[i]!;
    gamma = next;
    await pause();
  }
  return { x, iterations };
}

/**
 * Fits `y` = an intercept + one effect per factor and returns the estimated marginal means of the first
 * factor (Searle, Speed and Milliken 1980). To find the levels that cannot be separated from the other
 * factors, the same equations are solved for the response to random coefficients: coefficients that the
 * solution does not recover are not identified.
 *
 * @param pause yields to other requests
 *
 * @example
 * ```ts
 * import { fitAdditive } from "./least_squares.ts";
 * // Rater 1 gives one star more and rated level 1 twice.
 * const level = { of: Int32Array.of(0, 1, 0, 1, 1), levels: 2 };
 * const rater = { of: Int32Array.of(0, 0, 1, 1, 1), levels: 2 };
 * const { adjusted: [a, b] } = await fitAdditive(Float64Array.of(2, 3, 3, 4, 4), [level, rater]);
 * if (Math.abs(a! - 2.5) > 1e-9 || Math.abs(b! - 3.5) > 1e-9) throw new Error();
 * ```
 */
export async function fitAdditive(
  y: Float64Array,
  factors: readonly Factor[],
  pause: () => Promise<void> = () => Promise.resolve(),
): Promise<Fit> {
  const starts: number[] = [];
  let size = 1;
  for (const { levels } of factors) {
    starts.push(size);
    size += levels;
  }
  const design = { factors, starts, size, observations: y.length };
  const counts = new Float64Array(size);
  multiplyTransposed(design, new Float64Array(y.length).fill(1), counts);
  const scale = counts.map((count) => count > 0 ? 1 / count : 0);

  const random = createRandom(size);
  const probe = Float64Array.from({ length: size }, (_, i) => counts[i]! > 0 ? random() - 0.5 : 0);
  const probeResponse = new Float64Array(y.length);
  multiplyDesign(design, probe, probeResponse);
  const { x, iterations } = await solve(design, y, scale, pause);
  const { x: recovered } = await solve(design, probeResponse, scale, pause);
  const unidentified = probe.map((value, i) => value - recovered[i]!);

  const meansOf = (x: Float64Array) => {
    const others = factors.slice(1).reduce((sum, { levels }, f) => {
      let total = 0;
      let observed = 0;
      for (let i = starts[f + 1]!; i < starts[f + 1]! + levels; i++) {
        if (counts[i] === 0) continue;
        total += x[i]!;
        observed++;
      }
      return observed === 0 ? sum : sum + total / observed;
    }, x[0]!);
    return Array.from({ length: factors[0]!.levels }, (_, level) => others + x[starts[0]! + level]!);
  };
  const unidentifiedMeans = meansOf(unidentified);
  return {
    iterations,
    adjusted: meansOf(x).map((mean, level) =>
      counts[starts[0]! + level] === 0 || Math.abs(unidentifiedMeans[level]!) > 1e-5 ? null : mean
    ),
  };
}
