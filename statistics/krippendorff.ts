/** How far raters agree: Krippendorff's alpha for ordinal stars, with an interval over content units. */
import type { Estimate } from "./paired.ts";
import { confidence, unitsMin } from "./paired.ts";
import { createRandom, drawWeights, quantileOf } from "./random.ts";

/** Stars are 1 to 5. */
export const starsMax = 5;
const pairsOf = starsMax * starsMax;

/**
 * Adds what an image says of agreement: how often a star met another star of it, each rating counted once.
 *
 * @param counts how many raters gave 1, 2, … 5
 * @param into 5 × 5
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
 * Alpha of a table of coincidences (Krippendorff, «Computing Krippendorff's Alpha-Reliability», 2011): 1 is agreement, 0
 * chance, below it worse than chance.
 *
 * @returns undefined where all stars are equal, or none met another: agreement has nothing to show itself by
 *
 * @example
 * ```ts
 * import { addCoincidences, alphaOf } from "./krippendorff.ts";
 * const table = new Float64Array(25);
 * addCoincidences([2, 0, 0, 0, 0], table);
 * addCoincidences([0, 0, 0, 0, 3], table);
 * if (alphaOf(table) !== 1) throw new Error();
 * ```
 */
export function alphaOf(coincidences: Float64Array): number | undefined {
  const totals = new Float64Array(starsMax);
  let n = 0;
  for (let i = 0; i < pairsOf; i++) {
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

/** Groups of units that are drawn together, where there are more units than this. */
export const blocksMax = 400;
const resamples = 1_000;

/**
 * Alpha with a bootstrap interval: content units are drawn anew with all their images, 1,000 times, with a fixed seed;
 * percentiles. Fewer than 6 units have no interval.
 *
 * @param tables coincidences of each unit, 25 numbers each, one after the other
 */
export function estimateAlpha(tables: Float64Array): Estimate | undefined {
  const units = tables.length / pairsOf;
  const blocks = Math.min(units, blocksMax);
  const grouped = new Float64Array(blocks * pairsOf);
  let filled = 0;
  for (let unit = 0; unit < units; unit++) {
    let any = false;
    for (let i = 0; i < pairsOf; i++) {
      const value = tables[unit * pairsOf + i]!;
      any ||= value > 0;
      grouped[unit % blocks * pairsOf + i]! += value;
    }
    if (any) filled++;
  }
  const table = new Float64Array(pairsOf);
  const sum = (weights: Uint16Array) => {
    table.fill(0);
    for (let block = 0; block < blocks; block++) {
      const weight = weights[block]!;
      if (weight === 0) continue;
      for (let i = 0; i < pairsOf; i++) table[i]! += weight * grouped[block * pairsOf + i]!;
    }
    return alphaOf(table);
  };
  const weights = new Uint16Array(blocks).fill(1);
  const value = sum(weights);
  if (value === undefined) return undefined;
  if (filled < unitsMin) return { value, low: null, high: null };
  const random = createRandom(units);
  const values: number[] = [];
  for (let i = 0; i < resamples; i++) {
    drawWeights(weights, random);
    const alpha = sum(weights);
    if (alpha !== undefined) values.push(alpha);
  }
  const tail = (1 - confidence) / 2;
  return { value, low: quantileOf(values, tail), high: quantileOf(values, 1 - tail) };
}
