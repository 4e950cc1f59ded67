/** The estimated time left of simulated and recorded runs, as shares of the total time, after the first 5 %. */
import assert from "node:assert/strict";
import { loadStages as planLoad } from "../../migrate/data/load/stages.ts";
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

Deno.test("the estimate adapts to a copy speed other than the survey's within 60 % of the copying", () => {
  // Copying and settling cost half and twice as much as expected.
  for (const factor of [0.5, 2]) {
    const run = loadRun(0.1);
    run[1]!.pieces = evenPieces(100, 10, factor);
    run[2]!.pieces = evenPieces(20, 0, 1.3 * factor);
    const trace = simulate(loadStages, run);
    const learned = (24 + 60 * factor) / trace.totalSeconds;
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

Deno.test("a slow beginning of each stage and slow small collections do not distort the estimate", () => {
  // The first second of the survey runs at a fifth of the speed. Tasks come first, and cost 20 times as much.
  const slowStart = (pieces: Piece[]) => pieces.map((piece, i) => i < 2 ? { ...piece, seconds: 0.5 } : piece);
  const [survey, copy, settle] = loadRun(0.05) as [SimulatedStage, SimulatedStage, SimulatedStage];
  survey.pieces = [{ bytes: 2, seconds: 0.5 }, ...slowStart(evenPieces(100, 10, 0.12))];
  survey.total = 1002;
  survey.turns = [1];
  copy.pieces = [{ bytes: 2, seconds: 1 }, ...slowStart(evenPieces(100, 10, 0.5))];
  copy.total = 1002;
  copy.turns = [0, 1];
  assert.ok(maxError(simulate(loadStages, [survey, copy, settle])) < 0.1);
});

Deno.test("the late stages are part of the estimate from the beginning", () => {
  const trace = simulate(loadStages, loadRun(0.1));
  const [at, left] = trace.estimates.find(([at]) => at >= trace.totalSeconds * 0.02)!;
  assert.ok(Math.abs(at + left! - trace.totalSeconds) < trace.totalSeconds * 0.02, String(left));
});

Deno.test("a run that is over before its warm-up has estimates that end near zero", () => {
  const trace = simulate(loadStages, loadRun(0.0003));
  assert.ok(trace.totalSeconds < 1);
  assert.ok(trace.estimates.slice(2).every(([, left]) => Number.isFinite(left) && left! >= 0));
  assert.ok(maxError(trace) < 0.1);
  for (const [, left] of simulate(loadStages, loadRun(0)).estimates) {
    assert.ok(left === undefined || left >= 0);
  }
});

/** Returns the work of ranges, from the MB that were processed in each span of some seconds. */
const recorded = (seconds: number, ...megabytes: number[]): Piece[] =>
  megabytes.flatMap((all) => evenPieces(30, all * 1e6 / 30, seconds / 30));

/** A load of 2,000,000 subtasks: fast until the server has to write its pages, then slower. */
const recordedLoad: SimulatedStage[] = [
  {
    stage: "checking the source",
    total: 1976e6,
    pieces: [...recorded(3, 346, 327, 317, 321, 331, 310), ...recorded(0.9, 24)],
  },
  {
    stage: "loading",
    total: 1976e6,
    // The server first lists the tasks.
    turns: [1],
    pieces: [
      { seconds: 1.47, bytes: 1e6 },
      ...recorded(1.6, 50),
      ...recorded(
        ...[3.02, 103, 113, 105, 107, 109, 111, 103, 78, 73, 55, 36, 73, 67] as const,
        ...[71, 71, 82, 80, 61, 48, 69, 65, 78, 63, 63, 42] as const,
      ),
    ],
  },
  { stage: "settling", total: 0, pieces: evenPieces(18, 0, 1) },
];

Deno.test("the estimate of a recorded load is not misled by its fast beginning", () => {
  const trace = simulate(planLoad("fast lines", { all: 1976e6 }), recordedLoad);
  assert.ok(maxError(trace) < 0.18, String(maxError(trace)));
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
