/** How many further ratings decide a difference. */

/** Number of images above which no budget is given. */
const imagesMax = 1_000_000;

/**
 * Estimates how many further rated images would make the 95 % interval of a difference exclude 0, if the difference and
 * the spread stay as they are: an interval narrows with the square root of the number of images.
 *
 * @param images number of rated images of both levels
 * @returns null if there is no interval, if it excludes 0 already, or if a million images would not be enough
 *
 * @example
 * ```ts
 * import { estimateImagesToDecide } from "./budget.ts";
 *
 * const more = estimateImagesToDecide({ value: 0.5, low: -0.5, high: 1.5 }, 20);
 * if (more !== 60) throw new Error("half as wide an interval needs four times the images");
 * ```
 */
export function estimateImagesToDecide(
  { value, low, high }: { value: number; low: number | null; high: number | null },
  images: number,
): number | null {
  if (low === null || high === null || low > 0 || high < 0) return null;
  const ratio = (high - low) / 2 / Math.abs(value);
  const more = Math.ceil(images * (ratio ** 2 - 1));
  return more > 0 && more <= imagesMax ? more : null;
}
