/**
 * Compares levels by pairwise votes with the model of Bradley and Terry (1952). Elo is not used because its
 * result depends on the order of the votes.
 */
import { tQuantile, tTails, zQuantile } from "./distributions.ts";
import { invert, multiply } from "./linear_algebra.ts";
import { adjustHolm } from "./multiple_testing.ts";
import { confidence, unitsMin } from "./mean_tests.ts";

/** A vote between two levels. `score` is 1 if `a` won, 0 if `b` won and 0.5 for a tie. */
export interface Vote {
  a: number;
  b: number;
  score: number;
  /** Id of the cluster (a content unit). Votes of one cluster are not independent. */
  cluster: number;
}

/** Precision of the normal prior around 0. Its standard deviation is √5; about twelve votes outweigh it. */
export const priorPrecision = 0.2;

const logistic = (x: number) => 1 / (1 + Math.exp(-x));

interface BradleyTerryFit {
  /** Log-odds of each level against the average level; they sum to 0. */
  strengths: Float64Array;
  /** Covariance matrix of the strengths, row by row. */
  covariance: Float64Array;
  /**
   * Number of clusters behind the covariance; 0 if it comes from the likelihood, which treats votes as
   * independent.
   */
  clusters: number;
}

/**
 * Counts votes and wins for each pair of levels, so that each step of the fit works on pairs instead of
 * votes.
 */
function countWins(votes: readonly Vote[], levels: number) {
  const n = new Float64Array(levels * levels);
  const wins = new Float64Array(levels * levels);
  for (const { a, b, score } of votes) {
    const [low, high] = a < b ? [a, b] : [b, a];
    n[low * levels + high]! += 1;
    wins[low * levels + high]! += a < b ? score : 1 - score;
  }
  return { n, wins };
}

/** Returns the gradient and the information matrix (the negative Hessian) of the penalised log-likelihood. */
function differentiate({ n, wins }: ReturnType<typeof countWins>, prior: number, strengths: Float64Array) {
  const levels = strengths.length;
  const gradient = strengths.map((strength) => -prior * strength);
  const information = new Float64Array(levels * levels);
  for (let a = 0; a < levels; a++) information[a * levels + a] = prior;
  for (let a = 0; a < levels; a++) {
    for (let b = a + 1; b < levels; b++) {
      const count = n[a * levels + b]!;
      if (count === 0) continue;
      const p = logistic(strengths[a]! - strengths[b]!);
      const residual = wins[a * levels + b]! - count * p;
      const weight = count * p * (1 - p);
      gradient[a]! += residual;
      gradient[b]! -= residual;
      information[a * levels + a]! += weight;
      information[b * levels + b]! += weight;
      information[a * levels + b]! -= weight;
      information[b * levels + a]! -= weight;
    }
  }
  return { gradient, information };
}

/** Maximises the penalised likelihood by Newton's method with a limited step length. */
function maximise(votes: readonly Vote[], levels: number, prior: number) {
  const strengths = new Float64Array(levels);
  const counts = countWins(votes, levels);
  for (let step = 0;; step++) {
    const { gradient, information } = differentiate(counts, prior, strengths);
    const inverse = invert(information, levels);
    const change = multiply(inverse, gradient);
    const longest = change.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (longest < 1e-10 || step === 100) return { strengths, inverse };
    for (let i = 0; i < levels; i++) strengths[i]! += change[i]! * Math.min(1, 2 / longest);
  }
}

/** Returns the cluster-robust covariance (Liang and Zeger 1986), corrected for a small number of clusters. */
function clusterCovariance(
  votes: readonly Vote[],
  strengths: Float64Array,
  inverse: Float64Array,
  count: number,
) {
  const levels = strengths.length;
  const scores = new Map<number, Float64Array>();
  for (const { a, b, score, cluster } of votes) {
    const sum = scores.get(cluster) ?? new Float64Array(levels);
    scores.set(cluster, sum);
    const residual = score - logistic(strengths[a]! - strengths[b]!);
    sum[a]! += residual;
    sum[b]! -= residual;
  }
  const covariance = new Float64Array(levels * levels);
  for (const score of scores.values()) {
    const influence = multiply(inverse, score);
    for (let i = 0; i < levels; i++) {
      if (influence[i] === 0) continue;
      for (let j = 0; j < levels; j++) {
        covariance[i * levels + j]! += influence[i]! * influence[j]! * count / (count - 1);
      }
    }
  }
  return covariance;
}

