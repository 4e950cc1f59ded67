/** Runs README's way in, as it is written, in a clean copy of the project against real servers. */
import assert from "node:assert/strict";
import { startImageApi } from "../../dev/servers/image_api.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";
import { type CleanCopy, makeCleanCopy } from "./support/clean_copy.ts";
import { readPage } from "./support/pages.ts";

const readme = readPage("README.md");
const block = /^With your own servers:\n\n((?: {4}.+\n)+)/m.exec(readme)![1]!;
const lines = block.trimEnd().split("\n").map((line) => line.trim());
/** The settings that the block tells the reader to fill in. */
const named = /# set (.+)$/m.exec(block)![1]!.split(", ");

interface Servers extends AsyncDisposable {
  /** Values of the settings that the block names. */
  values: Record<string, string>;
  /** Values that only this machine needs: the ports are not the usual ones. */
  places: Record<string, string>;
}

/** Starts an empty database, Redis and an image API. */
async function startServers(): Promise<Servers> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase({ template: "template0" }));
  const redis = stack.use(await startRedis());
  const images = stack.use(await startImageApi());
  return {
    values: {
      DATABASE_URL: database.url,
      SECRET_KEY: "0123456789abcdef0123456789abcdef",
      IMAGE_API_URL: images.url,
      NIETA_XTOKEN: "fake",
    },
    places: { REDIS_URL: redis.url, PORT: String(findFreePort()) },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Sets values in `.env` as an editor would: where a name stands, with or without `#`. */
async function fillIn(copy: CleanCopy, values: Record<string, string>): Promise<void> {
  let text = await Deno.readTextFile(`${copy.path}/.env`);
  for (const [name, value] of Object.entries(values)) {
    const place = new RegExp(`^(# )?${name}=.*$`, "m");
    assert.match(text, place, `.env.example has ${name}`);
    text = text.replace(place, () => `${name}=${value}`);
  }
  await copy.write(".env", text);
}

const isReady: Record<string, RegExp> = { start: /"listening"/, worker: /^\{"worker":"[^"]+"\}$/m };

/** Starts the API or a worker and waits until it reports that it is ready. */
async function startProgram(copy: CleanCopy, line: string, env: Record<string, string> = {}) {
  const program = copy.start(line.replace(/\s+#.*$/, ""), env);
  const ready = isReady[/deno task (\w+)/.exec(line)![1]!]!;
  try {
    await waitFor(`'${line}' to be ready`, () => ready.test(program.output()), 60_000);
  } catch (error) {
    throw new Error(program.output(), { cause: error });
  }
  return program;
}

async function readStatus(url: string): Promise<number> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
}

Deno.test("the settings that README tells to fill in are those without a default in .env.example", async () => {
  const example = await Deno.readTextFile(new URL("../../.env.example", import.meta.url));
  assert.deepEqual([...example.matchAll(/^([A-Z_]+)=$/gm)].map(([, name]) => name), named);
});

Deno.test("README's commands for one's own servers run as written, with the settings only in .env", async (t) => {
  await using servers = await startServers();
  await using copy = await makeCleanCopy();
  const origin = `http://127.0.0.1:${servers.places.PORT}`;
  const printed: Record<string, RegExp> = {
    "deno task migrate": /^applied 0001_tables$/m,
    "deno task migrate data load --from /backup/dump": /balanced: every document is accounted for/,
    "deno task migrate data verify --from /backup/dump": /equal: no difference/,
  };
  for (const line of lines) {
    await t.step(line, async () => {
      if (/deno task (start|worker)\b/.test(line)) return void await startAndStop(line);
      const { code, out, err } = await copy.run(line.replace("/backup/dump", "dev/sample"));
      assert.equal(code, 0, out + err);
      if (line.startsWith("cp ")) return await fillIn(copy, { ...servers.values, ...servers.places });
      const wanted = printed[line];
      assert.ok(wanted, "the test knows the command");
      assert.match(out, wanted);
    });
  }
  async function startAndStop(line: string): Promise<void> {
    const program = await startProgram(copy, line);
    if (line.includes("start")) {
      for (const path of ["/health", "/docs", "/api/v2/docs", "/api/v2/openapi.json"]) {
        assert.equal(await readStatus(origin + path), 200, path);
      }
      assert.equal(await readStatus(`${origin}/api/v1/users/me`), 401);
    }
    assert.equal(await program.end("SIGTERM"), 0, program.output());
  }

  const more: [string, RegExp][] = [
    ["deno task migrate status", /^0001_tables {2}\d{4}-/m],
    ["deno task migrate check", /^the schema is up to date$/m],
    ["deno task migrate data status --json", /^\{.*"verdict":"balanced".*\}\n$/],
    ["deno task migrate down --to 10", /^reverted 0011_verified_ranges$/m],
    ["deno task migrate", /^applied 0011_verified_ranges$/m],
    ["deno task migrate", /^the schema is up to date$/m],
  ];
  for (const [line, wanted] of more) {
    await t.step(line, async () => {
      const { code, out, err } = await copy.run(line);
      assert.equal(code, 0, err);
      assert.match(out, wanted);
    });
  }
});

/** A file that the old backend read: CRLF, `export`, quotes, comments, spaces, unknown names. */
const oldFile = (key: string, redis: string): string =>
  [
    "# 图像平台",
    `SECRET_KEY='${key}' # do not share`,
    'export ALGORITHM="HS256"',
    "ACCESS_TOKEN_EXPIRE_MINUTES = 10080",
    `REDIS_URL=${redis}`,
    'MONGODB_URL="mongodb://user:p#ss@mongo:27017"',
    "DB_NAME=old",
    'CORS_ORIGINS="https://a.example.com,https://b.example.com"',
    "LOG_LEVEL=INFO",
    "",
    "NIETA_XTOKEN=abc#def",
    "TASK_EXECUTOR_MIN_CONCURRENT=10",
    "IMAGE_POLLING_INTERVAL=2.0   # seconds",
    "BACKEND_PORT=8000",
    "",
  ].join("\r\n");

Deno.test("the old backend's .env works with the new settings added, and the environment wins over it", async (t) => {
  await using database = await createDatabase();
  await using servers = await startServers();
  await using copy = await makeCleanCopy();
  const { SECRET_KEY, IMAGE_API_URL } = servers.values;
  const file = oldFile(SECRET_KEY!, servers.places.REDIS_URL!);
  const added = [`DATABASE_URL=${database.url}`, `IMAGE_API_URL=${IMAGE_API_URL}`, "PORT=1", ""].join("\r\n");

  await t.step("the API and the worker start with it", async () => {
    await copy.write(".env", file + added);
    const api = await startProgram(copy, "deno task start", { PORT: servers.places.PORT! });
    const response = await fetch(`http://127.0.0.1:${servers.places.PORT}/health`, {
      headers: { origin: "https://b.example.com" },
    });
    await response.body?.cancel();
    assert.equal(response.headers.get("access-control-allow-origin"), "https://b.example.com");
    const worker = await startProgram(copy, "deno task worker");
    assert.deepEqual([await api.end("SIGTERM"), await worker.end("SIGTERM")], [0, 0]);
  });

  await t.step("without them, the API names what is missing", async () => {
    await copy.write(".env", file);
    const { code, err } = await copy.run("deno task worker");
    assert.equal(code, 78, err);
    assert.match(err, /DATABASE_URL: wanted to be set/);
    assert.match(err, /IMAGE_API_URL: wanted to be set/);
    assert.doesNotMatch(err, /SECRET_KEY|NIETA_XTOKEN/);
  });

  await t.step("a line that cannot be read is named by its number, without its content", async () => {
    await copy.write(".env", `${file}SECRET_KEY="open\r\n${added}`);
    for (const program of ["migrate", "start"]) {
      const { code, err } = await copy.run(`deno task ${program}`);
      assert.equal(code, 78, err);
      assert.match(err, /\.env line 15: wanted NAME=value/);
      assert.doesNotMatch(err, /open|abc#def/);
    }
  });

  await t.step("the API takes no arguments and says so", async () => {
    const help = await copy.run("deno task start --help");
    assert.equal(help.code, 0, help.err);
    assert.match(help.out, /^Usage: deno task start/);
    const refused = await copy.run("deno task start --port 80");
    assert.equal(refused.code, 64);
    assert.match(refused.err, /'--port'.*see 'deno task start --help'/);
  });
});
