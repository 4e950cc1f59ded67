/** docs/benches.md and the figures that it shows. */
import assert from "node:assert/strict";
import { readMachine } from "../../bench/all/machine.ts";
import { addRun, createResult } from "../../bench/all/result.ts";
import { formatStored, merge, parseResult, parseStored, type Stored } from "../../bench/docs/stored.ts";
import { formatValue, render } from "../../bench/docs/tables.ts";
import { benches } from "../../bench/benches.ts";
import type { RunReport } from "../../bench/report.ts";

const root = new URL("../../", import.meta.url);
const page = await Deno.readTextFile(new URL("docs/benches.md", root));
const storedText = await Deno.readTextFile(new URL("docs/benches.json", root));

Deno.test("docs/benches.md is what `deno task bench docs` writes for docs/benches.json", () => {
  const stored = parseStored(storedText, "docs/benches.json");
  assert.equal(render(page, stored), page);
  assert.equal(formatStored(stored), storedText);
  for (const { bench, goals, met } of stored.benches) {
    const judged = stored.figures.filter((figure) => figure.bench === bench && figure.goal);
    assert.deepEqual([judged.length, judged.filter(({ goal }) => goal!.met).length], [goals, met], bench);
  }
});

const report: RunReport = {
  figures: [
    {
      what: "rate | of all",
      value: 12345.6,
      unit: "/s",
      spread: [9, 11.5],
      goal: { text: "≥ 5 /s", met: true },
    },
    { what: "delay", value: 7.25, unit: "ms", spread: [7.25, 7.25], goal: { text: "≤ 5 ms", met: false } },
    { what: "lost", value: 0, unit: "", note: "of many" },
    { what: "delay, p99", value: 9, unit: "ms", minor: true },
  ],
  seconds: 100,
  loads: [1, 2],
  cores: 2,
  met: 1,
  goals: 2,
};

const runOf = (bench: string) => ({
  bench,
  at: "2026-01-02T03:04:05.678Z",
  quick: false,
  seconds: 130,
  loads: [0.5, 2] as [number, number],
});
const machine = readMachine();
const resultOf = (bench: string, exitCode = 0) =>
  addRun(createResult(machine, 2), runOf(bench), { exitCode, report });

const empty: Stored = { benches: [], figures: [] };
const marks = Object.keys(benches).map((name) => `<!-- figures of ${name} -->\n<!-- end of the figures -->`);

Deno.test("render() writes a table between the marks of a bench and keeps what stands around", () => {
  const result = parseResult(`${JSON.stringify(resultOf("queue"))}\n`, "file");
  const text = render(`before\n${marks.join("\nbetween\n")}\nafter\n`, merge(empty, result));
  const [, section = ""] = text.split("<!-- figures of queue -->\n");
  const lines = section.split("\n");
  assert.match(
    lines[0]!,
    /^`deno task bench queue` on 2026-01-02, 2 min, at a load average of 0\.5 .* on 2 cores/,
  );
  assert.match(
    lines[0]!,
    new RegExp(`Deno ${Deno.version.deno}, PostgreSQL \\d+\\.\\d+\\)\\. 1 of 2 goals met\\.$`),
  );
  assert.deepEqual(lines.slice(1, 9), [
    "",
    "| figure | value | spread | goal | result |",
    "|---|---:|---:|---|---|",
    "| rate \\| of all | 12,346 /s | 9–11.5 | ≥ 5 /s | met |",
    "| delay | 7.25 ms | | ≤ 5 ms | missed |",
    "| lost | 0 | | | |",
    "<!-- end of the figures -->",
    "between",
  ]);
  assert.ok(text.startsWith("before\n") && text.endsWith("after\n"));
  // A second writing changes nothing.
  assert.equal(render(text, merge(empty, result)), text);
});

Deno.test("render() names the marks that a page lacks", () => {
  assert.throws(() => render(marks.slice(1).join("\n"), empty), {
    code: "invalid_source",
    message: /'queue': the page needs the lines '<!-- figures of queue -->'/,
  });
});

Deno.test("merge() replaces the benches of a result, keeps the others, and keeps the former figures of one that failed", () => {
  const parsed = (bench: string, exitCode = 0) =>
    parseResult(JSON.stringify(resultOf(bench, exitCode)), "file");
  const first = merge(merge(empty, parsed("load")), parsed("queue"));
  assert.deepEqual(first.benches.map(({ bench }) => bench), ["queue", "load"]);
  assert.deepEqual([...new Set(first.figures.map(({ bench }) => bench))], ["queue", "load"]);
  const changed = parsed("load");
  changed.figures = changed.figures.slice(0, 1);
  assert.equal(merge(first, changed).figures.length, 5);
  assert.deepEqual(merge(first, parsed("load", 1)), first);
  assert.deepEqual(parseStored(formatStored(first), "file"), first);
});

const faults: [what: string, text: string, message: RegExp][] = [
  ["an empty file", "", /the last line is no JSON/],
  ["text", "3 of 4 goals met\n", /the last line is no JSON/],
  ["the report of one bench", JSON.stringify(report), /benches: /],
  ["an unknown bench", JSON.stringify(resultOf("nope")), /benches\.0\.bench: /],
  [
    "a figure without a value",
    JSON.stringify(resultOf("queue")).replace("12345.6", "null"),
    /figures\.0\.value: /,
  ],
];
for (const [what, text, message] of faults) {
  Deno.test(`parseResult() rejects ${what}`, () => {
    assert.throws(() => parseResult(text, "file"), { code: "invalid_source", message });
  });
}

Deno.test("formatValue() shows three digits, and counts as they are", () => {
  const values = [0, 3, 0.123, 9.999, 12.34, 123.4, 20000, 12345.6, -0.3].map(formatValue);
  assert.deepEqual(values, ["0", "3", "0.12", "10.00", "12.3", "123", "20,000", "12,346", "-0.30"]);
});
