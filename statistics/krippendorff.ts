/** Agreement of raters: Krippendorff's alpha for ordinal stars, with an interval over content units. */
import type { Estimate } from "./mean_tests.ts";
import { confidence, unitsMin } from "./mean_tests.ts";
import { createRandom, drawWeights, quantileOf } from "./random.ts";

/** Number of star values, 1 to 5. */
export const starsMax = 5;
const tableSize = starsMax * starsMax;

/**
 * Adds the coincidences of one image to a table: how often each pair of star values occurs among its raters.
 * Each rating has the total weight 1.
 *
 * @param counts number of raters per star value
 * @param into coincidence table, 5 × 5
 */
export function addCoincidences(counts: ArrayLike<number>, into: Float64Array): void {
  let n = 0;
  for (let i = 0; i < starsMax; i++) n += counts[i]!;
  if (n < 2) return;
  for (let i = 0; i < starsMax; i++) {
    if (counts[i] === 0) continue;
    for (let j = 0; j < starsMax; j++) {
      into[i * starsMax + j]! += counts[i]! * (counts[j]! - (i === j ? 1 : 0)) / (n - 1);
    }
  }
}

/**
 * Computes alpha from a coincidence table (Krippendorff, «Computing Krippendorff's Alpha-Reliability», 2011).
 * 1 is perfect agreement, 0 is agreement by chance, and negative values are worse than chance.
 *
 * @returns undefined if all stars are equal or no image has two ratings, so that agreement cannot be measured
 *
 * @example
 * ```ts
 * import { addCoincidences, computeAlpha } from "./krippendorff.ts";
 * const table = new Float64Array(25);
 * addCoincidences([2, 0, 0, 0, 0], table);
 * addCoincidences([0, 0, 0, 0, 3], table);
 * if (computeAlpha(table) !== 1) throw new Error();
 * ```
 */
export function computeAlpha(coincidences: Float64Array): number | undefined {
  const totals = new Float64Array(starsMax);
  let n = 0;
  for (let i = 0; i < tableSize; i++) {
    totals[Math.floor(i / starsMax)]! += coincidences[i]!;
    n += coincidences[i]!;
  }
  let observed = 0;
  let expected = 0;
  for (let i = 0; i < starsMax; i++) {
    let between = totals[i]! / 2;
    for (let j = i + 1; j < starsMax; j++) {
      between += totals[j]! / 2;
      const distance = between * between;
      between += totals[j]! / 2;
      observed += distance * coincidences[i * starsMax + j]!;
      expected += distance * totals[i]! * totals[j]!;
    }
  }
  return expected === 0 ? undefined : 1 - (n - 1) * observed / expected;
}

/** Maximum number of blocks in a bootstrap. More units than this are resampled in blocks. */
export const blocksMax = 400;
const resamples = 1_000;

/**
 * Estimates alpha with a percentile bootstrap interval: content units are resampled with all their images,
 * 1,000 times with a fixed seed. There is no interval for fewer than 6 units.
 *
 * @param tables concatenated coincidence tables of the units, 25 numbers each
 */
export function estimateAlpha(tables: Float64Array): Estimate | undefined {
  const units = tables.length / tableSize;
  const blocks = Math.min(units, blocksMax);
  const grouped = new Float64Array(blocks * tableSize);
  let nonEmpty = 0;
  for (let unit = 0; unit < units; unit++) {
    let hasPairs = false;
    for (let i = 0; i < tableSize; i++) {
      const value = tables[unit * tableSize + i]!;
      hasPairs ||= value > 0;
      grouped[unit % blocks * tableSize + i]! += value;
    }
    if (hasPairs) nonEmpty++;
  }
  const table = new Float64Array(tableSize);
  const weightedAlpha = (weights: Uint16Array) => {
    table.fill(0);
    for (let block = 0; block < blocks; block++) {
      const weight = weights[block]!;
      if (weight === 0) continue;
      for (let i = 0; i < tableSize; i++) table[i]! += weight * grouped[block * tableSize + i]!;
    }
    return computeAlpha(table);
  };
  const weights = new Uint16Array(blocks).fill(1);
  const value = weightedAlpha(weights);
  if (value === undefined) return undefined;
  if (nonEmpty < unitsMin) return { value, low: null, high: null };
  const random = createRandom(units);
  const values: number[] = [];
  for (let i = 0; i < resamples; i++) {
    drawWeights(weights, random);
    const alpha = weightedAlpha(weights);
    if (alpha !== undefined) values.push(alpha);
  }
  const tail = (1 - confidence) / 2;
  return { value, low: quantileOf(values, tail), high: quantileOf(values, 1 - tail) };
}
