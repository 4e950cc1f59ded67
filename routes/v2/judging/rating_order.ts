/** In which order images are best rated: pure, over a sample of a task's images. */
import type { Candidate } from "../../../db/judging/rating_queue.ts";

export const strategies = ["spread", "fewest", "decide"] as const;
export type Strategy = (typeof strategies)[number];

/** A cell's level on each axis; −1 where it has none. */
export type LevelsOf = (cell: number) => number[];

/** How often each level of each axis was met; an axis of many levels counts as much as one of few. */
class Levels {
  readonly #ids = new Map<string, number>();
  readonly #met: number[] = [];
  /** By level: how many its axis has. */
  readonly #weight: number[] = [];
  readonly #of = new Map<Candidate, number[]>();

  constructor(sample: Candidate[], levelsOf: LevelsOf) {
    const perAxis: number[] = [];
    const axes: number[] = [];
    for (const candidate of sample) {
      const ids = levelsOf(candidate.cell).flatMap((level, axis) => {
        if (level < 0) return [];
        const key = `${axis}:${level}`;
        const known = this.#ids.get(key);
        if (known !== undefined) return [known];
        const id = this.#met.push(0) - 1;
        this.#ids.set(key, id);
        axes.push(axis);
        perAxis[axis] = (perAxis[axis] ?? 0) + 1;
        return [id];
      });
      this.#of.set(candidate, ids);
    }
    this.#weight = axes.map((axis) => perAxis[axis]!);
  }

  meet(candidate: Candidate): void {
    for (const id of this.#of.get(candidate)!) this.#met[id]!++;
  }

  /** How well known the levels of an image are. */
  count(candidate: Candidate): number {
    let sum = 0;
    for (const id of this.#of.get(candidate)!) sum += this.#met[id]! * this.#weight[id]!;
    return sum;
  }
}

/** The images whose levels the rater has met least, each choice counted for the next. */
function spread(open: Candidate[], sample: Candidate[], levelsOf: LevelsOf, count: number): Candidate[] {
  const levels = new Levels(sample, levelsOf);
  for (const candidate of sample) if (candidate.rated) levels.meet(candidate);
  const left = new Set(open);
  const chosen: Candidate[] = [];
  while (chosen.length < count && left.size > 0) {
    let best = undefined as Candidate | undefined;
    let least = Infinity;
    for (const candidate of left) {
      const met = levels.count(candidate);
      if (met < least || met === least && candidate.rating_n < best!.rating_n) {
        best = candidate;
        least = met;
      }
    }
    levels.meet(best!);
    left.delete(best!);
    chosen.push(best!);
  }
  return chosen;
}

/** Variance of stars of which nothing is known: all of 1 to 5 alike. */
const unknownVariance = 2;

/** Mean and standard error of an image's stars, with one more, of the sample's mean, for what is not known. */
function estimate({ rating_n: n, rating_sum: sum, squares }: Candidate, usual: number) {
  const mean = (sum + usual) / (n + 1);
  const apart = (squares ?? 0) + usual ** 2 - (n + 1) * mean ** 2;
  const variance = (unknownVariance + Math.max(0, apart)) / (n + 1);
  return { mean, error: Math.sqrt(variance / (n + 1)) };
}

/** The images whose mean is least certain, and might as well be another's. */
function decide(open: Candidate[], sample: Candidate[]): Candidate[] {
  const n = sample.reduce((all, { rating_n }) => all + rating_n, 0);
  const usual = n === 0 ? 3 : sample.reduce((all, { rating_sum }) => all + rating_sum, 0) / n;
  const estimates = new Map(sample.map((candidate) => [candidate, estimate(candidate, usual)]));
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
  const doubt = (candidate: Candidate) => {
    const { mean, error } = estimates.get(candidate)!;
    return error * (countBelow(mean + error) - countBelow(mean - error));
  };
  const doubts = new Map(open.map((candidate) => [candidate, doubt(candidate)]));
  return open.toSorted((a, b) => doubts.get(b)! - doubts.get(a)!);
}

/**
 * The `count` images that are best rated next; ties by lot.
 *
 * @param sample images of the task, the rated ones too, in an order drawn by lot
 */
export function orderCandidates(
  sample: Candidate[],
  { strategy, levelsOf, count }: { strategy: Strategy; levelsOf: LevelsOf; count: number },
): Candidate[] {
  const open = sample.filter(({ rated }) => !rated);
  const unkept = open.filter(({ reserved }) => !reserved);
  const order = strategy === "spread"
    ? spread(unkept, sample, levelsOf, count)
    : strategy === "decide"
    ? decide(unkept, sample)
    : unkept.toSorted((a, b) => a.rating_n - b.rating_n);
  const kept = open.filter(({ reserved }) => reserved);
  return [...order, ...kept].slice(0, count);
}
