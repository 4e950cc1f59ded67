/** Each program against what goes wrong at its start: one clear message, its exit code, nothing half done. */
import assert from "node:assert/strict";
import { codes } from "../errors.ts";
import { findFreePort } from "../dev/servers/ports.ts";
import { createDatabase } from "./support/database.ts";

const config = new URL("../deno.json", import.meta.url).pathname;
const key = "0123456789abcdef0123456789abcdef";
const nobody = `127.0.0.1:${findFreePort()}`;

interface Ending {
  code: number;
  said: string;
  printed: string;
}

async function run(args: string[], env: Record<string, string>): Promise<Ending> {
  const kept = Object.fromEntries(
    ["PATH", "HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name) ?? ""]),
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", config, ...args],
    env: { ...kept, NO_COLOR: "1", ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stderr), printed: decoder.decode(stdout) };
}

const good = (url: string) => ({
  DATABASE_URL: url,
  SECRET_KEY: key,
  REDIS_URL: `redis://${nobody}`,
  IMAGE_API_URL: `http://${nobody}`,
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
    good(`postgres://u:hunter2@${nobody}/d`),
    69,
    /nothing answers there/,
  ],
  ["the worker without settings", ["worker"], {}, 78, /IMAGE_API_URL: wanted to be set/],
  [
    "the worker without a database",
    ["worker"],
    good(`postgres://u:hunter2@${nobody}/d`),
    69,
    /nothing answers there/,
  ],
  ["the migration without settings", ["migrate"], {}, 78, /DATABASE_URL: wanted to be set/],
  [
    "the migration without a database",
    ["migrate"],
    good(`postgres://u:hunter2@${nobody}/d`),
    69,
    /nothing answers there/,
  ],
];
for (const [what, args, env, code, wanted] of withoutServer) {
  Deno.test(`${what}: exit ${code}`, async () => {
    const ending = await run(args, env);
    assert.equal(ending.code, code, ending.said);
    assert.match(ending.said, wanted);
    assert.doesNotMatch(ending.said, /hunter2/);
    assert.equal(ending.printed, "");
  });
}

Deno.test("a wrong password, a missing schema and an unreachable Redis are told apart", async () => {
  await using database = await createDatabase();
  const wrong = new URL(database.url);
  wrong.password = "hunter2";
  for (const program of ["start", "worker", "migrate"]) {
    const ending = await run([program], good(wrong.href));
    assert.equal(ending.code, 77, ending.said);
    assert.match(ending.said, /it refused[\s\S]*DATABASE_URL/);
    assert.doesNotMatch(ending.said, /hunter2/);
  }
  const redis = await run(["worker"], good(database.url));
  assert.equal(redis.code, 68, redis.said);
  assert.match(redis.said, /Redis/);
  await database.sql`delete from migration.schema_steps where number > 1`;
  for (const program of ["start", "worker"]) {
    const ending = await run([program], good(database.url));
    assert.equal(ending.code, 70, ending.said);
    assert.match(ending.said, /deno task migrate/);
  }
});

Deno.test("a port that is taken is told", async () => {
  await using database = await createDatabase();
  using taken = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const ending = await run(["start"], { ...good(database.url), PORT: String(taken.addr.port) });
  assert.equal(ending.code, 75, ending.said);
  assert.match(ending.said, /set PORT/);
});

Deno.test("docs/errors.md lists every exit code a program can end with", async () => {
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
