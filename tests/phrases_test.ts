/** Counts with their nouns, quoted texts, and messages about empty arguments, in samples of each program. */
import assert from "node:assert/strict";
import { Command } from "commander";
import { describeUsageError, refuseEmptyTexts } from "../arguments.ts";
import { parseCommand } from "../jobs/commands.ts";
import { describeReport } from "../jobs/doctor/doctor.ts";
import { describeSetOverride, describeSlots } from "../jobs/moves/slot_settings.ts";
import { warnOfPlan } from "../jobs/moves/plan_warnings.ts";
import { UserChecker } from "../migrate/data/assess/values.ts";
import type { Assessment } from "../migrate/data/assess/assess.ts";
import { judge } from "../migrate/data/assess/verdict.ts";
import { formatUndo } from "../migrate/data/repair/format.ts";
import { formatUnfinished } from "../migrate/data/ledger/unfinished.ts";
import { formatBytes, formatCounted } from "../migrate/data/tools/format.ts";
import type { Verdict } from "../migrate/data/verify/result.ts";
import { formatVerdict } from "../migrate/data/verify/format.ts";
import { runMigrate } from "./migrate/support/program.ts";
import { AppError, codes } from "../errors.ts";
import { counted, inflect, quoted } from "../phrases.ts";
import { warnOfVotes } from "../statistics/warnings.ts";

Deno.test("a noun is singular after 1 only", () => {
  assert.deepEqual([0, 1, 2].map((count) => counted(count, "cell")), ["0 cells", "1 cell", "2 cells"]);
  assert.equal(counted(1n, "entry", "entries"), "1 entry");
  assert.equal(counted(0, "entry", "entries"), "0 entries");
  assert.deepEqual([0, 1, 1200].map((count) => formatCounted(count, "row")), [
    "0 rows",
    "1 row",
    "1,200 rows",
  ]);
  assert.deepEqual([0, 1, 2].map((count) => inflect(count, "is", "are")), ["are", "is", "are"]);
  assert.deepEqual([0, 1, 999, 1000].map(formatBytes), ["0 bytes", "1 byte", "999 bytes", "1.0 kB"]);
});

Deno.test("an empty text is named instead of quoted", () => {
  assert.deepEqual([quoted(""), quoted("x"), quoted("abc", 2)], ["an empty text", "'x'", "'ab'"]);
});

const override = {
  queue: "high",
  slots: 1,
  reason: "night",
  made_by: "an operator",
  expires_at: new Date(0),
} as const;

const queueOf = (slots: number) => ({
  queue: "high" as const,
  slots,
  running: 0,
  wanted: 1,
  reason: "start",
  changed_at: new Date(0),
  override: null,
  changes: [],
});

const finding = {
  about: "x",
  fault: true,
  text: "a fault",
  advice: "an advice",
  repairable: false,
  repaired: false,
};

const verdict: Verdict = {
  fingerprint: "f",
  verdict: "equal",
  documents: 1,
  rows: 1,
  quarantined: 0,
  differences: 0,
  mismatches: [],
  resumed: null,
};

/** Lists what an assessment finds in `count` users without a password. */
function listFindings(count: number) {
  const users = new UserChecker();
  for (let i = 0; i < count; i++) users.add(`${i}@example.com`, "", `id${i}`);
  return users.list();
}

const counts = { documents: 1, quarantined: 0 };
const assessment = {
  collections: ["users", "tasks", "dramatiq_tasks"].map((collection) => ({ collection, ...counts })),
  quarantine: [],
  findings: [],
  notes: [],
};
const unfinished = { tasks: 0, subtasks: 0 };

/** Returns the last reason of an assessment with these results. */
const lastReason = (results: object) =>
  judge({ ...assessment, unfinished, ...results } as unknown as Assessment).reasons.at(-1)?.text ?? "";

