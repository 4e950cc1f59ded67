/** Numbers in the documents are those of the code. */
import assert from "node:assert/strict";
import { benches } from "../../bench/benches.ts";
import { demoAxes } from "../../dev/demo/client.ts";
import { exitNoMongo } from "../../dev/demo/live.ts";
import { settings } from "../../settings.ts";
import { codes } from "../../errors.ts";
import { createProgram as createWorker } from "../../jobs/commands.ts";
import { redisFaults } from "../../redis/refusal.ts";
import { pages, readPage, root } from "./support/pages.ts";

const texts = new Map<string, string>();
const read = (path: string): string => {
  const text = texts.get(path) ?? Deno.readTextFileSync(new URL(path, root));
  texts.set(path, text);
  return text;
};

/** Returns a constant of a source: a number, or a product of numbers. */
function readConstant(path: string, name: string): number {
  const match = new RegExp(`\\b${name}(?: =|:) ([\\d_]+(?: \\* [\\d_]+)*)(?! \\*)[;,\\s}]`).exec(read(path));
  assert.ok(match, `${path} has a number ${name}`);
  return match[1]!.split("*").reduce((product, factor) => product * Number(factor.replaceAll("_", "")), 1);
}

const words: Record<string, number> = {
  a: 1,
  an: 1,
  one: 1,
  two: 2,
  three: 3,
  five: 5,
  six: 6,
  ten: 10,
  half: 0.5,
};

const toNumber = (text: string): number => words[text] ?? Number(text.replaceAll(",", ""));

/** A number of a document, a source with its constant, and the constant's units in one unit of the document. */
type Claim = [page: string, pattern: RegExp, source: string, name: string, factor?: number];

const times = "db/queue/times.ts";
const claims: Claim[] = [
  ["README.md", /PostgreSQL (\d+) or newer/, "db/pg/server.ts", "versionMin"],
  ["docs/loading.md", /PostgreSQL (\d+) or newer/, "db/pg/server.ts", "versionMin"],
  ["docs/migrating.md", /PostgreSQL (\d+) or newer/, "db/pg/server.ts", "versionMin"],
  ["docs/migrating.md", /Wait for (\d+) answers/, "migrate/data/cutover/gate_target.ts", "shadowAnswersMin"],
  [
    "docs/migrating.md",
    /want an answer 2xx within (\d+) seconds/,
    "migrate/data/cutover/freeze.ts",
    "hookMs",
    1000,
  ],
  ["docs/errors.md", /PostgreSQL is older than (\d+)/, "db/pg/server.ts", "versionMin"],
  [
    "docs/errors.md",
    /such as one over (\d+) MB/,
    "migrate/data/back/apply.ts",
    "documentBytesMax",
    1024 * 1024,
  ],
  ["SECURITY.md", /at least (\d+) bytes/, "config.ts", "secretBytesMin"],
  ["ARCHITECTURE.md", /hands remote jobs over by id, exits 0 within (\d+) s/, times, "stopMsPromised", 1000],
  [
    "docs/v2.md",
    /access token is valid for (\d+) minutes/,
    "routes/v2/kit/access_tokens.ts",
    "accessTokenSeconds",
    60,
  ],
  ["docs/v2.md", /1 to (\d+) stars/, "statistics/krippendorff.ts", "starsMax"],
  ["docs/v2.md", /a t interval from (\w+) units on/, "statistics/mean_tests.ts", "unitsMin"],
  ["docs/v2.md", /a burst of (\w+) seconds/, "routes/v2/kit/rate_limit.ts", "burstSeconds"],
  ["docs/sources.md", /more than (\d+) levels of nesting/, "migrate/data/documents/tree.ts", "depthMax"],
  ["docs/operating-queue.md", /Large retries reopen ([\d,]+) cells/, "db/queue/control.ts", "chunkCells"],
  ["docs/operating-queue.md", /When (\d+) cells of a task have ended/, "db/queue/canary.ts", "cellsMin"],
  ["docs/operating-queue.md", /tasks of (\d+) cells or fewer are exempt/, "db/queue/canary.ts", "cellsMin"],
  ["docs/operating-queue.md", /each end up to the (\d+)th/, "db/queue/canary.ts", "cellsMax"],
  ["docs/operating-queue.md", /the last (\d+) rows of a cell/, "db/queue/control.ts", "attemptsKept"],
  ["docs/operating-queue.md", /attempts lost (\d+) workers/, "jobs/work/attempt.ts", "lossesMax"],
  ["docs/operating-queue.md", /a retry allows another (\d+)/, "jobs/work/attempt.ts", "lossesMax"],
  ["docs/operating-queue.md", /looks twice, ([\d.]+) s apart/, times, "doctorSettleMs", 1000],
  [
    "docs/operating-queue.md",
    /A notice is more than (\d+) minutes late/,
    times,
    "noticeLateMs",
    60_000,
  ],
  ["docs/operating-queue.md", /no heartbeat for (\d+) s/, times, "deadAfterMs", 1000],
  [
    "docs/operating-queue.md",
    /The limit is (\d+) days; no override/,
    "jobs/commands.ts",
    "durationDaysMax",
  ],
  ["docs/queue-model.md", /takes longer than (\d+) s starts nothing/, times, "claimAnswerMsMax", 1000],
  ["docs/queue-model.md", /Deadlines, back-off and the (\d+) s of an abort/, times, "checkMs", 1000],
  ["ARCHITECTURE.md", /attempts are dropped within (\d+) s/, times, "checkMs", 1000],
  ["docs/operating.md", /take over its jobs after (\d+) s/, times, "takeOverAfterMs", 1000],
  ["docs/operating.md", /has no saved id after (\d+) s/, times, "deadAfterMs", 1000],
  ["docs/operating.md", /cut off from PostgreSQL for over (\d+) s/, times, "takeOverAfterMs", 1000],
  [
    "docs/switch-model.md",
    /`confirmWithinMs` \((\d+) s\)/,
    "db/traffic/processes.ts",
    "confirmWithinMs",
    1000,
  ],
  ["docs/switch-model.md", /`goneAfterMs` \((\d+) s\)/, "db/traffic/processes.ts", "goneAfterMs", 1000],
];
for (const [page, pattern, source, name, factor = 1] of claims) {
  Deno.test(`${page}: «${pattern.source}» is ${name} of ${source}`, () => {
    const match = pattern.exec(readPage(page).replaceAll("\n", " "));
    assert.ok(match, "the sentence stands in the document");
    assert.equal(toNumber(match[1]!) * factor, readConstant(source, name));
  });
}

