/** docs/glossary.md: its terms and the names that it lists. */
import assert from "node:assert/strict";
import { roles } from "../../db/people/users.ts";
import { queues } from "../../db/queue/subtasks.ts";
import { axisRoles } from "../../db/queue/task_fields.ts";

const text = await Deno.readTextFile(new URL("../../docs/glossary.md", import.meta.url));
const rows = new Map(
  [...text.matchAll(/^\| (.+?) \| (.+) \|$/gm)].slice(1).map((
    [, term, meaning],
  ): [string, string] => [term!, meaning!]),
);

/** Returns the names in code font in the meaning of a term. */
const namesIn = (term: string): string[] =>
  [...rows.get(term)?.matchAll(/`([a-z_]+)`/g) ?? []].map(([, name]) => name!);

Deno.test("the glossary defines each term once, in alphabetical order", () => {
  const terms = [...text.matchAll(/^\| (.+?) \|/gm)].slice(2).map(([, term]) => term!);
  assert.ok(terms.length > 100);
  assert.deepEqual(terms, [...new Set(terms)].toSorted((a, b) => a.localeCompare(b, "en")));
});

Deno.test("the glossary lists the roles and queues that the code has", () => {
  assert.deepEqual(namesIn("role"), [...roles, ...axisRoles]);
  assert.deepEqual(namesIn("member").toSorted(), roles.filter((role) => role !== "guest").toSorted());
  assert.deepEqual(namesIn("queue"), [...queues]);
});
