/** Additive least squares over factors: what a level is worth once axes, content and raters are allowed for. */
import { createRandom } from "./random.ts";

/** A factor: which of its levels each observation has. */
export interface Factor {
  of: Int32Array;
  levels: number;
}

export interface Fit {
  /** Levels of the first factor: the prediction, averaged over the levels of every other factor that were observed. Null
   * where the observations do not tell it from other factors, or there are none. */
  adjusted: (number | null)[];
  /** Rounds that were needed. */
  rounds: number;
}

/** The design: one unknown a level of each factor, and one for all. */
interface Design {
  factors: readonly Factor[];
  /** Where each factor's unknowns start. */
  starts: number[];
  size: number;
  observations: number;
}

function apply({ factors, starts, observations }: Design, x: Float64Array, out: Float64Array): void {
  out.fill(x[0]!);
  factors.forEach(({ of }, f) => {
    const start = starts[f]!;
    for (let i = 0; i < observations; i++) out[i]! += x[start + of[i]!]!;
  });
}

function applyTransposed(
  { factors, starts, observations }: Design,
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

const roundsMax = 300;
const exactness = 1e-11;

/**
 * Solves by conjugate gradients on the normal equations, scaled by the levels' counts (CGLS: Hestenes and Stiefel 1952;
 * Björck 1996 §7.4). A balanced design is done in about as many rounds as it has factors. `pause` is awaited between.
 */
async function solve(
  design: Design,
  y: Float64Array,
  scale: Float64Array,
  pause: () => Promise<void>,
): Promise<{ x: Float64Array; rounds: number }> {
  const { size, observations } = design;
  const x = new Float64Array(size);
  const rest = y.slice();
  const image = new Float64Array(observations);
  const gradient = new Float64Array(size);
  applyTransposed(design, rest, gradient);
  let scaled = gradient.map((value, i) => value * scale[i]!);
  const step = scaled.slice();
  let gamma = dot(gradient, scaled);
  const enough = gamma * exactness * exactness;
  let rounds = 0;
  for (; rounds < roundsMax && gamma > enough && gamma > 1e-20; rounds++) {
    apply(design, step, image);
    const alpha = gamma / dot(image, image);
    for (let i = 0; i < size; i++) x[i]! += alpha * step[i]!;
    for (let i = 0; i < observations; i++) rest[i]! -= alpha * image[i]!;
    applyTransposed(design, rest, gradient);
    scaled = gradient.map((value, i) => value * scale[i]!);
    const next = dot(gradient, scaled);
    for (let i = 0; i < size; i++) step[i] = scaled[i]! + next / gamma * step[i]!;
    gamma = next;
    await pause();
  }
  return { x, rounds };
}

/**
 * Fits `y` = a constant + one effect a factor, and gives the means of the first factor's levels with all others held
 * equal (estimated marginal means: Searle, Speed and Milliken 1980). Whether a level can be told from the other factors
 * is asked of the same equations: what they leave of a random vector is what they do not see.
 *
 * @param pause lets others have their turn
 *
 * @example
 * ```ts
 * import { fitAdditive } from "./least_squares.ts";
 * // Rater 1, who gives a star more, saw level 1 alone in the second image.
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
  applyTransposed(design, new Float64Array(y.length).fill(1), counts);
  const scale = counts.map((count) => count > 0 ? 1 / count : 0);

  const random = createRandom(size);
  const probe = Float64Array.from({ length: size }, (_, i) => counts[i]! > 0 ? random() - 0.5 : 0);
  const probed = new Float64Array(y.length);
  apply(design, probe, probed);
  const { x, rounds } = await solve(design, y, scale, pause);
  const { x: seen } = await solve(design, probed, scale, pause);
  const unseen = probe.map((value, i) => value - seen[i]!);

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
  const hidden = meansOf(unseen);
  return {
    rounds,
    adjusted: meansOf(x).map((mean, level) =>
      counts[starts[0]! + level] === 0 || Math.abs(hidden[level]!) > 1e-5 ? null : mean
    ),
  };
}