/**
 * Fits strengths by penalised maximum likelihood. A tie counts as half a win for each level. The prior keeps
 * the strength of a level that always wins finite. The covariance is cluster-robust if there are at least 6
 * clusters; otherwise it is the inverse information matrix.
 *
 * @param votes each between two different levels, without skipped votes
 *
 * @example
 * ```ts
 * import { fitBradleyTerry } from "./bradley_terry.ts";
 * const votes = [1, 1, 1, 0].map((score, cluster) => ({ a: 0, b: 1, score, cluster }));
 * const { strengths } = fitBradleyTerry(votes, 2, 0);
 * // Three of four won: the odds are 3 to 1.
 * if (Math.abs(strengths[0]! - strengths[1]! - Math.log(3)) > 1e-6) throw new Error();
 * ```
 */
export function fitBradleyTerry(
  votes: readonly Vote[],
  levels: number,
  prior = priorPrecision,
): BradleyTerryFit {
  // Without a prior the average strength is undetermined; a tiny prior fixes it at 0.
  const { strengths, inverse } = maximise(votes, levels, Math.max(prior, 1e-9));
  const count = new Set(votes.map(({ cluster }) => cluster)).size;
  return count < unitsMin
    ? { strengths, covariance: inverse, clusters: 0 }
    : { strengths, covariance: clusterCovariance(votes, strengths, inverse, count), clusters: count };
}

const criticalValue = (clusters: number) =>
  clusters > 0 ? tQuantile(confidence, clusters - 1) : zQuantile(confidence);

/** Returns the interval of a level's strength relative to the average of all levels with votes. */
export function strengthInterval({ strengths, covariance, clusters }: BradleyTerryFit, level: number) {
  const size = strengths.length;
  const row = (a: number) => covariance.subarray(a * size, (a + 1) * size);
  const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / size;
  const variance = row(level)[level]! - 2 * mean(row(level)) + mean(covariance) / size;
  const margin = criticalValue(clusters) * Math.sqrt(Math.max(0, variance));
  return { low: strengths[level]! - margin, high: strengths[level]! + margin };
}

/**
 * Returns the possible ranks of each level: the best is 1 + the number of levels that are significantly
 * better, the worst is the number of levels that are not significantly worse. The tests hold jointly for all
 * pairs (Holm; the construction is that of Mogstad, Romano, Shaikh and Wilhelm 2024).
 */
export function rankSets(
  { strengths, covariance, clusters }: BradleyTerryFit,
): { best: number; worst: number }[] {
  const levels = strengths.length;
  const pairs: { a: number; b: number; p: number | null }[] = [];
  for (let a = 0; a < levels; a++) {
    for (let b = a + 1; b < levels; b++) {
      const variance = covariance[a * levels + a]! + covariance[b * levels + b]! -
        2 * covariance[a * levels + b]!;
      const z = variance > 1e-12 ? (strengths[a]! - strengths[b]!) / Math.sqrt(variance) : 0;
      pairs.push({ a, b, p: tTails(z, clusters > 0 ? clusters - 1 : 1e6) });
    }
  }
  const adjusted = adjustHolm(pairs.map(({ p }) => p));
  const sets = Array.from({ length: levels }, () => ({ best: 1, worst: levels }));
  pairs.forEach(({ a, b }, i) => {
    if (adjusted[i]! > 1 - confidence) return;
    const [better, worse] = strengths[a]! > strengths[b]! ? [a, b] : [b, a];
    sets[worse]!.best++;
    sets[better]!.worst--;
  });
  return sets;
}

/**
 * Counts the groups of levels that votes connect, directly or indirectly. Levels of different groups are not
 * comparable.
 */
export function countConnectedGroups(votes: readonly Vote[], levels: number): number {
  const parents = Array.from({ length: levels }, (_, i) => i);
  const find = (i: number): number => parents[i] === i ? i : parents[i] = find(parents[i]!);
  for (const { a, b } of votes) parents[find(a)] = find(b);
  return new Set(parents.map((_, i) => find(i))).size;
}
