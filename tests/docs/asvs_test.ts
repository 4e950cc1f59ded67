/** docs/asvs.md: a complete table of the requirements, whose evidence exists, and figures that agree with it. */
import assert from "node:assert/strict";
import { readPage, root } from "./support/pages.ts";

interface Row {
  number: string;
  level: number;
  topic: string;
  state: string;
  evidence: string;
}

const page = readPage("docs/asvs.md");
const rows: Row[] = [...page.matchAll(/^\| (\d+\.\d+\.\d+) \| (\d) \| (.+?) \| (.+?) \| (.+) \|$/gm)].map(
  ([, number, level, topic, state, evidence]) => ({
    number: number!,
    level: Number(level),
    topic: topic!,
    state: state!,
    evidence: evidence!,
  }),
);

const texts = new Map<string, string>();
const read = (path: string): string => {
  const text = texts.get(path) ?? Deno.readTextFileSync(new URL(path, root));
  texts.set(path, text);
  return text;
};

Deno.test("the table has each requirement of levels 1 and 2 once, in order, with a valid state", () => {
  const wanted = read("tests/data/asvs.txt").trim().split("\n");
  assert.deepEqual(rows.map(({ number, level }) => `${number} ${level}`), wanted);
  for (const { number, state } of rows) {
    assert.ok(["met", "not applicable", "not met"].includes(state), `${number}: ${state}`);
  }
});

Deno.test("each requirement that is met names tests, pages or files that exist", () => {
  for (const { number, state, evidence } of rows) {
    if (state !== "met") continue;
    for (const part of evidence.split(/; (?=[`[])/)) {
      const [, file, name] = /^`(tests\/[\w/]+_test\.ts)`: «(.+)»$/.exec(part) ?? [];
      if (file !== undefined) {
        const source = read(file);
        assert.match(source, /Deno\.test\(/, file);
        assert.ok(source.includes(name!), `${number}: ${file} has no test «${name}»`);
        continue;
      }
      const path = /^`([\w/.]+)`$/.exec(part)?.[1];
      const target = /^\[[\w.]+\]\(([\w.]+)#[\w-]+\)$/.exec(part)?.[1];
      assert.ok(path ?? target, `${number}: ${part}`);
      Deno.statSync(new URL(path ?? `docs/${target}`, root));
    }
  }
});

Deno.test("the figures agree with the table: all of level 1, and 85 % of level 2", () => {
  for (const [level, goal] of [[1, 1], [2, 0.85]] as const) {
    const states = rows.filter((row) => row.level === level).map(({ state }) => state);
    const count = (state: string) => states.filter((one) => one === state).length;
    const met = count("met");
    const applicable = met + count("not met");
    const share = `${Math.round(met / applicable * 1000) / 10} %`;
    const figures = `| ${level} | ${met} | ${applicable} | ${share} | ${count("not applicable")} |`;
    assert.ok(page.includes(figures), `the page lacks «${figures}»`);
    assert.ok(met / applicable >= goal, `level ${level}: ${share}`);
  }
});
