/** Scores of an axis' levels from the ratings of a subset of a task's images. */
import { probabilityOfBest } from "./best_level.ts";
import { type Contrast, contrastWithBaseline } from "./contrast.ts";
import { starsMax } from "./krippendorff.ts";
import { type Factor, fitAdditive } from "./least_squares.ts";
import { type Estimate, testMean } from "./mean_tests.ts";
import { averageByUnit, type Design, meansOf, type Ratings, topTwoShares, type UnitScores } from "./units.ts";

export interface LevelScore {
  raters: number;
  ratings: number;
  images: number;
  units: number;
  /** Mean over units. */
  mean: Estimate | null;
  /** Adjusted mean: other axes, content and raters held equal. */
  adjusted: number | null;
  /** Share of ratings of 4 and 5 stars. */
  topTwo: Estimate | null;
  /** Shares of 1 to 5 stars, averaged in the same way as the mean. */
  distribution: number[] | null;
  /** Probability of being the best level. */
  best: number | null;
  /** Comparison with the baseline. */
  against: Contrast | null;
}

/** Input of an analysis: the design, the ratings and the options. */
export interface Analysis {
  design: Design;
  /** Other axes whose effects are removed, with the level of each cell. */
  others: Factor[];
  /** Numbers of the analysed cells, in ascending order. */
  cells: Int32Array;
  /** Ratings of the analysed cells. */
  ratings: Ratings;
  raters: number;
  /** Star counts of all cells, from `countStars`. */
  starCounts: Uint16Array;
  /** Level with which the others are compared. */
  baseline: number;
  pause: () => Promise<void>;
}

/** Counts raters, ratings and images of each level. */
function countRatings({ design, ratings, raters }: Analysis) {
  const hasRater = new Uint8Array(design.levels * raters);
  const hasImage = new Uint8Array(design.level.length);
  const totals = Array.from({ length: design.levels }, () => ({ raters: 0, ratings: 0, images: 0 }));
  for (let i = 0; i < ratings.cell.length; i++) {
    const cell = ratings.cell[i]!;
    const level = design.level[cell]!;
    if (level < 0 || design.unit[cell]! < 0) continue;
    const total = totals[level]!;
    total.ratings++;
    if (hasImage[cell] === 0) {
      hasImage[cell] = 1;
      total.images++;
    }
    const position = level * raters + ratings.rater[i]!;
    if (hasRater[position] === 0) {
      hasRater[position] = 1;
      total.raters++;
    }
  }
  return totals;
}

/** Renumbers the levels that occur, so that a factor has coefficients for these only. */
function compactLevels(of: Int32Array): Factor {
  let highest = -1;
  for (let i = 0; i < of.length; i++) if (of[i]! > highest) highest = of[i]!;
  const numbers = new Int32Array(highest + 2).fill(-1);
  const compact = new Int32Array(of.length);
  let levels = 0;
  for (let i = 0; i < of.length; i++) {
    // A cell without a value on the axis gets an extra level, numbered last.
    const level = of[i]! < 0 ? highest + 1 : of[i]!;
    if (numbers[level]! < 0) numbers[level] = levels++;
    compact[i] = numbers[level]!;
  }
  return { of: compact, levels };
}

/** Fits least squares to single ratings over the analysed axis, the other axes, the units and the raters. */
async function adjustMeans({ design, others, ratings, pause }: Analysis): Promise<(number | null)[]> {
  const cell = new Int32Array(ratings.cell.length);
  const rater = new Int32Array(ratings.cell.length);
  const stars = new Float64Array(ratings.cell.length);
  let n = 0;
  for (let i = 0; i < ratings.cell.length; i++) {
    const rated = ratings.cell[i]!;
    if (design.level[rated]! < 0 || design.unit[rated]! < 0) continue;
    cell[n] = rated;
    rater[n] = ratings.rater[i]!;
    stars[n] = ratings.stars[i]!;
    n++;
  }
  if (n === 0) return Array(design.levels).fill(null);
  const valuesByRating = (column: Int32Array) => {
    const values = new Int32Array(n);
    for (let i = 0; i < n; i++) values[i] = column[cell[i]!]!;
    return values;
  };
  const factors = [
    ...others.map(({ of }) => compactLevels(valuesByRating(of))),
    compactLevels(valuesByRating(design.unit)),
    compactLevels(rater.subarray(0, n)),
  ].filter(({ levels }) => levels > 1);
  await pause();
  const analysed = { of: valuesByRating(design.level), levels: design.levels };
  return (await fitAdditive(stars.subarray(0, n), [analysed, ...factors], pause)).adjusted;
}

/** Returns the number of random sign flips that a single answer can afford. */
const flipsFor = (scores: UnitScores): number =>
  Math.max(999, Math.min(9_999, Math.floor(5e6 / Math.max(1, scores.unit.length))));

/**
 * Scores the levels of an axis on the analysed cells.
 *
 * @param share fraction of the resamples to use; below 1 if one answer contains many analyses
 */
export async function scoreLevels(
  analysis: Analysis,
  share = 1,
): Promise<{ levels: LevelScore[]; scores: UnitScores }> {
  const { design, starCounts, baseline, pause } = analysis;
  const totals = countRatings(analysis);
  const scores = averageByUnit(design, starCounts, analysis.cells);
  await pause();
  const adjusted = await adjustMeans(analysis);
  const means = meansOf(scores);
  const tops = topTwoShares(scores);
  const flips = Math.max(499, Math.floor(flipsFor(scores) * share));
  const contrasts = await contrastWithBaseline(scores, design.units, baseline, flips, pause);
  const best = probabilityOfBest(
    { ...scores, means },
    design.units,
    Math.max(200, Math.floor(2_000 * share)),
  );
  await pause();
  const levels = totals.map((total, level): LevelScore => {
    const from = scores.starts[level]!;
    const to = scores.starts[level + 1]!;
    const distribution = Array.from({ length: starsMax }, (_, i) => {
      let sum = 0;
      for (let entry = from; entry < to; entry++) sum += scores.shares[entry * starsMax + i]!;
      return sum / (to - from);
    });
    return {
      ...total,
      units: to - from,
      mean: testMean(means.subarray(from, to)) ?? null,
      adjusted: adjusted[level] ?? null,
      topTwo: clampToShare(testMean(tops.subarray(from, to))),
      distribution: to > from ? distribution : null,
      best: best[level] ?? null,
      against: contrasts[level] ?? null,
    };
  });
  return { levels, scores };
}

/** Limits the interval of a share to 0 to 1. */
function clampToShare(estimate: Estimate | undefined): Estimate | null {
  if (!estimate) return null;
  const { value, low, high } = estimate;
  return {
    value,
    low: low === null ? null : Math.max(0, low),
    high: high === null ? null : Math.min(1, high),
  };
}
