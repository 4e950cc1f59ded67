/** `deno task bench all`: what it makes of the reports of benches. */
import assert from "node:assert/strict";
import { readMachine } from "../../bench/all/machine.ts";
import { addRun, createResult } from "../../bench/all/result.ts";
import { formatLeft, minutesLeft } from "../../bench/all/time_left.ts";
import { parseBenches } from "../../bench/benches.ts";
import { parseReport, type RunReport } from "../../bench/report.ts";

const report: RunReport = {
  figures: [
    { what: "rate", value: 10, unit: "/s", spread: [9, 11], goal: { text: "≥ 5 /s", met: true } },
    { what: "delay", value: 7, unit: "ms", goal: { text: "≤ 5 ms", met: false } },
    { what: "memory", value: 100, unit: "MiB" },
  ],
  seconds: 3,
  loads: [1, 2],
  cores: 2,
  met: 1,
  goals: 2,
};

const run = (bench: string) => ({
  bench,
  at: "2026-01-02T03:04:05.000Z",
  quick: false,
  seconds: 4,
  loads: [0.5, 2] as [number, number],
});

Deno.test("addRun() names the bench of each figure and adds the goals up", () => {
  const machine = readMachine();
  const empty = createResult(machine, 2);
  const result = addRun(addRun(empty, run("queue"), { exitCode: 0, report }), run("load"), {
    exitCode: 0,
    report,
  });
  assert.deepEqual(result.figures.map(({ bench, what }) => `${bench} ${what}`), [
    ...["queue rate", "queue delay", "queue memory"],
    ...["load rate", "load delay", "load memory"],
  ]);
  assert.deepEqual([result.met, result.goals, result.seconds], [2, 4, 8]);
  assert.deepEqual(result.benches[1], { ...run("load"), goals: 2, met: 1 });
  assert.deepEqual(result.failed, []);
  assert.deepEqual([result.machine, result.cores], [machine, 2]);
});

Deno.test("addRun() names a bench that failed, and keeps the figures of one that failed after its report", () => {
  const empty = createResult(readMachine(), 2);
  const silent = addRun(empty, run("queue"), { exitCode: 1 });
  assert.deepEqual([silent.failed, silent.benches, silent.figures], [
    [{ bench: "queue", exitCode: 1 }],
    [],
    [],
  ]);
  const late = addRun(empty, run("queue"), { exitCode: 70, report });
  assert.deepEqual([late.failed, late.figures.length], [[{ bench: "queue", exitCode: 70 }], 3]);
  const withoutReport = addRun(empty, run("queue"), { exitCode: 0 });
  assert.deepEqual(withoutReport.failed, [{ bench: "queue", exitCode: 0 }]);
});

const outputs: [what: string, output: string, isReport: boolean][] = [
  ["the last line of several", `note\n${JSON.stringify(report)}\n`, true],
  ["one line without its end", JSON.stringify(report), true],
  ["no output", "", false],
  ["text", "error: no psql\n", false],
  ["JSON without figures", '{"seconds":1}\n', false],
  ["null", "null\n", false],
  ["a report that another line follows", `${JSON.stringify(report)}\nstopping\n`, false],
];
for (const [what, output, isReport] of outputs) {
  Deno.test(`parseReport() reads a report from ${what}: ${isReport}`, () => {
    assert.deepEqual(parseReport(output), isReport ? report : undefined);
  });
}

Deno.test("parseBenches() keeps the order of the table and rejects an unknown name", () => {
  assert.deepEqual(parseBenches("load, queue"), ["queue", "load"]);
  for (const text of ["", "nope", "queue,", "constructor"]) {
    assert.throws(() => parseBenches(text), { code: "usage" }, text);
  }
});

Deno.test("the time left follows from the usual durations and from how slow this machine has been", () => {
  assert.equal(minutesLeft([5, 10], 0, 0, 0), 15);
  assert.equal(minutesLeft([5, 10], 0, 2, 0), 13);
  // The first bench has taken twice its usual time.
  assert.equal(minutesLeft([5, 10, 1], 1, 4, 10), 18);
  assert.equal(minutesLeft([5, 10], 1, 60, 5), 0);
  assert.deepEqual([0.4, 1, 17.6].map(formatLeft), ["under a minute", "about 1 min", "about 18 min"]);
});
