/** Code and documents cite only files of this repository. */
import assert from "node:assert/strict";
import { sources } from "../house/sources.ts";
import { pages, root } from "./support/pages.ts";

const folders = [
  "bench",
  "comparison",
  "db",
  "dev",
  "docs",
  "jobs",
  "migrate",
  "redis",
  "routes",
  "statistics",
  "tests",
];
/** Names with a placeholder, and a name in an import map. */
const placeholders = new Set(["migrate/schema/NNNN_noun.sql", "docs/package.json"]);

async function readAll(): Promise<Map<string, string>> {
  const texts = new Map(pages);
  for (const { path, text } of sources) texts.set(path, text);
  for await (const { name } of Deno.readDir(new URL("migrate/schema/", root))) {
    const path = `migrate/schema/${name}`;
    if (name.endsWith(".sql")) texts.set(path, await Deno.readTextFile(new URL(path, root)));
  }
  return texts;
}

const citation = new RegExp(
  `(?<![\\w./*-])(?:[A-Za-z][\\w-]*\\.md|(?:${folders.join("|")})/[\\w/.-]*\\.(?:ts|sql|md|json))\\b`,
  "g",
);

const exists = (path: string): Promise<boolean> =>
  Deno.stat(new URL(path, root)).then(() => true, () => false);

Deno.test("every cited file exists", async () => {
  const missing: string[] = [];
  let count = 0;
  for (const [path, text] of await readAll()) {
    const folder = path.replace(/[^/]*$/, "");
    for (const [name] of text.matchAll(citation)) {
      if (placeholders.has(name)) continue;
      count++;
      // From the root, from the citing file, from the tests, or among the documents.
      const places = [name, `${folder}${name}`, `tests/${name}`, `docs/${name}`];
      const found = await Promise.all(places.map(exists));
      if (!found.includes(true)) missing.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(missing, []);
  assert.ok(count > 100, `${count} citations`);
});
