/** Startup failures of each program: one message and a specific exit code. */
import assert from "node:assert/strict";
import { codes } from "../errors.ts";
import { findFreePort } from "../dev/servers/ports.ts";
import { noSettings } from "../dev/servers/programs.ts";
import { createDatabase } from "./support/database.ts";

const config = new URL("../deno.json", import.meta.url).pathname;
const key = "0123456789abcdef0123456789abcdef";
const closedPort = `127.0.0.1:${findFreePort()}`;

interface Result {
  code: number;
  stderr: string;
  stdout: string;
}

async function run(args: string[], env: Record<string, string>): Promise<Result> {
  const inherited = Object.fromEntries(
    ["PATH", "HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name) ?? ""]),
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", config, ...args],
    env: { ...noSettings, ...inherited, NO_COLOR: "1", ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stderr: decoder.decode(stderr), stdout: decoder.decode(stdout) };
}

const good = (url: string) => ({
  DATABASE_URL: url,
  SECRET_KEY: key,
  REDIS_URL: `redis://${closedPort}`,
  IMAGE_API_URL: `http://${closedPort}`,
  NIETA_XTOKEN: "t",
  PORT: "0",
});

const withoutServer: [string, string[], Record<string, string>, number, RegExp][] = [
  [
    "the API without settings",
    ["start"],
    {},
    78,
    /DATABASE_URL: wanted to be set[\s\S]*SECRET_KEY: wanted to be set/,
  ],
  [
    "the API with a short key",
    ["start"],
    { ...good("postgres://u:p@h/d"), SECRET_KEY: "short" },
    78,
    /SECRET_KEY: wanted 32 bytes/,
  ],
  [
    "the API without a database",
    ["start"],
    good(`postgres://u:hunter2@${closedPort}/d`),
    69,
    /nothing answers there/,
  ],
  ["the worker without settings", ["worker"], {}, 78, /IMAGE_API_URL: wanted to be set/],
  [
    "the worker without a database",
    ["worker"],
    good(`postgres://u:hunter2@${closedPort}/d`),
    69,
    /nothing answers there/,
  ],
  ["the migration without settings", ["migrate"], {}, 78, /DATABASE_URL: wanted to be set/],
  [
    "the migration without a database",
    ["migrate"],
    good(`postgres://u:hunter2@${closedPort}/d`),
    69,
    /nothing answers there/,
  ],
];
for (const [what, args, env, code, wanted] of withoutServer) {
  Deno.test(`${what} exits with ${code}`, async () => {
    const result = await run(args, env);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, wanted);
    assert.doesNotMatch(result.stderr, /hunter2/);
    assert.equal(result.stdout, "");
  });
}

Deno.test("each program with a wrong database password exits with 77 and does not print it", async () => {
  await using database = await createDatabase();
  const wrong = new URL(database.url);
  wrong.password = "hunter2";
  for (const program of ["start", "worker", "migrate"]) {
    const result = await run([program], good(wrong.href));
    assert.equal(result.code, 77, result.stderr);
    assert.match(result.stderr, /it refused[\s\S]*DATABASE_URL/);
    assert.doesNotMatch(result.stderr, /hunter2/);
  }
});

Deno.test("the worker without Redis exits with 68", async () => {
  await using database = await createDatabase();
  const result = await run(["worker"], good(database.url));
  assert.equal(result.code, 68, result.stderr);
  assert.match(result.stderr, /Redis/);
});

Deno.test("the API and the worker on an older schema exit with 70", async () => {
  await using database = await createDatabase();
  await database.sql`delete from migration.schema_steps where number > 1`;
  for (const program of ["start", "worker"]) {
    const result = await run([program], good(database.url));
    assert.equal(result.code, 70, result.stderr);
    assert.match(result.stderr, /deno task migrate/);
  }
});

Deno.test("the API on a port in use exits with 75", async () => {
  await using database = await createDatabase();
  using taken = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const result = await run(["start"], { ...good(database.url), PORT: String(taken.addr.port) });
  assert.equal(result.code, 75, result.stderr);
  assert.match(result.stderr, /set PORT/);
});

Deno.test("docs/errors.md lists every exit code", async () => {
  const page = await Deno.readTextFile(new URL("../docs/errors.md", import.meta.url));
  const listed = new Map(
    [...page.matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map(([, exit, code]) => [code, Number(exit)]),
  );
  for (const [code, { exit }] of Object.entries(codes)) {
    if (exit !== 1) assert.equal(listed.get(code), exit, code);
  }
  assert.equal(listed.size, new Set(Object.values(codes).map(({ exit }) => exit)).size);
});

Deno.test("the README names only tasks that exist", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const { tasks } = JSON.parse(await Deno.readTextFile(config)) as {
    tasks: Record<string, { description: string }>;
  };
  for (const [, name] of readme.matchAll(/deno(?:@[\d.]+)? task (\w+)/g)) {
    assert.ok(tasks[name!], `task ${name}`);
  }
  for (const [name, { description }] of Object.entries(tasks)) {
    assert.ok(description, `${name} has a description`);
  }
});
