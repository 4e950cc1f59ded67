/** The time left, told of simulated runs: within a tenth of the whole from the first twentieth on. */
import assert from "node:assert/strict";
import { Estimator, type Stage } from "../../migrate/data/tools/eta.ts";

/** A piece of work in a run: how long it takes, and what it adds. */
interface Piece {
  seconds: number;
  bytes: number;
}

interface Simulated {
  stage: string;
  total: number;
  /** Of an earlier run. */
  before?: number;
  pieces: Piece[];
  /** Places of pieces before which another collection begins. */
  turns?: number[];
}

interface Trace {
  whole: number;
  /** When it was told, and what. */
  told: [at: number, left: number | undefined][];
}

function simulate(plans: Stage[], run: Simulated[]): Trace {
  let clock = 0;
  const estimator = new Estimator(() => clock);
  const told: Trace["told"] = [];
  estimator.plan(plans);
  for (const { stage, total, before = 0, pieces, turns = [] } of run) {
    estimator.begin(stage, total);
    if (before > 0) estimator.resume(before);
    for (const [i, { seconds, bytes }] of pieces.entries()) {
      if (turns.includes(i)) estimator.turn();
      // Told in between, too, as a heartbeat does.
      clock += seconds / 2;
      told.push([clock, estimator.secondsLeft]);
      clock += seconds / 2;
      // A stage without a measure is told of by the heartbeat alone.
      if (bytes > 0) estimator.add(bytes);
      told.push([clock, estimator.secondsLeft]);
    }
  }
  estimator.end();
  return { whole: clock, told };
}

/** The greatest error after a share of the time, as a share of the whole. */
function worstOf({ whole, told }: Trace, from = 0.05): number {
  const late = told.filter(([at]) => at >= whole * from);
  assert.ok(late.length > 0);
  return Math.max(
    ...late.map(([at, left]) => left === undefined ? Infinity : Math.abs(at + left - whole) / whole),
  );
}

const even = (count: number, bytes: number, seconds: number): Piece[] =>
  Array.from({ length: count }, () => ({ bytes, seconds }));

/** The same numbers in every run, from 0 to 1. */
function makeDice(): () => number {
  let state = 7;
  return () => (state = state * 16_807 % 2_147_483_647) / 2_147_483_647;
}

const load: Stage[] = [
  { name: "survey", units: 240 },
  { name: "copy", units: 1000 },
  { name: "settle", units: 260 },
];
const whole = (perByte: number, copy = even(100, 10, 10 * perByte)): Simulated[] => [
  { stage: "survey", total: 1000, pieces: even(100, 10, 2.4 * perByte) },
  { stage: "copy", total: 1000, pieces: copy },
  { stage: "settle", total: 0, pieces: even(20, 0, 13 * perByte) },
];

Deno.test("an even run whose stages cost what was guessed is told exactly", () => {
  for (const perByte of [0.001, 0.1, 10]) assert.ok(worstOf(simulate(load, whole(perByte))) < 0.02);
});

Deno.test("pieces of uneven length are smoothed", () => {
  const dice = makeDice();
  const copy = Array.from({ length: 400 }, () => {
    const bytes = 2.5;
    return { bytes, seconds: bytes * 0.05 * (dice() < 0.1 ? 2 : 0.89) };
  });
  assert.ok(worstOf(simulate(load, whole(0.05, copy))) < 0.1);
});

Deno.test("a speed that is another than that of the survey is learned within an eighth of the copying", () => {
  // Half and twice as dear as guessed; the tail, too.
  for (const factor of [0.5, 2]) {
    const run = whole(0.1);
    run[1]!.pieces = even(100, 10, factor);
    run[2]!.pieces = even(20, 0, 1.3 * factor);
    const trace = simulate(load, run);
    const learned = (24 + 12.5 * factor) / trace.whole;
    assert.ok(worstOf(trace, learned) < 0.1, String(factor));
  }
});

Deno.test("small collections of a dearer kind do not spoil what comes after them", () => {
  const copy = [...even(4, 10, 4), ...even(96, 10, 1)];
  const run = whole(0.1, copy);
  run[1]!.turns = [2, 4];
  const trace = simulate(load, run);
  assert.ok(worstOf(trace, (24 + 16 + 10) / trace.whole) < 0.1);
});

Deno.test("the first piece of a stage, with others begun behind it, is no measure", () => {
  const copy = [{ bytes: 10, seconds: 4 }, ...even(99, 10, 1)];
  assert.ok(worstOf(simulate(load, whole(0.1, copy))) < 0.05);
});

Deno.test("a machine that slows down for good is followed", () => {
  const copy = [...even(50, 10, 1), ...even(50, 10, 2)];
  const run = whole(0.1, copy);
  run[2]!.pieces = even(20, 0, 2.6);
  const trace = simulate(load, run);
  assert.ok(worstOf(trace, 0.7) < 0.1);
});

Deno.test("what an earlier run did counts as done, not as fast", () => {
  const run: Simulated[] = [
    { stage: "survey", total: 1000, pieces: even(100, 10, 0.24) },
    { stage: "copy", total: 1000, before: 900, pieces: even(10, 10, 1) },
  ];
  const trace = simulate(load.slice(0, 2), run);
  const [, first] = trace.told.find(([at]) => at > 24.1)!;
  assert.ok(Math.abs(first! - 10) < 1.5, String(first));
});

Deno.test("the time left never goes below zero, and a stage that was not planned starts from nothing", () => {
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
