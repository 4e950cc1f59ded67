/** What must not change the statistics, and what must. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { estimateAlpha } from "../../../statistics/krippendorff.ts";
import { type LevelScore, scoreLevels } from "../../../statistics/levels.ts";
import { adjustBenjamini, adjustHolm } from "../../../statistics/many_tests.ts";
import { flipSigns, testMean } from "../../../statistics/paired.ts";
import { countStars, type Layout, type Ratings } from "../../../statistics/units.ts";

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

/** @param place where each cell of units × levels lies */
async function score(list: Rating[], place = (cell: number) => cell): Promise<LevelScore[]> {
  const level = new Int32Array(cells);
  const unit = new Int32Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    level[place(cell)] = cell % levels;
    unit[place(cell)] = Math.floor(cell / levels);
  }
  const layout: Layout = { level, unit, levels, units, basis: "content", unitAxes: [0] };
  const ratings = ratingsOf(list.map((one) => ({ ...one, cell: place(one.cell) })));
  const counts = countStars(ratings, cells);
  const question = {
    layout,
    ratings,
    raters,
    counts,
    others: [],
    baseline: 0,
    pause: () => Promise.resolve(),
  };
  return (await scoreLevels(question, new Uint8Array(cells).fill(1))).levels;
}

/** Equal but for rounding. */
function assertAlike(a: unknown, b: unknown, path = ""): void {
  if (typeof a === "number" && typeof b === "number") {
    assert.ok(Math.abs(a - b) < 1e-6, `${path}: ${a} and ${b}`);
  } else if (typeof a === "object" && a !== null) {
    for (const key of Object.keys(a)) {
      assertAlike(Reflect.get(a, key), Reflect.get(b as object, key), `${path}.${key}`);
    }
  } else assert.deepEqual(a, b, path);
}

/** Each image has some of the raters. */
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

Deno.test("the order of ratings, the names of raters and where cells lie change nothing", async () => {
  await fc.assert(
    fc.asyncProperty(someRatings, fc.integer({ min: 1, max: 23 }), async (list, turn) => {
      const plain = await score(list);
      assertAlike(await score(list.toReversed()), plain);
      assertAlike(await score(list.map((one) => ({ ...one, rater: (one.rater + 1) % raters }))), plain);
      const turned = await score(list, (cell) => (cell * 5 + turn) % cells);
      assertAlike(turned, plain);
    }),
    { numRuns: 40, seed: 5 },
  );
});

Deno.test("a rater who gives a star more changes no difference between adjusted means, whom they rated or not", async () => {
  await fc.assert(
    fc.asyncProperty(someRatings, fc.integer({ min: 0, max: raters - 1 }), async (list, rater) => {
      const plain = await score(list);
      const biased = await score(
        list.map((one) => one.rater === rater ? { ...one, stars: one.stars + 1 } : one),
      );
      fc.pre(plain.every(({ adjusted }) => adjusted !== null));
      for (let level = 1; level < levels; level++) {
        const difference = (all: LevelScore[]) => all[level]!.adjusted! - all[0]!.adjusted!;
        assertAlike(difference(biased), difference(plain));
      }
      const shift = biased[0]!.adjusted! - plain[0]!.adjusted!;
      assertAlike(
        shift,
        list.some((one) => one.rater === rater) ? 1 / new Set(list.map((one) => one.rater)).size : 0,
      );
    }),
    { numRuns: 40, seed: 6 },
  );
});

Deno.test("where every rater rates everything, adjusted means are the means", async () => {
  const list = Array.from({ length: cells * raters }, (_, i): Rating => ({
    cell: Math.floor(i / raters),
    rater: i % raters,
    stars: 1 + (i * 7 + Math.floor(i / 5)) % 5,
  }));
  for (const { mean, adjusted } of await score(list)) assertAlike(adjusted, mean!.value);
});

Deno.test("turning all signs leaves p; p is within (0, 1]; Holm is never below p, nor q below Holm's least", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 6, maxLength: 20 }), (values) => {
      const turned = values.map((value) => -value);
      const a = testMean(values)!;
      const b = testMean(turned)!;
      assertAlike([a.p, a.low], [b.p, b.high === null ? null : -b.high]);
      const { p } = flipSigns(values, 999)!;
      assert.ok(p > 0 && p <= 1);
      if (values.length <= 12) assert.equal(flipSigns(turned)!.p, p);
    }),
    { numRuns: 100, seed: 7 },
  );
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 }), (ps) => {
      const holm = adjustHolm(ps);
      const q = adjustBenjamini(ps);
      ps.forEach((p, i) => {
        assert.ok(holm[i]! >= p && holm[i]! <= 1);
        assert.ok(q[i]! >= p - 1e-12 && q[i]! <= holm[i]! + 1e-12);
      });
    }),
    { numRuns: 100, seed: 8 },
  );
});

Deno.test("alpha of chance is near 0, its interval holds it, and it is the same each time", () => {
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
