/** docs/shadow.md lists the rules, the noise, the compared headers and the exit codes of the code. */
import assert from "node:assert/strict";
import { causes } from "../../comparison/looks.ts";
import { createCommand, exitCodes } from "../../dev/shadow/main.ts";
import { masks } from "../../comparison/masks.ts";
import { rules } from "../../comparison/rules.ts";

const page = await Deno.readTextFile(new URL("../../docs/shadow.md", import.meta.url));

/** Returns the rows of the table whose head starts with a name. */
function rowsOf(head: string, second: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line === `| ${head} | ${second} |`);
  assert.ok(start >= 0, `docs/shadow.md has no table '| ${head} | ${second} |'`);
  const rows = lines.slice(start + 2);
  return rows.slice(0, rows.findIndex((line) => !line.startsWith("|")))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("docs/shadow.md lists every rule with its description", () => {
  const intended = rules.filter(({ isNoise }) => !isNoise).map(({ name, now }) => [name, now]);
  assert.deepEqual(rowsOf("rule", "the new backend"), intended);
});

Deno.test("docs/shadow.md lists every rule for noise of the old backend with its description", () => {
  const noise = rules.filter(({ isNoise }) => isNoise).map(({ name, now }) => [name, now]);
  assert.deepEqual(rowsOf("rule", "the old backend"), noise);
});

Deno.test("docs/shadow.md lists every kind of noise", () => {
  const names = rowsOf("name", "condition").flatMap(([name]) => name!.split(", "));
  const expected = [...Object.keys(masks), "declared by the recording"].map((name) => `\`${name}\``);
  assert.deepEqual(names.toSorted(), expected.toSorted());
});

Deno.test("docs/shadow.md and --help list every exit code with its meaning", () => {
  const codes = Object.entries(exitCodes);
  assert.deepEqual(rowsOf("exit code", "meaning"), codes);
  let help = "";
  const command = createCommand().configureOutput({ writeOut: (text) => help += text });
  command.outputHelp();
  for (const [code, meaning] of codes) assert.ok(help.includes(`${code.padEnd(3)}  ${meaning}`), code);
});

Deno.test("docs/shadow.md and the glossary list every cause", async () => {
  assert.deepEqual(rowsOf("cause", "meaning").map(([name]) => name), [...causes]);
  const glossary = await Deno.readTextFile(new URL("../../docs/glossary.md", import.meta.url));
  const row = /^\| cause \| (.*) \|$/m.exec(glossary)![1]!;
  assert.deepEqual([...row.matchAll(/`(\w+)`/g)].map(([, name]) => name), [...causes]);
});
