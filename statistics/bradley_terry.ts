/** How levels compare by votes between pairs of images (Bradley and Terry 1952); never Elo, which depends on the order. */
import { tQuantile, tTails, zQuantile } from "./distributions.ts";
import { invert, multiply } from "./linear.ts";
import { adjustHolm } from "./many_tests.ts";
import { confidence, unitsMin } from "./paired.ts";

/** A vote between two levels; `score` is 1 where `a` won, 0 where `b` did, 0.5 for a tie. */
export interface Vote {
  a: number;
  b: number;
  score: number;
  /** Votes of one cluster (a content unit) are not independent of each other. */
  cluster: number;
}

/** Weight of the pull towards 0: a prior of a standard deviation of √5, which a dozen votes outweigh. */
export const pull = 0.2;

const logistic = (x: number) => 1 / (1 + Math.exp(-x));

interface Ranking {
  /** Log-odds of each level against the average one: they add up to 0. */
  strengths: Float64Array;
  /** How they vary together; row after row. */
  covariance: Float64Array;
  /** Clusters that the spread is told by; 0: by the votes as if each stood alone. */
  clusters: number;
}

/** Pairs of levels with how often and how well: equal votes are added up once, not at every step. */
function addUp(votes: readonly Vote[], levels: number) {
  const n = new Float64Array(levels * levels);
  const won = new Float64Array(levels * levels);
  for (const { a, b, score } of votes) {
    const [low, high] = a < b ? [a, b] : [b, a];
    n[low * levels + high]! += 1;
    won[low * levels + high]! += a < b ? score : 1 - score;
  }
  return { n, won };
}

function slopes({ n, won }: ReturnType<typeof addUp>, prior: number, strengths: Float64Array) {
  const levels = strengths.length;
  const gradient = strengths.map((strength) => -prior * strength);
  const curve = new Float64Array(levels * levels);
  for (let a = 0; a < levels; a++) curve[a * levels + a] = prior;
  for (let a = 0; a < levels; a++) {
    for (let b = a + 1; b < levels; b++) {
      const count = n[a * levels + b]!;
      if (count === 0) continue;
      const p = logistic(strengths[a]! - strengths[b]!);
      const miss = won[a * levels + b]! - count * p;
      const bend = count * p * (1 - p);
      gradient[a]! += miss;
      gradient[b]! -= miss;
      curve[a * levels + a]! += bend;
      curve[b * levels + b]! += bend;
      curve[a * levels + b]! -= bend;
      curve[b * levels + a]! -= bend;
    }
  }
  return { gradient, curve };
}

/** Newton's steps, shortened where one would leap. */
function climb(votes: readonly Vote[], levels: number, prior: number) {
  const strengths = new Float64Array(levels);
  const sums = addUp(votes, levels);
  for (let step = 0;; step++) {
    const { gradient, curve } = slopes(sums, prior, strengths);
    const inverse = invert(curve, levels);
    const move = multiply(inverse, gradient);
    const longest = move.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (longest < 1e-10 || step === 100) return { strengths, inverse };
    for (let i = 0; i < levels; i++) strengths[i]! += move[i]! * Math.min(1, 2 / longest);
  }
}

/** Spread over clusters (Liang and Zeger 1986), with the correction for few of them. */
function spreadOver(votes: readonly Vote[], strengths: Float64Array, inverse: Float64Array, count: number) {
  const levels = strengths.length;
  const scores = new Map<number, Float64Array>();
  for (const { a, b, score, cluster } of votes) {
    const sum = scores.get(cluster) ?? new Float64Array(levels);
    scores.set(cluster, sum);
    const miss = score - logistic(strengths[a]! - strengths[b]!);
    sum[a]! += miss;
    sum[b]! -= miss;
  }
  const covariance = new Float64Array(levels * levels);
  for (const score of scores.values()) {
    const moved = multiply(inverse, score);
    for (let i = 0; i < levels; i++) {
      if (moved[i] === 0) continue;
      for (let j = 0; j < levels; j++) {
        covariance[i * levels + j]! += moved[i]! * moved[j]! * count / (count - 1);
      }
    }
  }
  return covariance;
}

/**
 * Strengths by penalised maximum likelihood: ties are half a win each, a weak prior keeps a level that always wins finite.
 * Their spread is that over clusters where there are at least 6, else that of the likelihood's curve.
 *
 * @param votes between two different levels each; skipped ones left out
 *
 * @example
 * ```ts
 * import { rankByVotes } from "./bradley_terry.ts";
 * const votes = [1, 1, 1, 0].map((score, cluster) => ({ a: 0, b: 1, score, cluster }));
 * const { strengths } = rankByVotes(votes, 2, 0);
 * // Three of four won: the odds are 3 to 1.
 * if (Math.abs(strengths[0]! - strengths[1]! - Math.log(3)) > 1e-6) throw new Error();
 * ```
 */
export function rankByVotes(votes: readonly Vote[], levels: number, prior = pull): Ranking {
  // Without a prior the average is free; a trace of one fixes it at 0.
  const { strengths, inverse } = climb(votes, levels, Math.max(prior, 1e-9));
  const count = new Set(votes.map(({ cluster }) => cluster)).size;
  return count < unitsMin
    ? { strengths, covariance: inverse, clusters: 0 }
    : { strengths, covariance: spreadOver(votes, strengths, inverse, count), clusters: count };
}

const reachOf = (clusters: number) =>
  clusters > 0 ? tQuantile(confidence, clusters - 1) : zQuantile(confidence);

/** Interval of a level's strength against the average of those that were voted on. */
export function strengthInterval({ strengths, covariance, clusters }: Ranking, level: number) {
  const size = strengths.length;
  const row = (a: number) => covariance.subarray(a * size, (a + 1) * size);
  const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / size;
  const variance = row(level)[level]! - 2 * mean(row(level)) + mean(covariance) / size;
  const reach = reachOf(clusters) * Math.sqrt(Math.max(0, variance));
  return { low: strengths[level]! - reach, high: strengths[level]! + reach };
}

/**
 * Ranks that each level may have: 1 + how many are surely better, up to how many are not surely worse. «Surely» holds for
 * all pairs at once (Holm; as in Mogstad, Romano, Shaikh and Wilhelm 2024).
 */
export function rankSets({ strengths, covariance, clusters }: Ranking): { best: number; worst: number }[] {
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

/** Groups of levels that votes connect, directly or through others: between groups they say nothing. */
export function connectedGroups(votes: readonly Vote[], levels: number): number {
  const parents = Array.from({ length: levels }, (_, i) => i);
  const find = (i: number): number => parents[i] === i ? i : parents[i] = find(parents[i]!);
  for (const { a, b } of votes) parents[find(a)] = find(b);
  return new Set(parents.map((_, i) => find(i))).size;
}
