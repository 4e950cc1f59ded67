/** Order in which images are offered for rating; pure, over a sample of a task's images. */
import type { Candidate } from "../../../db/judging/rating_queue.ts";

export const strategies = ["spread", "fewest", "decide"] as const;
export type Strategy = (typeof strategies)[number];

/** Returns a cell's level on each axis; −1 where it has none. */
export type LevelsOf = (cell: number) => number[];

/**
 * Counts how often the rater has seen each level. Axes have equal weight, regardless of their number of
 * levels.
 */
class LevelCounts {
  readonly #ids = new Map<string, number>();
  readonly #counts: number[] = [];
  /** Number of levels of the level's axis, by level id. */
  readonly #weights: number[] = [];
  readonly #levelIds = new Map<Candidate, number[]>();

  constructor(sample: Candidate[], levelsOf: LevelsOf) {
    const levelsPerAxis: number[] = [];
    const axisOfLevel: number[] = [];
    for (const candidate of sample) {
      const ids = levelsOf(candidate.cell).flatMap((level, axis) => {
        if (level < 0) return [];
        const key = `${axis}:${level}`;
        const known = this.#ids.get(key);
        if (known !== undefined) return [known];
        const id = this.#counts.push(0) - 1;
        this.#ids.set(key, id);
        axisOfLevel.push(axis);
        levelsPerAxis[axis] = (levelsPerAxis[axis] ?? 0) + 1;
        return [id];
      });
      this.#levelIds.set(candidate, ids);
    }
    this.#weights = axisOfLevel.map((axis) => levelsPerAxis[axis]!);
  }

  /** Counts the levels of an image as seen. */
  add(candidate: Candidate): void {
    for (const id of this.#levelIds.get(candidate)!) this.#counts[id]!++;
  }

  /** Returns the weighted number of times that the levels of an image were seen. */
  count(candidate: Candidate): number {
    let sum = 0;
    for (const id of this.#levelIds.get(candidate)!) sum += this.#counts[id]! * this.#weights[id]!;
    return sum;
  }
}

/** Chooses images whose levels the rater has seen least, counting each choice before the next. */
function spread(open: Candidate[], sample: Candidate[], levelsOf: LevelsOf, count: number): Candidate[] {
  const levels = new LevelCounts(sample, levelsOf);
  for (const candidate of sample) if (candidate.rated) levels.add(candidate);
  const left = new Set(open);
  const chosen: Candidate[] = [];
  while (chosen.length < count && left.size > 0) {
    let best = undefined as Candidate | undefined;
    let lowest = Infinity;
    for (const candidate of left) {
      const seen = levels.count(candidate);
      if (seen < lowest || seen === lowest && candidate.rating_n < best!.rating_n) {
        best = candidate;
        lowest = seen;
      }
    }
    levels.add(best!);
    left.delete(best!);
    chosen.push(best!);
  }
  return chosen;
}

/** Variance of uniformly distributed stars from 1 to 5, assumed without ratings. */
const unknownVariance = 2;

/** Estimates the mean and standard error of an image's stars, with one prior observation at `priorMean`. */
function estimate({ rating_n: n, rating_sum: sum, squares }: Candidate, priorMean: number) {
  const mean = (sum + priorMean) / (n + 1);
  const squaredDeviations = (squares ?? 0) + priorMean ** 2 - (n + 1) * mean ** 2;
  const variance = (unknownVariance + Math.max(0, squaredDeviations)) / (n + 1);
  return { mean, error: Math.sqrt(variance / (n + 1)) };
}

/** Orders images by the uncertainty of their mean and of their rank among the others. */
function decide(open: Candidate[], sample: Candidate[]): Candidate[] {
  const n = sample.reduce((all, { rating_n }) => all + rating_n, 0);
  const priorMean = n === 0 ? 3 : sample.reduce((all, { rating_sum }) => all + rating_sum, 0) / n;
  const estimates = new Map(sample.map((candidate) => [candidate, estimate(candidate, priorMean)]));
  const means = [...estimates.values()].map(({ mean }) => mean).toSorted((a, b) => a - b);
  const countBelow = (limit: number) => {
    let low = 0;
    let high = means.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (means[middle]! < limit) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const uncertaintyOf = (candidate: Candidate) => {
    const { mean, error } = estimates.get(candidate)!;
    return error * (countBelow(mean + error) - countBelow(mean - error));
  };
  const uncertainties = new Map(open.map((candidate) => [candidate, uncertaintyOf(candidate)]));
  return open.toSorted((a, b) => uncertainties.get(b)! - uncertainties.get(a)!);
}

/**
 * Returns the `count` images to rate next. Ties are random, and images that are reserved for others come
 * last.
 *
 * @param sample images of the task, including rated ones, in random order
 */
export function orderCandidates(
  sample: Candidate[],
  { strategy, levelsOf, count }: { strategy: Strategy; levelsOf: LevelsOf; count: number },
): Candidate[] {
  const open = sample.filter(({ rated }) => !rated);
  const available = open.filter(({ reserved }) => !reserved);
  const ordered = strategy === "spread"
    ? spread(available, sample, levelsOf, count)
    : strategy === "decide"
    ? decide(available, sample)
    : available.toSorted((a, b) => a.rating_n - b.rating_n);
  const reserved = open.filter(({ reserved }) => reserved);
  return [...ordered, ...reserved].slice(0, count);
}
