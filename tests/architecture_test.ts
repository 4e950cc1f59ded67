/** ARCHITECTURE.md and CONTRIBUTING.md name only what exists, and ARCHITECTURE.md names every room. */
import assert from "node:assert/strict";
import { rooms } from "./house/rooms.ts";
import { root, sources } from "./house/sources.ts";

const readPage = (name: string) => Deno.readTextFile(new URL(name, root));
const architecture = await readPage("ARCHITECTURE.md");
const pages: [string, string][] = [
  ["ARCHITECTURE.md", architecture],
  ["CONTRIBUTING.md", await readPage("CONTRIBUTING.md")],
];

const listQuoted = (page: string): string[] => [...page.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);

Deno.test("ARCHITECTURE.md has at most 120 lines", () => {
  assert.ok(architecture.trimEnd().split("\n").length <= 120);
});

Deno.test("ARCHITECTURE.md states the purpose of every room", () => {
  const rows = architecture.split("\n").filter((line) => line.startsWith("| `"));
  const missing = Object.keys(rooms).filter((room) => !rows.some((row) => row.includes(`\`${room}\``)));
  assert.deepEqual(missing, []);
});

for (const [name, page] of pages) {
  Deno.test(`every path in ${name} exists`, async () => {
    const links = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, to]) => to!);
    const quoted = listQuoted(page).filter((text) => /^[\w./-]+(\/|\.(ts|json|sql|md))$/.test(text));
    const paths = [...links, ...quoted].filter((path) => path.includes("/") || path.endsWith(".md"));
    assert.ok(paths.length > 5);
    for (const path of paths.filter((path) => !path.includes("NNNN"))) await Deno.stat(new URL(path, root));
  });

  Deno.test(`every identifier in ${name} stands in the sources`, () => {
    const camelCase = listQuoted(page).filter((text) => /^[a-z]+([A-Z][a-z]*)+$/.test(text));
    assert.ok(camelCase.length > 0);
    assert.deepEqual(camelCase.filter((word) => !sources.some(({ text }) => text.includes(word))), []);
  });
}

Deno.test("every symbol in ARCHITECTURE.md is exported where it says", async () => {
  for (const [, symbol, path] of architecture.matchAll(/`(\w+)` in `([\w/]+\.ts)`/g)) {
    const text = await readPage(path!);
    assert.match(
      text,
      new RegExp(`export (async )?(function|const|class) ${symbol}\\b`),
      `${symbol} in ${path}`,
    );
  }
});
