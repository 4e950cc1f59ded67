/** One level against another on the units that they share. */
import { starsMax } from "./krippendorff.ts";
import { flipSigns, testMean, type TTest } from "./paired.ts";
import { meansOf, type Scores } from "./units.ts";

export interface Contrast extends TTest {
  /** By sign flips; null without an interval. */
  flipped: number | null;
  /** Whether all flips were tried. */
  exact: boolean;
  /** P(A > B) + ½ P(A = B) of a rating of each, in one unit. */
  better: number;
}

/** Of each unit, its entry of a level; −1 for none. */
function entriesOf({ unit, starts }: Scores, level: number, units: number): Int32Array {
  const entries = new Int32Array(units).fill(-1);
  for (let i = starts[level]!; i < starts[level + 1]!; i++) entries[unit[i]!] = i;
  return entries;
}

/** That a rating of one is above one of the other, a tie counted half. */
function betterOf(shares: Float64Array, a: number, b: number): number {
  let better = 0;
  let below = 0;
  for (let i = 0; i < starsMax; i++) {
    const other = shares[b * starsMax + i]!;
    better += shares[a * starsMax + i]! * (below + other / 2);
    below += other;
  }
  return better;
}

/**
 * Each level against `baseline`: mean of the differences over shared units, by Student's t and by sign flips.
 *
 * @param flips drawn beyond 12 units
 * @param pause lets others have their turn
 * @returns null for the baseline itself, and for a level that shares no unit with it
 */
export async function compareWith(
  scores: Scores,
  units: number,
  baseline: number,
  flips = 9_999,
  pause: () => Promise<void> = () => Promise.resolve(),
): Promise<(Contrast | null)[]> {
  const means = meansOf(scores);
  const base = entriesOf(scores, baseline, units);
  const compareLevel = (level: number): Contrast | null => {
    if (level === baseline) return null;
    const differences: number[] = [];
    let better = 0;
    for (let i = scores.starts[level]!; i < scores.starts[level + 1]!; i++) {
      const other = base[scores.unit[i]!]!;
      if (other < 0) continue;
      differences.push(means[i]! - means[other]!);
      better += betterOf(scores.shares, i, other);
    }
    const test = testMean(differences);
    if (!test) return null;
    const flipped = test.p === null ? undefined : flipSigns(differences, flips);
    return {
      ...test,
      flipped: flipped?.p ?? null,
      exact: flipped?.exact ?? false,
      better: better / differences.length,
    };
  };
  const contrasts: (Contrast | null)[] = [];
  for (let level = 0; level + 1 < scores.starts.length; level++) {
    contrasts.push(compareLevel(level));
    await pause();
  }
  return contrasts;
}

/** Whether the mean says that a level is better and the order of single ratings that it is worse, or the reverse. */
export const disagrees = ({ value, better }: { value: number; better: number }): boolean =>
  Math.abs(value) > 1e-9 && Math.abs(better - 0.5) > 1e-9 && value > 0 !== better > 0.5;
