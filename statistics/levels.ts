/** All that is said of the levels of an axis by the ratings of some of a task's images. */
import { chanceOfBest } from "./best.ts";
import { compareWith, type Contrast } from "./contrast.ts";
import { starsMax } from "./krippendorff.ts";
import { type Factor, fitAdditive } from "./least_squares.ts";
import { type Estimate, testMean } from "./paired.ts";
import { type Layout, meansOf, type Ratings, type Scores, scoreUnits, topTwoOf } from "./units.ts";

export interface LevelScore {
  raters: number;
  ratings: number;
  images: number;
  units: number;
  /** Over units. */
  mean: Estimate | null;
  /** With all other axes, the content and the raters held equal. */
  adjusted: number | null;
  topTwo: Estimate | null;
  /** Shares of 1 to 5 stars, averaged as the mean is. */
  distribution: number[] | null;
  best: number | null;
  against: Contrast | null;
}

export interface Question {
  layout: Layout;
  /** Other axes whose effects are taken off: of each cell its level. */
  others: Factor[];
  ratings: Ratings;
  raters: number;
  /** `countStars` of the ratings. */
  counts: Uint16Array;
  /** Level that others are compared with. */
  baseline: number;
  pause: () => Promise<void>;
}

/** Raters, ratings and images of each level. */
function tally({ layout, ratings, raters }: Question, chosen: Uint8Array) {
  const seen = new Uint8Array(layout.levels * raters);
  const seenImages = new Uint8Array(chosen.length);
  const numbers = Array.from({ length: layout.levels }, () => ({ raters: 0, ratings: 0, images: 0 }));
  for (let i = 0; i < ratings.cell.length; i++) {
    const cell = ratings.cell[i]!;
    const level = layout.level[cell]!;
    if (chosen[cell] === 0 || level < 0 || layout.unit[cell]! < 0) continue;
    const number = numbers[level]!;
    number.ratings++;
    if (seenImages[cell] === 0) {
      seenImages[cell] = 1;
      number.images++;
    }
    const at = level * raters + ratings.rater[i]!;
    if (seen[at] === 0) {
      seen[at] = 1;
      number.raters++;
    }
  }
  return numbers;
}

/** Numbers only the levels that are met: a factor's unknowns are those. */
function shorten(of: Int32Array): Factor {
  let most = -1;
  for (let i = 0; i < of.length; i++) if (of[i]! > most) most = of[i]!;
  const known = new Int32Array(most + 2).fill(-1);
  const short = new Int32Array(of.length);
  let levels = 0;
  for (let i = 0; i < of.length; i++) {
    // A cell without a value on an axis has the last of its numbers.
    const level = of[i]! < 0 ? most + 1 : of[i]!;
    if (known[level]! < 0) known[level] = levels++;
    short[i] = known[level]!;
  }
  return { of: short, levels };
}

/** Least squares over the asked axis, the other axes, the units and the raters, on each rating. */
async function adjust(
  { layout, others, ratings, pause }: Question,
  chosen: Uint8Array,
): Promise<(number | null)[]> {
  const cell = new Int32Array(ratings.cell.length);
  const rater = new Int32Array(ratings.cell.length);
  const stars = new Float64Array(ratings.cell.length);
  let n = 0;
  for (let i = 0; i < ratings.cell.length; i++) {
    const at = ratings.cell[i]!;
    if (chosen[at] !== 1 || layout.level[at]! < 0 || layout.unit[at]! < 0) continue;
    cell[n] = at;
    rater[n] = ratings.rater[i]!;
    stars[n++] = ratings.stars[i]!;
  }
  if (n === 0) return Array(layout.levels).fill(null);
  const ofCell = (column: Int32Array) => {
    const of = new Int32Array(n);
    for (let i = 0; i < n; i++) of[i] = column[cell[i]!]!;
    return of;
  };
  const factors = [
    ...others.map(({ of }) => shorten(ofCell(of))),
    shorten(ofCell(layout.unit)),
    shorten(rater.subarray(0, n)),
  ].filter(({ levels }) => levels > 1);
  await pause();
  const asked = { of: ofCell(layout.level), levels: layout.levels };
  return (await fitAdditive(stars.subarray(0, n), [asked, ...factors], pause)).adjusted;
}

/** Resamples and flips of one answer, as far as its levels and units allow without taking long. */
const flipsFor = (scores: Scores): number =>
  Math.max(999, Math.min(9_999, Math.floor(5e6 / Math.max(1, scores.unit.length))));

/**
 * @param chosen 1 for each cell that counts
 * @param share of the resamples, where many such questions are asked at once
 */
export async function scoreLevels(
  question: Question,
  chosen: Uint8Array,
  share = 1,
): Promise<{ levels: LevelScore[]; scores: Scores }> {
  const { layout, counts, baseline, pause } = question;
  const numbers = tally(question, chosen);
  const scores = scoreUnits(layout, counts, chosen);
  await pause();
  const adjusted = await adjust(question, chosen);
  const means = meansOf(scores);
  const tops = topTwoOf(scores);
  const flips = Math.max(499, Math.floor(flipsFor(scores) * share));
  const contrasts = await compareWith(scores, layout.units, baseline, flips, pause);
  const best = chanceOfBest({ ...scores, means }, layout.units, Math.max(200, Math.floor(2_000 * share)));
  await pause();
  const levels = numbers.map((number, level): LevelScore => {
    const from = scores.starts[level]!;
    const to = scores.starts[level + 1]!;
    const distribution = Array.from({ length: starsMax }, (_, i) => {
      let sum = 0;
      for (let entry = from; entry < to; entry++) sum += scores.shares[entry * starsMax + i]!;
      return sum / (to - from);
    });
    return {
      ...number,
      units: to - from,
      mean: testMean(means.subarray(from, to)) ?? null,
      adjusted: adjusted[level] ?? null,
      topTwo: within(testMean(tops.subarray(from, to))),
      distribution: to > from ? distribution : null,
      best: best[level] ?? null,
      against: contrasts[level] ?? null,
    };
  });
  return { levels, scores };
}

/** A share is between 0 and 1, whatever its interval. */
function within(estimate: Estimate | undefined): Estimate | null {
  if (!estimate) return null;
  const { value, low, high } = estimate;
  return {
    value,
    low: low === null ? null : Math.max(0, low),
    high: high === null ? null : Math.min(1, high),
  };
}