Deno.test("every exit code of the documents is one of the code", () => {
  const exits = new Map(Object.entries(codes).map(([code, { exit }]) => [code, exit]));
  // The demo has an exit code of its own for a machine without a mongod.
  const known = new Set([0, exitNoMongo, ...exits.values()]);
  let count = 0;
  for (const [page, text] of pages) {
    const pairs = [
      ...text.matchAll(/^\| (\d+) \| `(\w+)` \|/gm).map(([, exit, code]) => [code!, exit!]),
      ...text.matchAll(/`(\w+)`\s+\(exit (?:code )?(\d+)\)/g).map(([, code, exit]) => [code!, exit!]),
    ].filter(([code]) => exits.has(code!) || page === "docs/errors.md");
    for (const [code, exit] of pairs) assert.equal(Number(exit), exits.get(code!), `${page}: ${code}`);
    for (const [, exit] of text.matchAll(/\bexits?(?: with)?(?: exit)?(?: code)? (\d+)\b/g)) {
      count++;
      assert.ok(known.has(Number(exit)), `${page}: exit ${exit}`);
    }
  }
  assert.ok(count > 10, `${count} exit codes`);
});

Deno.test("docs/loading.md names the exit codes of the verdicts, and of the errors that it describes", () => {
  const page = readPage("docs/loading.md");
  const wanted: [RegExp, keyof typeof codes][] = [
    [/`WAIT` \((\d+)\)/, "assessed_wait"],
    [/`NO-GO` \((\d+)\)/, "assessed_no_go"],
    [/Anything else is an error \(exit (\d+)\)/, "ledger_unbalanced"],
    [/A\s+source that has changed is rejected \(exit (\d+)\)/, "source_changed"],
    [/Verify ends with exit code (\d+) if it finds/, "differences_found"],
    [/exit (\d+), another migrator/, "busy"],
    [/exit (\d+), the file ends in the middle/, "source_truncated"],
    [/exit (\d+), the source has changed/, "source_changed"],
    [/exit (\d+), schema/, "schema_mismatch"],
    [/exit (\d+), the ledger/, "ledger_unbalanced"],
  ];
  for (const [pattern, code] of wanted) {
    assert.equal(Number(pattern.exec(page)?.[1]), codes[code].exit, `${pattern.source}: ${code}`);
  }
});

/** Returns the words in backticks of the first column of the table under a heading. */
function listFirstColumn(page: string, heading: string): string[] {
  const [section = ""] = readPage(page).split(`## ${heading}\n`)[1]?.split("\n## ") ?? [];
  const rows = section.split("\n").filter((line) => line.startsWith("|")).slice(2);
  return rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`([^`]+)`/g)].map(([, word]) => word!));
}

Deno.test("docs/operating-queue.md lists every check of the doctor, and every cause of a failing Redis", () => {
  const names = ["fleet", "redis", "rows"].flatMap((file) =>
    [...read(`jobs/doctor/${file}.ts`).matchAll(/^ {2}name: "(\w+)",/gm)].map(([, name]) => name!)
  );
  assert.ok(names.length > 10);
  const listed = listFirstColumn("docs/operating-queue.md", "The doctor's checks");
  assert.deepEqual(listed.toSorted(), names.toSorted());
  const causes = listFirstColumn("docs/operating-queue.md", "When Redis cannot be used");
  assert.deepEqual(causes.toSorted(), redisFaults.toSorted());
});

Deno.test("docs/operating-queue.md names the defaults of options", () => {
  const page = readPage("docs/operating-queue.md");
  const program = createWorker(() => {});
  const defaultOf = (command: string, option: string) =>
    program.commands.find((one) => one.name() === command)?.options.find(({ long }) => long === option)
      ?.defaultValue;
  const wanted: [RegExp, string, string][] = [
    [/`--days N` \((\d+)\)/, "doctor", "--days"],
    [/`--changes N` \((\d+)\)/, "slots", "--changes"],
  ];
  for (const [pattern, command, option] of wanted) {
    assert.equal(Number(pattern.exec(page)?.[1]), defaultOf(command, option), `${command} ${option}`);
  }
});

Deno.test("README.md names the port, the size of the demo's task and every bench", () => {
  const readme = readPage("README.md");
  assert.equal(/`PORT` \((\d+)\)/.exec(readme)?.[1], settings.PORT.default);
  for (const [, rows, columns] of readme.matchAll(/a task of (\d+) × (\d+) cells/g)) {
    assert.deepEqual([Number(rows), Number(columns)], [demoAxes.rows.length, demoAxes.columns.length]);
  }
  const [, names = ""] = /Runs a benchmark: ([^.]+)\./.exec(readme)!;
  assert.deepEqual(
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name).toSorted(),
    Object.keys(benches).toSorted(),
  );
});
