/** Properties of the statistics: invariances and bounds. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { estimateAlpha } from "../../../statistics/krippendorff.ts";
import { type LevelScore, scoreLevels } from "../../../statistics/levels.ts";
import { adjustBenjaminiHochberg, adjustHolm } from "../../../statistics/multiple_testing.ts";
import { flipSigns, testMean } from "../../../statistics/mean_tests.ts";
import { countStars, type Design, listCells, type Ratings } from "../../../statistics/units.ts";

interface Rating {
  cell: number;
  rater: number;
  stars: number;
}

const units = 8;
const levels = 3;
const raters = 4;
const cells = units * levels;

const ratingsOf = (list: Rating[]): Ratings => ({
  cell: Int32Array.from(list, ({ cell }) => cell),
  rater: Int32Array.from(list, ({ rater }) => rater),
  stars: Uint8Array.from(list, ({ stars }) => stars),
});

/** @param numberOf number of each cell, given its position in units × levels */
async function score(list: Rating[], numberOf = (cell: number) => cell): Promise<LevelScore[]> {
  const level = new Int32Array(cells);
  const unit = new Int32Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    level[numberOf(cell)] = cell % levels;
    unit[numberOf(cell)] = Math.floor(cell / levels);
  }
  const design: Design = { level, unit, levels, units, basis: "content", unitAxes: [0] };
  const ratings = ratingsOf(list.map((one) => ({ ...one, cell: numberOf(one.cell) })));
  const starCounts = countStars(ratings, cells);
  const analysis = {
    design,
    cells: listCells(cells),
    ratings,
    raters,
    starCounts,
    others: [],
    baseline: 0,
    pause: () => Promise.resolve(),
  };
  return (await scoreLevels(analysis)).levels;
}

/** Asserts equality up to rounding. */
function assertClose(a: unknown, b: unknown, path = ""): void {
  if (typeof a === "number" && typeof b === "number") {
    assert.ok(Math.abs(a - b) < 1e-6, `${path}: ${a} and ${b}`);
  } else if (typeof a === "object" && a !== null) {
    for (const key of Object.keys(a)) {
      assertClose(Reflect.get(a, key), Reflect.get(b as object, key), `${path}.${key}`);
    }
  } else assert.deepEqual(a, b, path);
}

/** Draws ratings in which each image has at least one rater. */
const someRatings = fc.array(
  fc.array(fc.integer({ min: 0, max: 3 }), { minLength: raters, maxLength: raters }),
  {
    minLength: cells,
    maxLength: cells,
  },
).map((rows) =>
  rows.flatMap((row, cell) =>
    row.flatMap((stars, rater): Rating[] =>
      stars === 0 && rater !== cell % raters ? [] : [{ cell, rater, stars: stars + 1 }]
    )
  )
);

Deno.test("scores do not depend on the order of ratings, the ids of raters or the numbers of cells", async () => {
  await fc.assert(
    fc.asyncProperty(someRatings, fc.integer({ min: 1, max: 23 }), async (list, shift) => {
      const reference = await score(list);
      assertClose(await score(list.toReversed()), reference);
      assertClose(await score(list.map((one) => ({ ...one, rater: (one.rater + 1) % raters }))), reference);
      const renumbered = await score(list, (cell) => (cell * 5 + shift) % cells);
      assertClose(renumbered, reference);
    }),
    { numRuns: 40, seed: 5 },
  );
});

Deno.test("a rater who gives one more star changes no difference between adjusted means", async () => {
  await fc.assert(
    fc.asyncProperty(someRatings, fc.integer({ min: 0, max: raters - 1 }), async (list, rater) => {
      const reference = await score(list);
      const biased = await score(
        list.map((one) => one.rater === rater ? { ...one, stars: one.stars + 1 } : one),
      );
      fc.pre(reference.every(({ adjusted }) => adjusted !== null));
      for (let level = 1; level < levels; level++) {
        const difference = (all: LevelScore[]) => all[level]!.adjusted! - all[0]!.adjusted!;
        assertClose(difference(biased), difference(reference));
      }
      const shift = biased[0]!.adjusted! - reference[0]!.adjusted!;
      assertClose(
        shift,
        list.some((one) => one.rater === rater) ? 1 / new Set(list.map((one) => one.rater)).size : 0,
      );
    }),
    { numRuns: 40, seed: 6 },
  );
});

Deno.test("adjusted means equal the means if every rater rates every image", async () => {
  const list = Array.from({ length: cells * raters }, (_, i): Rating => ({
    cell: Math.floor(i / raters),
    rater: i % raters,
    stars: 1 + (i * 7 + Math.floor(i / 5)) % 5,
  }));
  for (const { mean, adjusted } of await score(list)) assertClose(adjusted, mean!.value);
});

Deno.test("flipping all signs mirrors the interval and keeps the p-values, which are within (0, 1]", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 6, maxLength: 20 }), (values) => {
      const flipped = values.map((value) => -value);
      const a = testMean(values)!;
      const b = testMean(flipped)!;
      assertClose([a.p, a.low], [b.p, b.high === null ? null : -b.high]);
      const { p } = flipSigns(values, 999)!;
      assert.ok(p > 0 && p <= 1);
      if (values.length <= 12) assert.equal(flipSigns(flipped)!.p, p);
    }),
    { numRuns: 100, seed: 7 },
  );
});

Deno.test("Holm's p-values are at least p, and q-values lie between p and Holm's", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 }), (ps) => {
      const holm = adjustHolm(ps);
      const q = adjustBenjaminiHochberg(ps);
      ps.forEach((p, i) => {
        assert.ok(holm[i]! >= p && holm[i]! <= 1);
        assert.ok(q[i]! >= p - 1e-12 && q[i]! <= holm[i]! + 1e-12);
      });
    }),
    { numRuns: 100, seed: 8 },
  );
});

Deno.test("alpha of random ratings is near 0, its interval contains 0, and it is reproducible", () => {
  const tables = new Float64Array(600 * 25);
  for (let unit = 0; unit < 600; unit++) {
    const a = (unit * 7) % 5;
    const b = Math.floor(unit / 5) % 5;
    tables[unit * 25 + a * 5 + b]! += 1;
    tables[unit * 25 + b * 5 + a]! += 1;
  }
  const alpha = estimateAlpha(tables)!;
  assert.ok(Math.abs(alpha.value) < 0.05 && alpha.low! < 0 && alpha.high! > 0, JSON.stringify(alpha));
  assert.deepEqual(estimateAlpha(tables), alpha);
});
