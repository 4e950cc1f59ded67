/** Comparison of a level with a baseline on their shared units. */
import { starsMax } from "./krippendorff.ts";
import { flipSigns, testMean, type TTest } from "./mean_tests.ts";
import { meansOf, type UnitScores } from "./units.ts";

export interface Contrast extends TTest {
  /** p-value of the sign-flip test; null if there is no interval. */
  signFlipP: number | null;
  /** Whether the sign-flip test enumerated all flips. */
  isExact: boolean;
  /** Probability of superiority, P(A > B) + ½ P(A = B), for one rating of each level in the same unit. */
  superiority: number;
}

/** Returns for each unit the position of its entry for a level; −1 if it has none. */
function entriesOf({ unit, starts }: UnitScores, level: number, units: number): Int32Array {
  const entries = new Int32Array(units).fill(-1);
  for (let i = starts[level]!; i < starts[level + 1]!; i++) entries[unit[i]!] = i;
  return entries;
}

/** Returns the probability that a rating of entry `a` exceeds one of entry `b`; a tie counts half. */
function probabilityOfSuperiority(shares: Float64Array, a: number, b: number): number {
  let superiority = 0;
  let below = 0;
  for (let i = 0; i < starsMax; i++) {
    const other = shares[b * starsMax + i]!;
    superiority += shares[a * starsMax + i]! * (below + other / 2);
    below += other;
  }
  return superiority;
}

/**
 * Compares each level with the baseline: the mean difference over shared units, with Student's t test and
 * sign flips.
 *
 * @param flips number of random sign flips, used for more than 12 units
 * @param pause yields to other requests
 * @returns null for the baseline itself and for a level that shares no unit with it
 */
export async function contrastWithBaseline(
  scores: UnitScores,
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
    let superiority = 0;
    for (let i = scores.starts[level]!; i < scores.starts[level + 1]!; i++) {
      const other = base[scores.unit[i]!]!;
      if (other < 0) continue;
      differences.push(means[i]! - means[other]!);
      superiority += probabilityOfSuperiority(scores.shares, i, other);
    }
    const test = testMean(differences);
    if (!test) return null;
    const signFlipTest = test.p === null ? undefined : flipSigns(differences, flips);
    return {
      ...test,
      signFlipP: signFlipTest?.p ?? null,
      isExact: signFlipTest?.exact ?? false,
      superiority: superiority / differences.length,
    };
  };
  const contrasts: (Contrast | null)[] = [];
  for (let level = 0; level + 1 < scores.starts.length; level++) {
    contrasts.push(compareLevel(level));
    await pause();
  }
  return contrasts;
}

/** Reports whether the mean difference and the probability of superiority point in opposite directions. */
export const conflicts = ({ value, superiority }: Pick<Contrast, "value" | "superiority">): boolean =>
  Math.abs(value) > 1e-9 && Math.abs(superiority - 0.5) > 1e-9 && value > 0 !== superiority > 0.5;
