/** Probability that a level is the best one. */
import { blocksMax } from "./krippendorff.ts";
import { unitsMin } from "./mean_tests.ts";
import { createRandom, drawWeights } from "./random.ts";

/** Means of units by level. Entries are ordered by level, as in `UnitScores`. */
export interface UnitMeans {
  unit: Int32Array;
  starts: Int32Array;
  means: Float64Array;
}

/** Finds the units that have an entry for every level that has any entry. */
function findCompleteUnits({ unit, starts }: UnitMeans, units: number): Set<number> {
  const count = new Uint16Array(units);
  for (const u of unit) count[u]!++;
  let levels = 0;
  for (let a = 0; a + 1 < starts.length; a++) if (starts[a + 1]! > starts[a]!) levels++;
  return new Set(Array.from(count.keys()).filter((u) => count[u] === levels));
}

/**
 * Estimates for each level the probability of being the best, P(best). A bootstrap over units with a fixed
 * seed counts how often the mean of a level is the highest; ties share the count. Only units that have all
 * levels are used if there are at least 6 of them. More than 400 units are resampled in blocks.
 *
 * @param resamples maximum number of resamples; fewer are drawn if there are many levels
 * @returns null for a level without entries, and for all levels if there are fewer than 6 units
 *
 * @example
 * ```ts
 * import { probabilityOfBest } from "./best_level.ts";
 * const unit = Int32Array.of(0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5);
 * const means = Float64Array.of(1, 2, 3, 2, 1, 3, 2, 3, 4, 3, 2, 4);
 * const [a, b] = probabilityOfBest({ unit, starts: Int32Array.of(0, 6, 12), means }, 6);
 * if (a !== 0 || b !== 1) throw new Error();
 * ```
 */
export function probabilityOfBest(scores: UnitMeans, units: number, resamples = 2_000): (number | null)[] {
  const { unit, starts, means } = scores;
  const levels = starts.length - 1;
  const complete = findCompleteUnits(scores, units);
  const used = complete.size >= unitsMin ? complete : new Set(unit);
  if (used.size < unitsMin) return Array(levels).fill(null);
  const blocks = Math.min(used.size, blocksMax);
  const blockOf = new Map([...used].sort((a, b) => a - b).map((u, i) => [u, i % blocks]));
  const sums = new Float64Array(levels * blocks);
  const counts = new Float64Array(levels * blocks);
  for (let a = 0; a < levels; a++) {
    for (let i = starts[a]!; i < starts[a + 1]!; i++) {
      const block = blockOf.get(unit[i]!);
      if (block === undefined) continue;
      sums[a * blocks + block]! += means[i]!;
      counts[a * blocks + block]! += 1;
    }
  }
  const draws = Math.max(200, Math.min(resamples, Math.floor(5e6 / (levels * blocks))));
  const random = createRandom(units);
  const weights = new Uint16Array(blocks);
  const wins = new Float64Array(levels);
  const resampledMeans = new Float64Array(levels);
  for (let draw = 0; draw < draws; draw++) {
    drawWeights(weights, random);
    let best = -Infinity;
    let ties = 0;
    for (let a = 0; a < levels; a++) {
      let sum = 0;
      let count = 0;
      for (let block = 0, at = a * blocks; block < blocks; block++, at++) {
        sum += weights[block]! * sums[at]!;
        count += weights[block]! * counts[at]!;
      }
      const mean = count > 0 ? sum / count : -Infinity;
      resampledMeans[a] = mean;
      if (mean > best + 1e-9) {
        best = mean;
        ties = 1;
      } else if (mean > best - 1e-9) ties++;
    }
    for (let a = 0; a < levels; a++) if (resampledMeans[a]! > best - 1e-9) wins[a]! += 1 / ties;
  }
  return Array.from(wins, (count, a) => starts[a] === starts[a + 1] ? null : count / draws);
}
