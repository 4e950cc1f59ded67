/** Statistics against what public implementations give for the same numbers (tests/data/statistics). */
import assert from "node:assert/strict";
import { rankByVotes } from "../../../statistics/bradley_terry.ts";
import { chiSquareTail, tQuantile, tTails } from "../../../statistics/distributions.ts";
import { addCoincidences, alphaOf } from "../../../statistics/krippendorff.ts";
import { fitAdditive } from "../../../statistics/least_squares.ts";
import { adjustBenjamini, adjustHolm } from "../../../statistics/many_tests.ts";
import { flipSigns, testMean, testTwoMeans } from "../../../statistics/paired.ts";
import { judgeRaters } from "../../../statistics/raters.ts";
import { rateOf, testRates } from "../../../statistics/rates.ts";

const file = new URL("../../data/statistics/golden.json", import.meta.url);
// deno-lint-ignore no-explicit-any -- numbers by name; each test says what it reads
const golden: Record<string, { by: string; cases: any[] }> = JSON.parse(Deno.readTextFileSync(file));

function near(found: ArrayLike<number | null>, wanted: readonly number[], tolerance: number) {
  assert.equal(found.length, wanted.length);
  wanted.forEach((value, i) =>
    assert.ok(Math.abs(found[i]! - value) <= tolerance, `${i}: ${found[i]}, not ${value}`)
  );
}

// deno-lint-ignore no-explicit-any -- as above
function golds(name: string, check: (one: any) => void | Promise<void>) {
  const { by, cases } = golden[name]!;
  Deno.test(`${name} as by ${by}`, async () => {
    assert.ok(cases.length > 0);
    for (const one of cases) await check(one);
  });
}

golds("t_quantiles", ({ confidence, freedom, value }) => {
  near([tQuantile(confidence, freedom) / value], [1], 1e-6);
});
golds("t_tails", ({ t, freedom, value }) => near([tTails(t, freedom)], [value], 1e-7));
golds("chi_tails", ({ x, freedom, value }) => near([chiSquareTail(x, freedom)], [value], 1e-7));
golds("paired", ({ values, p, low, high, flipped }) => {
  const found = testMean(values)!;
  near([found.p, found.low, found.high], [p, low, high], 1e-6);
  near([flipSigns(values)!.p], [flipped], 1e-12);
});
golds("flips_drawn", ({ values, flipped }) => {
  const { p, exact } = flipSigns(values)!;
  assert.equal(exact, false);
  near([p], [flipped], 0.02);
});
golds("welch", ({ a, b, p }) => near([testTwoMeans(a, b)!], [p], 1e-7));
golds("many_tests", ({ ps, holm, benjamini }) => {
  near(adjustHolm(ps), holm, 1e-12);
  near(adjustBenjamini(ps), benjamini, 1e-12);
});
golds("wilson", ({ n, of, low, high }) => {
  const rate = rateOf(n, of);
  near([rate.low, rate.high], [low, high], 1e-9);
});
golds("equal_rates", ({ rates, p }) => near([testRates(rates)!], [p], 1e-7));

golds("alpha", ({ ratings, alpha }: { ratings: (number | null)[][]; alpha: number }) => {
  const table = new Float64Array(25);
  for (let image = 0; image < ratings[0]!.length; image++) {
    const counts = [0, 0, 0, 0, 0];
    for (const row of ratings) if (row[image] !== null) counts[row[image]! - 1]!++;
    addCoincidences(counts, table);
  }
  near([alphaOf(table)!], [alpha], 1e-9);
});

golds("raters", ({ ratings, bias, inconsistency }) => {
  const list = (ratings as (number | null)[][]).flatMap((row, rater) =>
    row.flatMap((stars, image) => stars === null ? [] : [{ rater, image, stars }])
  );
  const found = judgeRaters({
    image: list.map(({ image }) => image),
    rater: list.map(({ rater }) => rater),
    stars: list.map(({ stars }) => stars),
    images: ratings[0].length,
    raters: ratings.length,
  });
  near(found.map((one) => one.bias), bias, 1e-9);
  near(found.map((one) => one.inconsistency), inconsistency, 1e-9);
});

golds("bradley_terry", (one) => {
  const votes = (one.votes as [number, number, number, number][]).map(([a, b, score, cluster]) => ({
    a,
    b,
    score,
    cluster,
  }));
  const pulled = rankByVotes(votes, one.levels);
  near(pulled.strengths, one.strengths_pulled, 1e-5);
  const free = rankByVotes(votes, one.levels, 0);
  const others = Array.from({ length: one.levels - 1 }, (_, i) => i + 1);
  near(others.map((i) => free.strengths[i]! - free.strengths[0]!), one.against_first, 1e-6);
  const errors = ({ covariance: c }: { covariance: Float64Array }) =>
    others.map((i) => Math.sqrt(c[i * one.levels + i]! + c[0]! - 2 * c[i]!));
  const { clusters } = free;
  near(
    errors(free).map((error) => error * Math.sqrt((clusters - 1) / clusters)),
    one.errors_over_clusters,
    1e-5,
  );
  const single = rankByVotes(votes.map((vote) => ({ ...vote, cluster: 0 })), one.levels, 0);
  assert.equal(single.clusters, 0);
  near(errors(single), one.errors_of_curve, 1e-5);
});

golds("least_squares", async ({ rows, adjusted }: { rows: number[][]; adjusted: number[] }) => {
  const factors = [3, 2, 7, 3].map((levels, f) => ({ levels, of: Int32Array.from(rows, (row) => row[f]!) }));
  const fit = await fitAdditive(Float64Array.from(rows, (row) => row[4]!), factors);
  near(fit.adjusted, adjusted, 1e-8);
});
