import assert from "node:assert/strict";
import { createDatabase } from "../support/database.ts";
import { generations, makeDump, runMigrate } from "./support/program.ts";

const good = (await Deno.readTextFile(`${generations}/dramatiq_tasks.json`)).trimEnd();
const lines = good.split("\n");

/** Content of the subtasks file, exit code and message. */
const badFiles: [string, string | Uint8Array | null, number, RegExp][] = [
  [
    "a line that is not JSON",
    `${lines[0]}\nnot json\n${lines[1]}\n`,
    65,
    /dramatiq_tasks\.json' line 2: it is not JSON/,
  ],
  ["a line that is no document", `${lines[0]}\n5\n`, 65, /line 2: wanted a document \{…\}, found '5'/],
  [
    "a file cut off in a document",
    good.slice(0, -40),
    67,
    new RegExp(`line ${lines.length}: the file ends in the middle`),
  ],
  ["a file cut off in its only document", lines[0]!.slice(0, 100), 67, /line 1: the file ends in the middle/],
  ["CSV", "_id,id,status\n1,2,3\n", 65, /--type=json/],
  [
    "bytes that are not UTF-8",
    new Uint8Array([...new TextEncoder().encode(`${lines[0]}\n`), 0x22, 0xff, 0x22, 10]),
    65,
    /line 2: it is not UTF-8/,
  ],
  ["a collection that is missing", null, 66, /dramatiq_tasks\.json missing/],
];

Deno.test("a faulty dump ends with a clear message and its exit code, and nothing is written", async (t) => {
  await using database = await createDatabase();
  const { sql, url } = database;
  for (const [what, content, exit, message] of badFiles) {
    await t.step(what, async () => {
      const users = await Deno.readTextFile(`${generations}/users.json`);
      await using dump = await makeDump({ users, dramatiq_tasks: content });
      for (const command of ["load", "verify"]) {
        const { code, err } = await runMigrate(url, "data", command, "--quiet", "--from", dump.path);
        assert.match(err, message);
        assert.equal(code, exit, err);
      }
      const [row] = await sql`
        select (select count(*) from users) + (select count(*) from migration.sources) as rows`;
      assert.equal(Number(row!.rows), 0);
    });
  }
});

Deno.test("the message about a source that is not a dump folder says what was found", async (t) => {
  await using database = await createDatabase();
  await using empty = await makeDump({ users: null, tasks: null, dramatiq_tasks: null });
  const cases: [string, string, number, RegExp][] = [
    ["a folder that is not there", `${empty.path}/nowhere`, 66, /no such folder/],
    ["a folder without a dump", empty.path, 72, /holds none of users\.json/],
    ["a file", `${generations}/users.json`, 72, /wanted a folder, found a file/],
  ];
  for (const [what, path, exit, message] of cases) {
    await t.step(what, async () => {
      const { code, err } = await runMigrate(database.url, "data", "load", "--from", path);
      assert.match(err, message);
      assert.equal(code, exit);
    });
  }
});

Deno.test("a usage error names the faulty argument", async (t) => {
  const cases: [string, string[], number, RegExp][] = [
    ["an unknown command", ["data", "lode"], 64, /unknown command 'lode'/],
    ["no source", ["data", "load"], 64, /--from <source>/],
    [
      "a range size that is too small",
      ["data", "load", "--from", "x", "--range-bytes", "1"],
      64,
      /wanted a whole number from 4096/,
    ],
    ["a step that is not a number", ["down", "--to", "x"], 64, /wanted the number of a step/],
  ];
  for (const [what, args, exit, message] of cases) {
    await t.step(what, async () => {
      const { code, err } = await runMigrate("postgres://127.0.0.1:1/x", ...args);
      assert.match(err, message);
      assert.equal(code, exit);
    });
  }
});

Deno.test("the permissions of the Deno task are enough for help, a usage error, a load and a verify", async (t) => {
  await using database = await createDatabase();
  const cases: [string[], number][] = [
    [["data", "--help"], 0],
    [["data", "load", "--help"], 0],
    [["data", "lode"], 64],
    [["data", "load", "--from", generations], 0],
    [["data", "verify", "--from", generations, "--json"], 0],
  ];
  for (const [args, exit] of cases) {
    await t.step(args.slice(0, 3).join(" "), async () => {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", "migrate", ...args],
        cwd: new URL("../../", import.meta.url).pathname,
        env: { DATABASE_URL: database.url },
      }).output();
      const err = new TextDecoder().decode(stderr);
      assert.doesNotMatch(err, /NotCapable|Requires/);
      assert.equal(code, exit, err);
    });
  }
});

Deno.test("the message about a failed connection says what to do and hides the password", async (t) => {
  await using database = await createDatabase();
  const wrongUser = new URL(database.url);
  wrongUser.username = "nobody-here";
  const missing = new URL(database.url);
  missing.pathname = "/not_there";
  const cases: [string, string, number, RegExp][] = [
    ["nothing listens", "postgres://u:secret-word@127.0.0.1:1/x", 69, /nothing answers there/],
    ["a wrong user", wrongUser.href, 77, /check user, password/],
    ["no such database", missing.href, 77, /check user, password and database name/],
    ["no URL", "", 78, /DATABASE_URL: wanted to be set/],
  ];
  for (const [what, url, exit, message] of cases) {
    await t.step(what, async () => {
      const commands = [["data", "load", "--quiet", "--from", generations], ["data", "status"], ["status"]];
      for (const command of commands) {
        const { code, err } = await runMigrate(url, ...command);
        assert.match(err, message);
        assert.equal(code, exit);
        assert.doesNotMatch(err, /secret-word/);
      }
    });
  }
});

Deno.test("down and up revert and apply the schema, and a load without the schema is refused", async () => {
  await using database = await createDatabase();
  const { url } = database;
  assert.equal((await runMigrate(url, "check")).code, 0);
  const down = await runMigrate(url, "down", "--to", "1");
  assert.match(down.out, /reverted 0002_ledger/);
  assert.equal((await runMigrate(url, "check")).code, 70);
  const refused = await runMigrate(url, "data", "load", "--quiet", "--from", generations);
  assert.equal(refused.code, 70);
  assert.match(refused.err, /run 'deno task migrate'/);
  const up = await runMigrate(url);
  assert.match(up.out, /applied 0002_ledger/);
  const { steps } = JSON.parse((await runMigrate(url, "status", "--json")).out);
  assert.ok(steps.every((step: { applied_at: string | null }) => step.applied_at !== null));
  const status = await runMigrate(url, "data", "status", "--json");
  assert.equal(status.code, 0);
  assert.equal(JSON.parse(status.out).verdict, "empty");
});
