/** Raters' biases and inconsistencies, as ITU-T P.913 has them. */

/** Ratings of images, in no order: of each its image, its rater and its stars. */
export interface RatingColumns {
  image: ArrayLike<number>;
  rater: ArrayLike<number>;
  stars: ArrayLike<number>;
  images: number;
  raters: number;
}

export interface RaterTraits {
  /** Images of theirs that another rated too. */
  shared: number;
  /** How many stars more they give than all do; null without shared images. */
  bias: number | null;
  /** Deviation of their stars from the images' means once the bias is taken off; null as above. */
  inconsistency: number | null;
}

/**
 * Bias: the mean over a rater's images of rating − mean of the image (ITU-T P.913 §12.4). Inconsistency: the deviation of
 * what remains (as in the first step of the joint estimate of P.910 Annex E). Its further steps are not gone: with as few
 * raters as there are here they end at the one nearest to the mean, who then counts alone. Images with one rater say
 * nothing of raters and are left out.
 *
 * @example
 * ```ts
 * import { judgeRaters } from "./raters.ts";
 * const [a, b] = judgeRaters({
 *   image: [0, 0, 1, 1, 2],
 *   rater: [0, 1, 0, 1, 1],
 *   stars: [2, 4, 3, 5, 5],
 *   images: 3,
 *   raters: 2,
 * });
 * if (a!.bias !== -1 || b!.bias !== 1 || b!.inconsistency !== 0 || b!.shared !== 2) throw new Error();
 * ```
 */
export function judgeRaters({ image, rater, stars, images, raters }: RatingColumns): RaterTraits[] {
  const count = new Uint32Array(images);
  const mean = new Float64Array(images);
  for (let i = 0; i < stars.length; i++) {
    count[image[i]!]!++;
    mean[image[i]!]! += stars[i]!;
  }
  for (let j = 0; j < images; j++) mean[j]! /= count[j] || 1;
  const shared = new Uint32Array(raters);
  const sum = new Float64Array(raters);
  const squares = new Float64Array(raters);
  for (let i = 0; i < stars.length; i++) {
    if (count[image[i]!]! < 2) continue;
    const above = stars[i]! - mean[image[i]!]!;
    shared[rater[i]!]!++;
    sum[rater[i]!]! += above;
    squares[rater[i]!]! += above * above;
  }
  return Array.from({ length: raters }, (_, r) => {
    const n = shared[r]!;
    if (n === 0) return { shared: 0, bias: null, inconsistency: null };
    const bias = sum[r]! / n;
    return { shared: n, bias, inconsistency: Math.sqrt(Math.max(0, squares[r]! / n - bias * bias)) };
  });
}
