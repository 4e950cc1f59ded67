/** The house's law (ARCHITECTURE.md «Rooms and law»), read out of the sources. */
import assert from "node:assert/strict";

const root = new URL("../", import.meta.url);
const rooms = ["routes", "db", "jobs", "migrate", "dev", "tests", "bench"];
const ground = ["config.ts", "errors.ts", "log.ts", "metrics.ts", "json.ts", "process.ts"];
const mains = ["main.ts", "jobs/main.ts", "migrate/main.ts"];

interface Source {
  path: string;
  text: string;
  /** The text without comments and without what stands in quotes. */
  code: string;
  /** Paths of our own files that it imports. */
  imports: string[];
}

function* walk(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(folder === "" ? "./" : `${folder}/`, root))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory && (folder !== "" || rooms.includes(entry.name)) && path !== "tests/data") {
      yield* walk(path);
    } else if (entry.isFile && path.endsWith(".ts")) yield path;
  }
}

function readSource(path: string): Source {
  const text = Deno.readTextFileSync(new URL(path, root));
  const bare = text.replace(/\/\*[\s\S]*?\*\//g, "");
  const found = bare.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g);
  const imports = [...found].map(([, to]) => new URL(to!, new URL(path, root)).href.slice(root.href.length));
  const code = bare
    .replace(/(^|\s)\/\/.*$/gm, "")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
  return { path, text, code, imports };
}

const sources = [...walk("")].map(readSource);
const product = sources.filter(({ path }) => !/^(dev|tests|bench)\//.test(path));

function roomOf(path: string): string {
  if (ground.includes(path)) return "ground";
  if (path === "deps.ts" || mains.includes(path)) return "top";
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "unknown";
}

const mayImport: Record<string, string[]> = {
  ground: ["ground"],
  db: ["ground", "db"],
  jobs: ["ground", "db", "jobs"],
  migrate: ["ground", "db", "migrate"],
  routes: ["ground", "db", "routes", "jobs"],
  top: ["ground", "db", "jobs", "migrate", "routes", "top"],
};

/** Of jobs, what plans, submits, cancels and watches; the limiter, as Redis commands are written in jobs alone; the batcher. */
const jobsForRoutes = [
  "jobs/submit.ts",
  "jobs/cancel.ts",
  "jobs/control.ts",
  "jobs/events.ts",
  "jobs/limiter.ts",
  "jobs/batch.ts",
  "jobs/plan.ts",
];

Deno.test("a room imports only what its level may", () => {
  const wrong: string[] = [];
  for (const { path, imports } of product) {
    const room = roomOf(path);
    assert.notEqual(room, "unknown", `${path} stands in no room`);
    for (const to of imports) {
      const target = roomOf(to);
      const allowed = mayImport[room]!.includes(target) && (room === "top" || target !== "top");
      const narrow = room === "routes" && target === "jobs" && !jobsForRoutes.includes(to);
      if (!allowed || narrow) wrong.push(`${path} imports ${to}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("v1 and v2 do not know each other", () => {
  const wrong = product.filter(({ path, imports }) =>
    imports.some((to) =>
      path.startsWith("routes/v1/") && to.startsWith("routes/v2/") ||
      path.startsWith("routes/v2/") && to.startsWith("routes/v1/")
    )
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("nothing imports a main, and no imports go in a circle", () => {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, above: string[]): void => {
    assert.ok(!above.includes(path), `a circle: ${[...above, path].join(" → ")}`);
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
  ["outgoing requests", /(?:await|return|=>?|,|\()\s*fetch\(/, /^jobs\/http\.ts$/],
];
for (const [what, pattern, where] of onePlaceEach) {
  Deno.test(`${what}: in ${where.source} only`, () => {
    const wrong = product.filter(({ path, code }) => !where.test(path) && pattern.test(code));
    assert.deepEqual(wrong.map(({ path }) => path), []);
  });
}

Deno.test("files are snake_case, without default exports and barrels", () => {
  for (const { path, code } of sources) {
    assert.match(path, /^([a-z0-9_]+\/)*[a-z0-9_]+(\.d)?\.ts$/);
    assert.doesNotMatch(code, /^export default/m, path);
    assert.doesNotMatch(code, /^export \* from/m, path);
  }
});

Deno.test("files are small: median ≤ 120 lines, p90 ≤ 300, none over 400", () => {
  const sizes = product.map(({ path, text }) => ({ path, lines: text.split("\n").length })).sort((a, b) =>
    a.lines - b.lines
  );
  const at = (share: number) => sizes[Math.floor(share * (sizes.length - 1))]!.lines;
  assert.ok(at(0.5) <= 120, `median ${at(0.5)}`);
  assert.ok(at(0.9) <= 300, `p90 ${at(0.9)}`);
  assert.deepEqual(sizes.filter(({ lines }) => lines > 400).map(({ path }) => path), []);
});

Deno.test("functions are small: none over 70 lines", () => {
  const long: string[] = [];
  for (const { path, text } of product) {
    const lines = text.split("\n");
    lines.forEach((line, start) => {
      if (!/^\s*(export )?(async )?function\b|^export const \w+ = (async )?\(/.test(line)) return;
      const indent = line.match(/^\s*/)![0];
      const length = lines.slice(start).findIndex((later) =>
        later === `${indent}}` || later === `${indent}};`
      );
      if (length > 70) long.push(`${path}:${start + 1} (${length} lines)`);
    });
  }
  assert.deepEqual(long, []);
});

Deno.test("legacy words stay in v1 and in the migration", () => {
  const wrong = product.filter(({ path, text }) =>
    /dramatiq/.test(text) && !/^(routes\/v1\/|migrate\/|db\/tasks_v1)/.test(path)
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("no file holds a path of some machine", () => {
  const wrong = sources.filter(({ text }) => /["'`\s(]\/(tmp|work|root|home)\/[a-z]/.test(text));
  assert.deepEqual(wrong.map(({ path }) => path).filter((path) => path !== "tests/house_test.ts"), []);
});
