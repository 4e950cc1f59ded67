/** Bias and inconsistency of raters, after ITU-T P.913. */

/** Ratings as columns in any order: image, rater and stars of each. */
export interface RatingColumns {
  image: ArrayLike<number>;
  rater: ArrayLike<number>;
  stars: ArrayLike<number>;
  images: number;
  raters: number;
}

export interface RaterTraits {
  /** Number of the rater's images that another rater rated too. */
  shared: number;
  /** Mean deviation, in stars, from the images' means; null without shared images. */
  bias: number | null;
  /**
   * Standard deviation, in stars, from the images' means after removing the bias; null without shared images.
   */
  inconsistency: number | null;
}

/**
 * Estimates each rater's bias and inconsistency. The bias is the mean over the rater's images of rating −
 * mean of the image (ITU-T P.913 §12.4). The inconsistency is the standard deviation of the remainder, as in
 * the first step of the joint estimate of P.910 Annex E. The further steps are omitted: with few raters they
 * converge to the single rater nearest to the mean. Images with one rater say nothing about raters and are
 * left out.
 *
 * @example
 * ```ts
 * import { estimateRaterTraits } from "./raters.ts";
 * const [a, b] = estimateRaterTraits({
 *   image: [0, 0, 1, 1, 2],
 *   rater: [0, 1, 0, 1, 1],
 *   stars: [2, 4, 3, 5, 5],
 *   images: 3,
 *   raters: 2,
 * });
 * if (a!.bias !== -1 || b!.bias !== 1 || b!.inconsistency !== 0 || b!.shared !== 2) throw new Error();
 * ```
 */
export function estimateRaterTraits({ image, rater, stars, images, raters }: RatingColumns): RaterTraits[] {
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
    const deviation = stars[i]! - mean[image[i]!]!;
    shared[rater[i]!]!++;
    sum[rater[i]!]! += deviation;
    squares[rater[i]!]! += deviation * deviation;
  }
  return Array.from({ length: raters }, (_, r) => {
    const n = shared[r]!;
    if (n === 0) return { shared: 0, bias: null, inconsistency: null };
    const bias = sum[r]! / n;
    return { shared: n, bias, inconsistency: Math.sqrt(Math.max(0, squares[r]! / n - bias * bias)) };
  });
}