/** Texts of a program for the counts 0, 1 and 2. */
const samples: [name: string, text: (count: number) => string, expected: [string, string, string]][] = [
  ["worker: slots", (count) => describeSlots([queueOf(count)]).slice(0, 20), [
    "high: 0 slots, 0 in ",
    "high: 1 slot, 0 in u",
    "high: 2 slots, 0 in ",
  ]],
  ["worker: set slots", (count) => describeSetOverride({ ...override, slots: count }).slice(0, 28), [
    "high is set to 0 slots by ha",
    "high is set to 1 slot by han",
    "high is set to 2 slots by ha",
  ]],
  [
    "doctor",
    (count) => describeReport({ healthy: count === 0, checks: count, findings: Array(count).fill(finding) }),
    [
      "0 checks: no faults",
      "FAULT: a fault\n    an advice\n1 check: 1 fault left",
      "FAULT: a fault\n    an advice\nFAULT: a fault\n    an advice\n2 checks: 2 faults left",
    ],
  ],
  [
    "v2: plan",
    (count) =>
      warnOfPlan({ tags: [], variables: new Map(), seedRule: { policy: "shared", roles: {} } }, {
        cells: 1,
        duplicates: count,
      }).map(({ message }) => message).join(),
    [
      "",
      "1 cell asks for an image that another cell asks for",
      "2 cells ask for an image that another cell asks for",
    ],
  ],
  [
    "v2: statistics",
    (count) =>
      warnOfVotes({ levels: [], votes: 3, across: count, groups: 1, clusters: 1, spread: 1 } as never)
        .map(({ text }) => text).join(),
    [
      "",
      "1 of 3 votes is between images of different units",
      "2 of 3 votes are between images of different units",
    ],
  ],
  ["migrator: verify", (count) => formatVerdict({ ...verdict, documents: count, rows: count }), [
    "0 documents: 0 compared with their rows, 0 in quarantine\nequal: no difference",
    "1 document: 1 compared with its row, 0 in quarantine\nequal: no difference",
    "2 documents: 2 compared with their rows, 0 in quarantine\nequal: no difference",
  ]],
  [
    "migrator: repair",
    (count) => formatUndo({ plan: "p", undone: count, skipped: [] }),
    ["plan p: 0 steps undone", "plan p: 1 step undone", "plan p: 2 steps undone"],
  ],
  [
    "migrator: unfinished",
    (count) =>
      formatUnfinished({
        decision: "resume",
        before: [],
        held: [],
        tasks_resumed: 1,
        tasks_cancelled: 0,
        tasks_ended: 0,
        cells_resumed: count,
        cells_cancelled: 0,
      }).split("\n")[0]!,
    [
      "resumed: 1 task, 0 cells to draw",
      "resumed: 1 task, 1 cell to draw",
      "resumed: 1 task, 2 cells to draw",
    ],
  ],
  [
    "migrator: assessment of unfinished work",
    (count) => lastReason({ unfinished: { tasks: 1, subtasks: count } }),
    [
      "1 task and 0 subtasks are unfinished: they are held until 'data unfinished resume' or 'cancel'",
      "1 task and 1 subtask are unfinished: they are held until 'data unfinished resume' or 'cancel'",
      "1 task and 2 subtasks are unfinished: they are held until 'data unfinished resume' or 'cancel'",
    ],
  ],
  [
    "migrator: assessment of users",
    (count) => lastReason({ findings: listFindings(count) }),
    [
      "",
      "1 user without a password: no sign-in until a password is set (id0)",
      "2 users without a password: no sign-in until a password is set (id0)",
    ],
  ],
];

for (const [name, text, expected] of samples) {
  Deno.test(`${name}: right plurals for 0, 1 and 2`, () => {
    assert.deepEqual([0, 1, 2].map(text), expected);
  });
}

Deno.test("an assessment without a known example gives none", () => {
  const one = { collection: "dramatiq_tasks", name: "duplicate_id", path: "id", documents: 2, samples: [] };
  const { reasons } = judge({ ...assessment, unfinished, quarantine: [one] } as unknown as Assessment);
  assert.equal(
    reasons[0]!.text,
    "2 of dramatiq_tasks would get no row: duplicate_id at 'id'; all bytes are kept",
  );
});

/** Command lines of the worker with an empty text, and what their errors say. */
const workerCommands: [args: string[], text: RegExp][] = [
  [[""], /too many arguments\. Expected 0 arguments but got 1;/],
  [
    ["--queues", ""],
    /option '--queues <names>' has an empty argument\. an empty text: wanted high/,
  ],
  [["--queues", "high,"], /an empty text: wanted high/],
  [["--slots", ""], /option '--slots <count>' has an empty argument\. wanted a whole number/],
  [["why", "", "0"], /argument 'task' is empty\. wanted a task's id/],
  [["slots", ""], /argument 'queue' is empty\. wanted high, standard, lumina/],
  [
    ["retry", crypto.randomUUID(), "--cause", ""],
    /option '--cause <text>' has an empty argument\. wanted a text/,
  ],
  [["dead", ""], /the command is empty/],
];

Deno.test("the worker's command line names an empty argument, without empty quotes", () => {
  for (const [args, text] of workerCommands) {
    assert.throws(() => parseCommand(args), (error) => {
      assert.ok(error instanceof AppError && error.code === "usage", args.join(" "));
      assert.match(error.message, text);
      assert.doesNotMatch(error.message, /''|""/);
      return true;
    });
  }
});

const migratorCommands: [args: string[], text: RegExp][] = [
  [[""], /Expected 0 arguments but got 1$/m],
  [["down", "--to", ""], /--to an empty text: wanted the number of a step/],
  [["data", ""], /the command is empty/],
  [["data", "load", "--from", ""], /option '--from <source>' has an empty argument\. wanted a text/],
  [
    ["data", "load", "--from", "x", "--range-bytes", ""],
    /--range-bytes an empty text: wanted a whole number/,
  ],
  [["data", "why", ""], /argument 'id' is empty/],
  [["data", "unfinished", ""], /unfinished an empty text: wanted one of/],
  [["data", "restore", "--backup", ""], /option '--backup <folder>' has an empty argument/],
];

Deno.test("the migrator's command line names an empty argument, without empty quotes", async () => {
  for (const [args, text] of migratorCommands) {
    const { code, err } = await runMigrate("postgres://nobody@127.0.0.1:1/none", ...args);
    assert.equal(code, codes.usage.exit, err);
    assert.match(err, text);
    assert.doesNotMatch(err, /''|""/);
  }
});

Deno.test("refuseEmptyTexts() leaves parsers of their own and flags alone", () => {
  const program = new Command("x").exitOverride().configureOutput({ writeErr: () => {} })
    .option("--count <n>", "a count", Number).option("--flag", "a flag").option("--name <name>", "a name");
  refuseEmptyTexts(program);
  assert.deepEqual(program.parse(["--count", "", "--flag", "--name", "a"], { from: "user" }).opts(), {
    count: 0,
    flag: true,
    name: "a",
  });
  assert.equal(describeUsageError("error: unknown option '--x'"), "unknown option '--x'");
});
