/** The house's law (ARCHITECTURE.md «Rooms»), checked against the sources. */
import assert from "node:assert/strict";
import ts from "typescript";
import { assembly, ground, mains, rooms, workshop } from "./house/rooms.ts";
import { countLines, folderOf, locate, product, type Source, sources, visitNodes } from "./house/sources.ts";

const paths = (found: Source[]): string[] => found.map(({ path }) => path);

Deno.test("every file stands in a room", () => {
  const known = ({ path }: Source) =>
    ground.includes(path) || assembly.includes(path) || folderOf(path) in rooms ||
    workshop.some((folder) => path.startsWith(`${folder}/`));
  assert.deepEqual(paths(sources.filter((source) => !known(source))), []);
});

Deno.test("a folder holds at most 25 source files", () => {
  const counts = new Map<string, number>();
  for (const { path } of sources) counts.set(folderOf(path), (counts.get(folderOf(path)) ?? 0) + 1);
  assert.deepEqual([...counts].filter(([, count]) => count > 25), []);
});

Deno.test("a room imports only what the table lets it", () => {
  const wrong: string[] = [];
  for (const { path, imports } of product) {
    if (assembly.includes(path)) continue;
    const room = folderOf(path);
    const allowed = ground.includes(path) ? [] : [room, ...rooms[room] ?? []];
    for (const to of imports) {
      // The console runs in a browser, where the ground does not.
      const isGround = ground.includes(to) && !path.startsWith("console/");
      const isAllowed = isGround || !assembly.includes(to) && allowed.includes(folderOf(to));
      if (!isAllowed) wrong.push(`${path} imports ${to}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("the table has no cycle and no unused direction", () => {
  const used = new Set(
    product.flatMap(({ path, imports }) => imports.map((to) => `${folderOf(path)} ${folderOf(to)}`)),
  );
  const unused = Object.entries(rooms).flatMap(([room, allowed]) =>
    allowed.filter((to) => !used.has(`${room} ${to}`)).map((to) => `${room} → ${to}`)
  );
  assert.deepEqual(unused, []);
  const done = new Set<string>();
  const visit = (room: string, above: string[]): void => {
    assert.ok(!above.includes(room), `cycle: ${[...above, room].join(" → ")}`);
    if (done.has(room)) return;
    for (const to of rooms[room] ?? []) visit(to, [...above, room]);
    done.add(room);
  };
  for (const room of Object.keys(rooms)) visit(room, []);
});

Deno.test("routes import from jobs only jobs/moves", () => {
  const wrong = Object.entries(rooms).filter(([room, allowed]) =>
    room.startsWith("routes") && allowed.some((to) => to.startsWith("jobs") && to !== "jobs/moves")
  );
  assert.deepEqual(wrong, []);
});

Deno.test("v1 and v2 do not import each other", () => {
  const wrong = product.filter(({ path, imports }) =>
    imports.some((to) =>
      path.startsWith("routes/v1/") && to.startsWith("routes/v2/") ||
      path.startsWith("routes/v2/") && to.startsWith("routes/v1/")
    )
  );
  assert.deepEqual(paths(wrong), []);
});

Deno.test("nothing imports a main, and no imports form a cycle", () => {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, above: string[]): void => {
    assert.ok(!above.includes(path), `cycle: ${[...above, path].join(" → ")}`);
    if (done.has(path)) return;
    for (const to of byPath.get(path)?.imports ?? []) {
      assert.ok(!mains.includes(to), `${path} imports ${to}`);
      visit(to, [...above, path]);
    }
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
});

const onePlaceEach: [string, RegExp, RegExp][] = [
  ["the environment", /Deno\.env\b/, /^config\.ts$/],
  ["the end of the process", /Deno\.exit\b/, /^process\.ts$/],
  ["console output", /\bconsole\.|Deno\.(stdout|stderr)\b/, /^(process|log)\.ts$/],
  ["SQL", /\bsql(<[^`]*>)?`/, /^(db|migrate)\//],
  ["outgoing requests", /(?:await|return|=>?|,|\()\s*fetch\(/, /^(http\.ts$|console\/api\/)/],
];
for (const [what, pattern, where] of onePlaceEach) {
  Deno.test(`${what}: only in ${where.source}`, () => {
    assert.deepEqual(paths(product.filter(({ path, code }) => !where.test(path) && pattern.test(code))), []);
  });
}

Deno.test("file names are snake_case", () => {
  for (const { path } of sources) assert.match(path, /^([a-z0-9_]+\/)*[a-z0-9_]+(\.d)?\.tsx?$/);
});

Deno.test("no file has a default export or re-exports another", () => {
  assert.deepEqual(paths(sources.filter(({ code }) => /^export (default|\* from)/m.test(code))), []);
});

/** Longer files, each with the reason. */
const longFiles: Record<string, string> = {
  "json.ts": "one grammar, read by one class",
  "migrate/data/documents/bson_read.ts": "one grammar, read by one class",
};

Deno.test("files are small: median ≤ 120 lines, p90 ≤ 300, none over 300 but the named ones", () => {
  const sizes = product.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 })).sort((a, b) =>
    a.lines - b.lines
  );
  const at = (share: number) => sizes[Math.floor(share * (sizes.length - 1))]!.lines;
  assert.ok(at(0.5) <= 120, `median ${at(0.5)}`);
  assert.ok(at(0.9) <= 300, `p90 ${at(0.9)}`);
  assert.deepEqual(sizes.filter(({ path, lines }) => lines > 300 && !(path in longFiles)), []);
});

Deno.test("functions and methods have at most 70 lines", () => {
  const long: string[] = [];
  for (const source of product) {
    visitNodes(source.tree, (node) => {
      if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return;
      const lines = countLines(source, node);
      if (lines > 70) long.push(`${locate(source, node)} (${lines} lines)`);
    });
  }
  assert.deepEqual(long, []);
});

const isAssignment = (node: ts.Node): boolean =>
  ts.isBinaryExpression(node) &&
  node.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
  node.operatorToken.kind <= ts.SyntaxKind.LastAssignment;

/** Patterns that save lines at the reader's cost, and one that would let a text become code. */
const tricks: [string, (node: ts.Node) => boolean][] = [
  ["a tuple of `let`", (node) =>
    ts.isVariableDeclaration(node) && ts.isArrayBindingPattern(node.name) &&
    node.initializer !== undefined && ts.isArrayLiteralExpression(node.initializer) &&
    (node.parent.flags & ts.NodeFlags.Let) !== 0],
  [
    "an assignment inside an argument",
    (node) => ts.isCallExpression(node) && node.arguments.some((argument) => isAssignment(argument)),
  ],
  [
    "text that it runs as code",
    (node) =>
      (ts.isCallExpression(node) || ts.isNewExpression(node)) && ts.isIdentifier(node.expression) &&
      /^(eval|Function)$/.test(node.expression.text),
  ],
  [
    "the spread of an object literal",
    (node) => ts.isSpreadAssignment(node) && ts.isObjectLiteralExpression(node.expression),
  ],
];
for (const [name, matches] of tricks) {
  Deno.test(`no source has ${name}`, () => {
    const found: string[] = [];
    for (const source of sources) {
      visitNodes(source.tree, (node) => {
        if (matches(node)) found.push(locate(source, node));
      });
    }
    assert.deepEqual(found, []);
  });
}

/** Returns the plurals that the sources form by `counted` and `formatCounted`. The console forms its own by `Intl`. */
function listPlurals(): Set<string> {
  const plurals = new Set<string>();
  for (const source of sources.filter(({ path }) => !path.startsWith("console/"))) {
    visitNodes(source.tree, (node) => {
      if (
        !ts.isCallExpression(node) || !/^(counted|formatCounted)$/.test(node.expression.getText(source.tree))
      ) return;
      const [, one, many] = node.arguments;
      if (!one || !ts.isStringLiteral(one)) return;
      const plural = many && ts.isStringLiteral(many) ? many.text : `${one.text}s`;
      plurals.add(plural.split(" ").at(-1)!);
    });
  }
  return plurals;
}

Deno.test("a count before a noun has the right plural: messages use counted() or formatCounted()", () => {
  const plurals = listPlurals();
  assert.ok(plurals.size > 20);
  // One adjective may stand before the noun.
  const pattern = new RegExp(`^ (?:(?!no |of |on )[a-z-]+ )?(?:${[...plurals].join("|")})\\b(?!/)`);
  // v1 repeats the texts of the old backend. A maximum or minimum in these texts is never 1.
  const isFixed = /(?:Max|Min|\bmax)$/;
  const wrong: string[] = [];
  for (const source of product.filter(({ path }) => !/^(routes\/v1|console)\//.test(path))) {
    visitNodes(source.tree, (node) => {
      if (!ts.isTemplateExpression(node) || ts.isTaggedTemplateExpression(node.parent)) return;
      for (const { expression, literal } of node.templateSpans) {
        const count = expression.getText(source.tree);
        if (pattern.test(literal.text) && !isFixed.test(count)) {
          wrong.push(`${locate(source, node)}: ${count}`);
        }
      }
    });
  }
  assert.deepEqual(wrong, []);
});

Deno.test("legacy words stay in v1, in the comparison with the old backend and in the migration", () => {
  const wrong = product.filter(({ path, text }) =>
    /dramatiq/.test(text) && !/^(routes\/v1\/|migrate\/|db\/(v1|traffic|migration)\/|comparison\/)/.test(path)
  );
  assert.deepEqual(paths(wrong), []);
});

Deno.test("no file holds a path of some machine", () => {
  const wrong = sources.filter(({ text }) => /["'`\s(]\/(tmp|work|root|home)\/[a-z]/.test(text));
  assert.deepEqual(paths(wrong).filter((path) => path !== "tests/house_test.ts"), []);
});
