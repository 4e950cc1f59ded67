/** The judgement of `deno task bench guard`, with made-up figures. */
import assert from "node:assert/strict";
import {
  compare,
  isMoreBetter,
  judgeAgain,
  listSuspects,
  type Row,
  type Verdict,
} from "../../bench/guard/judge.ts";
import type { Figure } from "../../bench/report.ts";

const figures = (what: string, unit: string, ...values: number[]): Figure[] =>
  values.map((value) => ({ what, value, unit }));

const one = (unit: string, base: number[], head: number[]): Row =>
  compare("made up", { base: figures("it", unit, ...base), head: figures("it", unit, ...head) })[0]!;

Deno.test("more is better for rates and ratios, less for times and memory", () => {
  for (const unit of ["/s", "req/s", "cells/s", "doc/s", "×", "fps"]) {
    assert.equal(isMoreBetter(unit), true, unit);
  }
  for (const unit of ["ms", "s", "KB", "MB", "MiB"]) assert.equal(isMoreBetter(unit), false, unit);
  for (const unit of ["%", "", "slots"]) assert.equal(isMoreBetter(unit), undefined, unit);
});

const cases: [
  what: string,
  unit: string,
  base: number,
  head: number,
  ratio: number | undefined,
  verdict: Verdict,
][] = [
  ["a rate that falls by 20 %", "/s", 100, 80, 0.8, "loss"],
  ["a rate that falls by exactly 15 %", "/s", 100, 85, 0.85, "same"],
  ["a rate that rises by 20 %", "/s", 100, 120, 1.2, "better"],
  ["a ratio that falls to a half", "×", 1, 0.5, 0.5, "loss"],
  ["a time that rises by 25 %", "ms", 100, 125, 0.8, "loss"],
  ["a time that rises by 10 %", "ms", 100, 110, 100 / 110, "same"],
  ["a time that falls to a half", "s", 10, 5, 2, "better"],
  ["memory that doubles", "MiB", 100, 200, 0.5, "loss"],
  ["two zeros", "ms", 0, 0, 1, "same"],
  ["a time that was zero", "ms", 0, 1, 0, "loss"],
  ["a rate that becomes zero", "/s", 5, 0, 0, "loss"],
  ["a share", "%", 90, 10, undefined, "not judged"],
];
for (const [what, unit, base, head, ratio, verdict] of cases) {
  Deno.test(`${what}: ${verdict}`, () => {
    const row = one(unit, [base], [head]);
    assert.deepEqual([row.ratio, row.verdict], [ratio, verdict]);
  });
}

Deno.test("medians are compared, so that one slow round is no loss", () => {
  const row = one("ms", [10, 11, 10], [10, 90, 11]);
  assert.deepEqual([row.base, row.head, row.verdict], [10, 11, "same"]);
});

Deno.test("figures of one side only are listed, and a figure with another unit is another figure", () => {
  const rows = compare("made up", {
    base: [...figures("old", "ms", 1, 3), ...figures("renamed", "ms", 1)],
    head: [...figures("new", "/s", 4), ...figures("renamed", "s", 1)],
  });
  assert.deepEqual(rows.map(({ what, unit, base, head, verdict }) => [what, unit, base, head, verdict]), [
    ["old", "ms", 2, undefined, "only in base"],
    ["renamed", "ms", 1, undefined, "only in base"],
    ["new", "/s", undefined, 4, "only in head"],
    ["renamed", "s", undefined, 1, "only in head"],
  ]);
  assert.deepEqual(listSuspects(rows), []);
});

const row = (measure: string, verdict: Verdict, ratio: number): Row => ({
  measure,
  what: "it",
  unit: "ms",
  base: 1,
  head: 1,
  ratio,
  verdict,
});

Deno.test("only measures with a loss are measured again, each once", () => {
  const rows = [row("a", "loss", 0.5), { ...row("a", "loss", 0.5), what: "other" }, row("b", "same", 1)];
  assert.deepEqual(listSuspects(rows), ["a"]);
});

Deno.test("judgeAgain() calls a loss repeated only if the second measurement shows it too", () => {
  const rows = [row("a", "loss", 0.5), row("b", "loss", 0.5), row("c", "loss", 0.5), row("d", "same", 1)];
  const again = [row("a", "loss", 0.7), row("b", "same", 0.9), row("d", "loss", 0.1)];
  assert.deepEqual(judgeAgain(rows, again).map(({ verdict, ratioAgain }) => [verdict, ratioAgain]), [
    ["loss repeated", 0.7],
    ["loss not repeated", 0.9],
    // The second measurement has no such figure.
    ["loss not repeated", undefined],
    ["same", undefined],
  ]);
});
