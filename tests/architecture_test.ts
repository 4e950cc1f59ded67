/** ARCHITECTURE.md names only what exists, and every room. */
import assert from "node:assert/strict";
import { rooms } from "./house/rooms.ts";
import { product, root } from "./house/sources.ts";

const page = await Deno.readTextFile(new URL("ARCHITECTURE.md", root));
const quoted = [...page.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);

Deno.test("ARCHITECTURE.md has at most 120 lines", () => {
  assert.ok(page.trimEnd().split("\n").length <= 120);
});

Deno.test("every path in ARCHITECTURE.md exists", async () => {
  const links = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, to]) => to!);
  const paths = [...links, ...quoted.filter((text) => /^[\w./-]+(\/|\.(ts|json|sql|md))$/.test(text))];
  assert.ok(paths.length > 40);
  for (const path of paths) await Deno.stat(new URL(path, root));
});

Deno.test("every symbol in ARCHITECTURE.md is exported where it says", async () => {
  for (const [, symbol, path] of page.matchAll(/`(\w+)` in `([\w/]+\.ts)`/g)) {
    const text = await Deno.readTextFile(new URL(path!, root));
    assert.match(
      text,
      new RegExp(`export (async )?(function|const|class) ${symbol}\\b`),
      `${symbol} in ${path}`,
    );
  }
});

Deno.test("every identifier in ARCHITECTURE.md stands in the sources", () => {
  const camelCase = quoted.filter((text) => /^[a-z]+([A-Z][a-z]*)+$/.test(text));
  for (const name of camelCase) {
    assert.ok(product.some(({ text }) => text.includes(name)), name);
  }
});

Deno.test("ARCHITECTURE.md states the purpose of every room", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const missing = Object.keys(rooms).filter((room) => !rows.some((row) => row.includes(`\`${room}\``)));
  assert.deepEqual(missing, []);
});
