/** That intervals hold what they promise, and tests find nothing where there is nothing: simulated, with fixed seeds. */
import assert from "node:assert/strict";
import { compareWith } from "../../../statistics/contrast.ts";
import { findInteractions, type Meeting } from "../../../statistics/interactions.ts";
import { testMean } from "../../../statistics/paired.ts";
import { createRandom, drawNormal, type Random } from "../../../statistics/random.ts";
import { countStars, type Layout, scoreUnits } from "../../../statistics/units.ts";

interface Design {
  name: string;
  units: number;
  /** Images of a unit and level. */
  seeds: number;
  raters: number;
  /** Stars more of level 1, before they are cut to 1 to 5. */
  effect: number;
  /** How much that differs from unit to unit. */
  effectSpread: number;
  /** Of the units. */
  middle: number;
  /** Share of ratings that are missing. */
  missing: number;
}

const designs: Design[] = [
  {
    name: "6 prompts × 40 seeds, effects that differ by prompt",
    units: 6,
    seeds: 40,
    raters: 1,
    effect: 0.4,
    effectSpread: 0.5,
    middle: 3,
    missing: 0,
  },
  {
    name: "12 prompts, 3 biased raters, one image each",
    units: 12,
    seeds: 1,
    raters: 3,
    effect: 0,
    effectSpread: 0.2,
    middle: 3,
    missing: 0,
  },
  {
    name: "30 prompts, a third of the ratings missing",
    units: 30,
    seeds: 2,
    raters: 2,
    effect: -0.3,
    effectSpread: 0.3,
    middle: 2.8,
    missing: 0.33,
  },
  {
    name: "20 prompts near the top of the scale",
    units: 20,
    seeds: 3,
    raters: 2,
    effect: 0.3,
    effectSpread: 0.4,
    middle: 4.2,
    missing: 0,
  },
];

const toStars = (value: number) => Math.max(1, Math.min(5, Math.round(value)));

/** Ratings of two levels in `units` units; cells are units × levels × seeds. */
function draw(
  { seeds, raters, effect, effectSpread, middle, missing }: Design,
  units: number,
  random: Random,
) {
  const biases = Array.from({ length: raters }, () => 0.4 * drawNormal(random));
  const cell: number[] = [];
  const stars: number[] = [];
  for (let unit = 0; unit < units; unit++) {
    const level = [middle + 0.8 * drawNormal(random)];
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
  const layout: Layout = {
    level: Int32Array.from({ length: cells }, (_, i) => Math.floor(i / seeds) % 2),
    unit: Int32Array.from({ length: cells }, (_, i) => Math.floor(i / seeds / 2)),
    levels: 2,
    units,
    basis: "content",
    unitAxes: [0],
  };
  const counts = countStars({ cell: Int32Array.from(cell), stars: Uint8Array.from(stars) }, cells);
  return { layout, counts, cells };
}

async function contrast(design: Design, units: number, random: Random) {
  const { layout, counts, cells } = draw(design, units, random);
  const scores = scoreUnits(layout, counts, new Uint8Array(cells).fill(1));
  return (await compareWith(scores, units, 0, 1))[1]!;
}

const runs = 1_500;

for (const [place, design] of designs.entries()) {
  Deno.test(`a 95 % interval covers 93–97 %: ${design.name}`, async () => {
    // What is estimated: the mean over all prompts there could be, and raters as many.
    let truth = 0;
    for (let i = 0; i < 400; i++) truth += (await contrast(design, 50, createRandom(7_000 + i))).value / 400;
    const random = createRandom(place + 1);
    let covered = 0;
    for (let run = 0; run < runs; run++) {
      const { low, high } = await contrast(design, design.units, random);
      if (low === null || low <= truth && truth <= high!) covered++;
    }
    const share = covered / runs;
    assert.ok(share >= 0.93 && share <= 0.97, `${(100 * share).toFixed(1)} %`);
  });
}

Deno.test("an interval over cells, as if they were independent, covers far less: why units are what counts", () => {
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

/** A matrix in which nothing interacts. */
function drawNull(random: Random, { units, nested }: { units: number; nested: boolean }): Meeting[] {
  const meetings: Meeting[] = [];
  for (let unit = 0; unit < units; unit++) {
    const own = 0.8 * drawNormal(random);
    for (let level = 0; level < 4; level++) {
      for (let by = 0; by < 3; by++) {
        if (nested && by !== unit % 3) continue;
        const mean = 3 + own + 0.3 * level - 0.2 * by + 0.7 * drawNormal(random);
        meetings.push({ unit, level, by, mean });
      }
    }
  }
  return meetings;
}

for (
  const [name, design] of Object.entries({
    "the other axis varies within units": { units: 10, nested: false },
    "the other axis is part of the content": { units: 24, nested: true },
  })
) {
  Deno.test(`a matrix without interactions shows one in 10 % of cases at most: ${name}`, () => {
    const random = createRandom(11);
    let flagged = 0;
    for (let run = 0; run < 400; run++) {
      const found = findInteractions(drawNull(random, design));
      assert.equal(found.length, 12);
      if (found.some(({ q }) => q <= 0.05)) flagged++;
    }
    assert.ok(flagged <= 40, `${flagged} of 400`);
  });

  Deno.test(`an interaction that is there is found: ${name}`, () => {
    const random = createRandom(12);
    const meetings = drawNull(random, design).map((meeting) =>
      meeting.level === 2 && meeting.by === 1 ? { ...meeting, mean: meeting.mean + 2 } : meeting
    );
    const [best] = findInteractions(meetings).toSorted((a, b) => a.q - b.q);
    assert.deepEqual([best!.level, best!.by, best!.q < 0.05, best!.excess > 0.5], [2, 1, true, true]);
  });
}
