/** Coverage of intervals and error rates of tests, simulated with fixed seeds. */
import assert from "node:assert/strict";
import { contrastWithBaseline } from "../../../statistics/contrast.ts";
import { findInteractions, type UnitCellMean } from "../../../statistics/interactions.ts";
import { testMean } from "../../../statistics/mean_tests.ts";
import { createRandom, drawNormal, type Random } from "../../../statistics/random.ts";
import { averageByUnit, countStars, type Design, listCells } from "../../../statistics/units.ts";

interface Scenario {
  name: string;
  units: number;
  /** Number of images per unit and level. */
  seeds: number;
  raters: number;
  /** Effect of level 1 in stars, before values are limited to 1 to 5. */
  effect: number;
  /** Standard deviation of the effect between units. */
  effectSpread: number;
  /** Mean of the units in stars. */
  grandMean: number;
  /** Share of ratings that are missing. */
  missing: number;
}

const scenarios: Scenario[] = [
  {
    name: "6 prompts × 40 seeds, effects that differ by prompt",
    units: 6,
    seeds: 40,
    raters: 1,
    effect: 0.4,
    effectSpread: 0.5,
    grandMean: 3,
    missing: 0,
  },
  {
    name: "12 prompts, 3 biased raters, one image each",
    units: 12,
    seeds: 1,
    raters: 3,
    effect: 0,
    effectSpread: 0.2,
    grandMean: 3,
    missing: 0,
  },
  {
    name: "30 prompts, a third of the ratings missing",
    units: 30,
    seeds: 2,
    raters: 2,
    effect: -0.3,
    effectSpread: 0.3,
    grandMean: 2.8,
    missing: 0.33,
  },
  {
    name: "20 prompts near the top of the scale",
    units: 20,
    seeds: 3,
    raters: 2,
    effect: 0.3,
    effectSpread: 0.4,
    grandMean: 4.2,
    missing: 0,
  },
];

const toStars = (value: number) => Math.max(1, Math.min(5, Math.round(value)));

/** Simulates ratings of two levels in `units` units; cells are numbered units × levels × seeds. */
function simulate(
  { seeds, raters, effect, effectSpread, grandMean, missing }: Scenario,
  units: number,
  random: Random,
) {
  const biases = Array.from({ length: raters }, () => 0.4 * drawNormal(random));
  const cell: number[] = [];
  const stars: number[] = [];
  for (let unit = 0; unit < units; unit++) {
    const level = [grandMean + 0.8 * drawNormal(random)];
    level.push(level[0]! + effect + effectSpread * drawNormal(random));
    for (let a = 0; a < 2; a++) {
      for (let seed = 0; seed < seeds; seed++) {
        const image = level[a]! + 0.6 * drawNormal(random);
        for (let rater = 0; rater < raters; rater++) {
          const given = toStars(image + biases[rater]! + 0.5 * drawNormal(random));
          if (missing > 0 && random() < missing) continue;
          cell.push((unit * 2 + a) * seeds + seed);
          stars.push(given);
        }
      }
    }
  }
  const cells = units * 2 * seeds;
  const design: Design = {
    level: Int32Array.from({ length: cells }, (_, i) => Math.floor(i / seeds) % 2),
    unit: Int32Array.from({ length: cells }, (_, i) => Math.floor(i / seeds / 2)),
    levels: 2,
    units,
    basis: "content",
    unitAxes: [0],
  };
  const counts = countStars({ cell: Int32Array.from(cell), stars: Uint8Array.from(stars) }, cells);
  return { design, counts, cells };
}

async function estimateContrast(scenario: Scenario, units: number, random: Random) {
  const { design, counts, cells } = simulate(scenario, units, random);
  const scores = averageByUnit(design, counts, listCells(cells));
  return (await contrastWithBaseline(scores, units, 0, 1))[1]!;
}

const runs = 1_500;

for (const [i, scenario] of scenarios.entries()) {
  Deno.test(`a 95 % interval covers 93–97 %: ${scenario.name}`, async () => {
    // The true value is approximated by many large samples of prompts and raters.
    let truth = 0;
    for (let run = 0; run < 400; run++) {
      truth += (await estimateContrast(scenario, 50, createRandom(7_000 + run))).value / 400;
    }
    const random = createRandom(i + 1);
    let covered = 0;
    for (let run = 0; run < runs; run++) {
      const { low, high } = await estimateContrast(scenario, scenario.units, random);
      if (low === null || low <= truth && truth <= high!) covered++;
    }
    const share = covered / runs;
    assert.ok(share >= 0.93 && share <= 0.97, `${(100 * share).toFixed(1)} %`);
  });
}

Deno.test("an interval that treats cells as independent covers far less than 95 %", () => {
  const random = createRandom(3);
  let covered = 0;
  for (let run = 0; run < 300; run++) {
    const differences: number[] = [];
    for (let unit = 0; unit < 6; unit++) {
      const effect = 0.4 + 0.5 * drawNormal(random);
      for (let seed = 0; seed < 40; seed++) differences.push(effect + 0.85 * drawNormal(random));
    }
    const { low, high } = testMean(differences)!;
    if (low! <= 0.4 && 0.4 <= high!) covered++;
  }
  assert.ok(covered / 300 < 0.75, `${covered / 3} %`);
});

/** Simulates cell means without interactions. */
function simulateNull(random: Random, { units, nested }: { units: number; nested: boolean }): UnitCellMean[] {
  const cellMeans: UnitCellMean[] = [];
  for (let unit = 0; unit < units; unit++) {
    const unitEffect = 0.8 * drawNormal(random);
    for (let level = 0; level < 4; level++) {
      for (let by = 0; by < 3; by++) {
        if (nested && by !== unit % 3) continue;
        const mean = 3 + unitEffect + 0.3 * level - 0.2 * by + 0.7 * drawNormal(random);
        cellMeans.push({ unit, level, by, mean });
      }
    }
  }
  return cellMeans;
}

for (
  const [name, design] of Object.entries({
    "the other axis varies within units": { units: 10, nested: false },
    "the other axis is part of the content": { units: 24, nested: true },
  })
) {
  Deno.test(`interactions are reported in at most 10 % of matrices without any: ${name}`, () => {
    const random = createRandom(11);
    let flagged = 0;
    for (let run = 0; run < 400; run++) {
      const found = findInteractions(simulateNull(random, design));
      assert.equal(found.length, 12);
      if (found.some(({ q }) => q <= 0.05)) flagged++;
    }
    assert.ok(flagged <= 40, `${flagged} of 400`);
  });

  Deno.test(`an existing interaction is found: ${name}`, () => {
    const random = createRandom(12);
    const cellMeans = simulateNull(random, design).map((cellMean) =>
      cellMean.level === 2 && cellMean.by === 1 ? { ...cellMean, mean: cellMean.mean + 2 } : cellMean
    );
    const [best] = findInteractions(cellMeans).toSorted((a, b) => a.q - b.q);
    assert.deepEqual([best!.level, best!.by, best!.q < 0.05, best!.excess > 0.5], [2, 1, true, true]);
  });
}
