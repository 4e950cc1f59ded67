/** How likely each level is the best one. */
import { blocksMax } from "./krippendorff.ts";
import { unitsMin } from "./paired.ts";
import { createRandom, drawWeights } from "./random.ts";

/** Unit means by level: entries ordered by level, as `Scores` has them. */
export interface UnitMeans {
  unit: Int32Array;
  starts: Int32Array;
  means: Float64Array;
}

/** Units in which every level that has any entry has one. */
function findWhole({ unit, starts }: UnitMeans, units: number): Set<number> {
  const count = new Uint16Array(units);
  for (const u of unit) count[u]!++;
  let levels = 0;
  for (let a = 0; a + 1 < starts.length; a++) if (starts[a + 1]! > starts[a]!) levels++;
  return new Set(Array.from(count.keys()).filter((u) => count[u] === levels));
}

/**
 * P(best) by a bootstrap over units with a fixed seed: the share of resamples in which a level's mean is the highest, ties
 * shared. On units that have all levels, where there are 6 of those; more than 400 units are drawn in groups.
 *
 * @param resamples at most; fewer where there are many levels
 * @returns null for each level without entries, and for all where units are fewer than 6
 *
 * @example
 * ```ts
 * import { chanceOfBest } from "./best.ts";
 * const unit = Int32Array.of(0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5);
 * const means = Float64Array.of(1, 2, 3, 2, 1, 3, 2, 3, 4, 3, 2, 4);
 * const [a, b] = chanceOfBest({ unit, starts: Int32Array.of(0, 6, 12), means }, 6);
 * if (a !== 0 || b !== 1) throw new Error();
 * ```
 */
export function chanceOfBest(scores: UnitMeans, units: number, resamples = 2_000): (number | null)[] {
  const { unit, starts, means } = scores;
  const levels = starts.length - 1;
  const whole = findWhole(scores, units);
  const used = whole.size >= unitsMin ? whole : new Set(unit);
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
  const won = new Float64Array(levels);
  const drawn = new Float64Array(levels);
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
      const mean = drawn[a] = count > 0 ? sum / count : -Infinity;
      if (mean > best + 1e-9) {
        best = mean;
        ties = 1;
      } else if (mean > best - 1e-9) ties++;
    }
    for (let a = 0; a < levels; a++) if (drawn[a]! > best - 1e-9) won[a]! += 1 / ties;
  }
  return Array.from(won, (count, a) => starts[a] === starts[a + 1] ? null : count / draws);
}
