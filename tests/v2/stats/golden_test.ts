/**
 * Compares the statistics with results of public implementations for the same data (tests/data/statistics).
 */
import assert from "node:assert/strict";
import { fitBradleyTerry } from "../../../statistics/bradley_terry.ts";
import { chiSquareTail, tQuantile, tTails } from "../../../statistics/distributions.ts";
import { addCoincidences, computeAlpha } from "../../../statistics/krippendorff.ts";
import { fitAdditive } from "../../../statistics/least_squares.ts";
import { adjustBenjaminiHochberg, adjustHolm } from "../../../statistics/multiple_testing.ts";
import { flipSigns, testMean, testWelch } from "../../../statistics/mean_tests.ts";
import { estimateRaterTraits } from "../../../statistics/raters.ts";
import { estimateProportion, testEqualProportions } from "../../../statistics/proportions.ts";

const file = new URL("../../data/statistics/golden.json", import.meta.url);
// deno-lint-ignore no-explicit-any -- each test declares the shape of its cases
const golden: Record<string, { by: string; cases: any[] }> = JSON.parse(Deno.readTextFileSync(file));

function assertNear(found: ArrayLike<number | null>, wanted: readonly number[], tolerance: number) {
  assert.equal(found.length, wanted.length);
  wanted.forEach((value, i) =>
    assert.ok(Math.abs(found[i]! - value) <= tolerance, `${i}: ${found[i]}, not ${value}`)
  );
}

// deno-lint-ignore no-explicit-any -- as above
function testGolden(name: string, check: (one: any) => void | Promise<void>) {
  const { by, cases } = golden[name]!;
  Deno.test(`${name}: equals ${by}`, async () => {
    assert.ok(cases.length > 0);
    for (const one of cases) await check(one);
  });
}

testGolden("t_quantiles", ({ confidence, freedom: degrees, value }) => {
  assertNear([tQuantile(confidence, degrees) / value], [1], 1e-6);
});
testGolden("t_tails", ({ t, freedom: degrees, value }) => assertNear([tTails(t, degrees)], [value], 1e-7));
testGolden(
  "chi_tails",
  ({ x, freedom: degrees, value }) => assertNear([chiSquareTail(x, degrees)], [value], 1e-7),
);
testGolden("paired", ({ values, p, low, high, flipped: signFlipP }) => {
  const found = testMean(values)!;
  assertNear([found.p, found.low, found.high], [p, low, high], 1e-6);
  assertNear([flipSigns(values)!.p], [signFlipP], 1e-12);
});
testGolden("flips_drawn", ({ values, flipped: signFlipP }) => {
  const { p, exact } = flipSigns(values)!;
  assert.equal(exact, false);
  assertNear([p], [signFlipP], 0.02);
});
testGolden("welch", ({ a, b, p }) => assertNear([testWelch(a, b)!], [p], 1e-7));
testGolden("many_tests", ({ ps, holm, benjamini }) => {
  assertNear(adjustHolm(ps), holm, 1e-12);
  assertNear(adjustBenjaminiHochberg(ps), benjamini, 1e-12);
});
testGolden("wilson", ({ n, of, low, high }) => {
  const rate = estimateProportion(n, of);
  assertNear([rate.low, rate.high], [low, high], 1e-9);
});
testGolden("equal_rates", ({ rates, p }) => assertNear([testEqualProportions(rates)!], [p], 1e-7));

testGolden("alpha", ({ ratings, alpha }: { ratings: (number | null)[][]; alpha: number }) => {
  const table = new Float64Array(25);
  for (let image = 0; image < ratings[0]!.length; image++) {
    const counts = [0, 0, 0, 0, 0];
    for (const row of ratings) if (row[image] !== null) counts[row[image]! - 1]!++;
    addCoincidences(counts, table);
  }
  assertNear([computeAlpha(table)!], [alpha], 1e-9);
});

testGolden("raters", ({ ratings, bias, inconsistency }) => {
  const list = (ratings as (number | null)[][]).flatMap((row, rater) =>
    row.flatMap((stars, image) => stars === null ? [] : [{ rater, image, stars }])
  );
  const found = estimateRaterTraits({
    image: list.map(({ image }) => image),
    rater: list.map(({ rater }) => rater),
    stars: list.map(({ stars }) => stars),
    images: ratings[0].length,
    raters: ratings.length,
  });
  assertNear(found.map((one) => one.bias), bias, 1e-9);
  assertNear(found.map((one) => one.inconsistency), inconsistency, 1e-9);
});

testGolden("bradley_terry", (one) => {
  const votes = (one.votes as [number, number, number, number][]).map(([a, b, score, cluster]) => ({
    a,
    b,
    score,
    cluster,
  }));
  const penalised = fitBradleyTerry(votes, one.levels);
  assertNear(penalised.strengths, one.strengths_pulled, 1e-5);
  const free = fitBradleyTerry(votes, one.levels, 0);
  const others = Array.from({ length: one.levels - 1 }, (_, i) => i + 1);
  assertNear(others.map((i) => free.strengths[i]! - free.strengths[0]!), one.against_first, 1e-6);
  const errors = ({ covariance: c }: { covariance: Float64Array }) =>
    others.map((i) => Math.sqrt(c[i * one.levels + i]! + c[0]! - 2 * c[i]!));
  const { clusters } = free;
  assertNear(
    errors(free).map((error) => error * Math.sqrt((clusters - 1) / clusters)),
    one.errors_over_clusters,
    1e-5,
  );
  const single = fitBradleyTerry(votes.map((vote) => ({ ...vote, cluster: 0 })), one.levels, 0);
  assert.equal(single.clusters, 0);
  assertNear(errors(single), one.errors_of_curve, 1e-5);
});

testGolden("least_squares", async ({ rows, adjusted }: { rows: number[][]; adjusted: number[] }) => {
  const factors = [3, 2, 7, 3].map((levels, f) => ({ levels, of: Int32Array.from(rows, (row) => row[f]!) }));
  const fit = await fitAdditive(Float64Array.from(rows, (row) => row[4]!), factors);
  assertNear(fit.adjusted, adjusted, 1e-8);
});
