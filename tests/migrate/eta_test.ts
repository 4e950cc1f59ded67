/** The estimated time left of simulated runs is within 10 % of the total time, after the first 5 %. */
import assert from "node:assert/strict";
import { Estimator, type Stage } from "../../migrate/data/tools/eta.ts";

/** A piece of work: its duration and the bytes that it processes. */
interface Piece {
  seconds: number;
  bytes: number;
}

interface SimulatedStage {
  stage: string;
  total: number;
  /** Bytes that an earlier run has processed. */
  before?: number;
  pieces: Piece[];
  /** Indices of the pieces that begin another collection. */
  turns?: number[];
}

interface Trace {
  /** Duration of the whole run in seconds. */
  totalSeconds: number;
  /** Estimates over time. */
  estimates: [at: number, secondsLeft: number | undefined][];
}

function simulate(plans: Stage[], run: SimulatedStage[]): Trace {
  let clock = 0;
  const estimator = new Estimator(() => clock);
  const estimates: Trace["estimates"] = [];
  estimator.plan(plans);
  for (const { stage, total, before = 0, pieces, turns = [] } of run) {
    estimator.begin(stage, total);
    if (before > 0) estimator.resume(before);
    for (const [i, { seconds, bytes }] of pieces.entries()) {
      if (turns.includes(i)) estimator.resetSpeed();
      // The heartbeat also reads the estimate between two pieces.
      clock += seconds / 2;
      estimates.push([clock, estimator.secondsLeft]);
      clock += seconds / 2;
      // A stage without a size reports no bytes.
      if (bytes > 0) estimator.add(bytes);
      estimates.push([clock, estimator.secondsLeft]);
    }
  }
  estimator.end();
  return { totalSeconds: clock, estimates };
}

/** Returns the largest error as a share of the total time, after the share `from` of the time. */
function maxError({ totalSeconds, estimates }: Trace, from = 0.05): number {
  const late = estimates.filter(([at]) => at >= totalSeconds * from);
  assert.ok(late.length > 0);
  const errors = late.map(([at, left]) =>
    left === undefined ? Infinity : Math.abs(at + left - totalSeconds) / totalSeconds
  );
  return Math.max(...errors);
}

const evenPieces = (count: number, bytes: number, seconds: number): Piece[] =>
  Array.from({ length: count }, () => ({ bytes, seconds }));

/** Returns a generator of pseudorandom numbers from 0 to 1, the same in every run. */
function makeRandom(): () => number {
  let state = 7;
  return () => (state = state * 16_807 % 2_147_483_647) / 2_147_483_647;
}

const loadStages: Stage[] = [
  { name: "survey", units: 240 },
  { name: "copy", units: 1000 },
  { name: "settle", units: 260 },
];
const loadRun = (perByte: number, copy = evenPieces(100, 10, 10 * perByte)): SimulatedStage[] => [
  { stage: "survey", total: 1000, pieces: evenPieces(100, 10, 2.4 * perByte) },
  { stage: "copy", total: 1000, pieces: copy },
  { stage: "settle", total: 0, pieces: evenPieces(20, 0, 13 * perByte) },
];

Deno.test("the estimate of an even run with the expected stage costs is accurate", () => {
  for (const perByte of [0.001, 0.1, 10]) assert.ok(maxError(simulate(loadStages, loadRun(perByte))) < 0.02);
});

Deno.test("the estimate smooths pieces of uneven duration", () => {
  const random = makeRandom();
  const copy = Array.from({ length: 400 }, () => {
    const bytes = 2.5;
    return { bytes, seconds: bytes * 0.05 * (random() < 0.1 ? 2 : 0.89) };
  });
  assert.ok(maxError(simulate(loadStages, loadRun(0.05, copy))) < 0.1);
});

Deno.test("the estimate adapts to a copy speed other than the survey's within an eighth of the copying", () => {
  // Copying and settling cost half and twice as much as expected.
  for (const factor of [0.5, 2]) {
    const run = loadRun(0.1);
    run[1]!.pieces = evenPieces(100, 10, factor);
    run[2]!.pieces = evenPieces(20, 0, 1.3 * factor);
    const trace = simulate(loadStages, run);
    const learned = (24 + 12.5 * factor) / trace.totalSeconds;
    assert.ok(maxError(trace, learned) < 0.1, String(factor));
  }
});

Deno.test("small collections that are slower per byte do not distort the estimate of later ones", () => {
  const copy = [...evenPieces(4, 10, 4), ...evenPieces(96, 10, 1)];
  const run = loadRun(0.1, copy);
  run[1]!.turns = [2, 4];
  const trace = simulate(loadStages, run);
  assert.ok(maxError(trace, (24 + 16 + 10) / trace.totalSeconds) < 0.1);
});

Deno.test("the estimate ignores the first piece of a stage, during which other pieces also start", () => {
  const copy = [{ bytes: 10, seconds: 4 }, ...evenPieces(99, 10, 1)];
  assert.ok(maxError(simulate(loadStages, loadRun(0.1, copy))) < 0.05);
});

Deno.test("the estimate follows a machine that slows down permanently", () => {
  const copy = [...evenPieces(50, 10, 1), ...evenPieces(50, 10, 2)];
  const run = loadRun(0.1, copy);
  run[2]!.pieces = evenPieces(20, 0, 2.6);
  const trace = simulate(loadStages, run);
  assert.ok(maxError(trace, 0.7) < 0.1);
});

Deno.test("bytes of an earlier run count as done but not as speed", () => {
  const run: SimulatedStage[] = [
    { stage: "survey", total: 1000, pieces: evenPieces(100, 10, 0.24) },
    { stage: "copy", total: 1000, before: 900, pieces: evenPieces(10, 10, 1) },
  ];
  const trace = simulate(loadStages.slice(0, 2), run);
  const [, first] = trace.estimates.find(([at]) => at > 24.1)!;
  assert.ok(Math.abs(first! - 10) < 1.5, String(first));
});

Deno.test("the time left is never negative, and an unplanned stage starts without an estimate", () => {
  let clock = 0;
  const estimator = new Estimator(() => clock);
  estimator.begin("alone", 100);
  assert.equal(estimator.secondsLeft, undefined);
  clock = 10;
  estimator.add(50);
  assert.equal(Math.round(estimator.secondsLeft!), 10);
  clock = 100;
  assert.equal(estimator.secondsLeft, 0);
  estimator.end();
  estimator.begin("another", 10);
  assert.equal(estimator.secondsLeft, undefined);
});
