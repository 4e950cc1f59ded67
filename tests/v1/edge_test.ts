/** The API as its own process, on either transport of Redis, with the least network permissions. */
import assert from "node:assert/strict";
import { startRedis } from "../../dev/servers/redis.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { noSettings } from "../../dev/servers/programs.ts";
import { secret } from "../support/api.ts";
import { createDatabase } from "../support/database.ts";
import { checkCalls, loadRecorded } from "./support/recorded.ts";
import { startGateway } from "../support/upstash_gateway.ts";

const root = new URL("../../", import.meta.url).pathname;
const { permissions: { api: allowed } } = JSON.parse(
  await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
) as { permissions: { api: { env: string[]; read: string[] } } };

/** Returns the permission flags of `deno task start` with network access to `hosts` only. */
const flags = (hosts: string[], denied: string[]) => [
  ...["run", "--quiet", "--no-prompt", "--no-lock", "--config", `${root}deno.json`],
  `--allow-env=${allowed.env.join()}`,
  `--allow-read=${allowed.read.map((path) => root + path).join()}`,
  `--allow-net=${hosts.join()}`,
  ...denied.map((host) => `--deny-net=${host}`),
];

const inherited = () =>
  Object.fromEntries(["PATH", "HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name) ?? ""]));

interface Running extends AsyncDisposable {
  lines: Record<string, unknown>[];
}

/** Starts the API process and waits until it listens. */
async function startProcess(args: string[], env: Record<string, string>): Promise<Running> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, `${root}main.ts`],
    cwd: root,
    clearEnv: true,
    env: { ...noSettings, ...inherited(), NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines: Record<string, unknown>[] = [];
  let partialLine = "";
  const reading = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      const complete = (partialLine + text).split("\n");
      partialLine = complete.pop()!;
      for (const line of complete) {
        lines.push(line.startsWith("{") ? JSON.parse(line) : { level: "error", msg: line });
      }
    }
  })();
  const printed = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await printed.read();
  assert.match(value ?? "", /"listening"/, `it did not start: ${partialLine} ${JSON.stringify(lines)}`);
  return {
    lines,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await printed.cancel();
      const { code } = await child.status;
      await reading;
      assert.equal(code, 0);
    },
  };
}

/**
 * Returns `connected`, or the name of the error, of a program with these permissions that connects to `host`.
 */
async function tryConnect(args: string[], host: string): Promise<string> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  const [hostname, port] = host.split(":");
  await Deno.writeTextFile(
    path,
    `try { (await Deno.connect({ hostname: "${hostname}", port: ${port} })).close(); console.log("connected"); }
     catch (error) { console.log(error.name); }`,
  );
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...args, path],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  await Deno.remove(path);
  return new TextDecoder().decode(stdout).trim();
}

for (const kind of ["tcp", "rest"] as const) {
  Deno.test(`the API process replays the recorded calls with Redis over ${kind} and no other network`, async (t) => {
    await using database = await createDatabase();
    await loadRecorded(database.sql);
    await using redis = await startRedis();
    await using gateway = await startGateway(redis.url);
    const redisHost = new URL(redis.url).host;
    const gatewayHost = new URL(gateway.url).host;
    const own = `127.0.0.1:${findFreePort()}`;
    const hosts = [new URL(database.url).host, own, kind === "tcp" ? redisHost : gatewayHost];
    const args = flags(hosts, kind === "tcp" ? [gatewayHost] : [redisHost]);
    assert.equal(await tryConnect(args, redisHost), kind === "tcp" ? "connected" : "NotCapable");
    assert.equal(await tryConnect(args, gatewayHost), kind === "rest" ? "connected" : "NotCapable");
    await using api = await startProcess(args, {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      ...(kind === "rest"
        ? { UPSTASH_REDIS_REST_URL: gateway.url, UPSTASH_REDIS_REST_TOKEN: gateway.token }
        : {}),
      SECRET_KEY: secret,
      SHORT_SECRET_KEY: "allow",
      HOST: "127.0.0.1",
      PORT: own.split(":")[1]!,
    });
    await checkCalls(t, `http://${own}`);
    assert.equal(gateway.commands > 0, kind === "rest", "login attempts use the configured transport");
    assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
    assert.deepEqual(
      api.lines.filter(({ level, msg }) =>
        level === "warning" && !String(msg).startsWith("SHORT_SECRET_KEY")
      ),
      [],
    );
  });
}

Deno.test("a read that waits for a lock ends with 503 at its deadline", async () => {
  await using database = await createDatabase();
  await loadRecorded(database.sql);
  await using redis = await startRedis();
  const own = `127.0.0.1:${findFreePort()}`;
  await using _api = await startProcess(
    flags([new URL(database.url).host, own, new URL(redis.url).host], []),
    {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      HOST: "127.0.0.1",
      PORT: own.split(":")[1]!,
      SECRET_KEY: secret,
      SHORT_SECRET_KEY: "allow",
      PUBLIC_TASK_READS: "true",
    },
  );
  const [task] = await database.sql<{ id: string }[]>`select id from tasks limit 1`;
  const locked = await database.sql.reserve();
  await locked`begin`;
  await locked`lock table tasks in access exclusive mode`;
  const response = await fetch(`http://${own}/api/v1/tasks/${task!.id}`);
  assert.deepEqual([response.status, await response.json()], [503, { detail: "Service Unavailable" }]);
  assert.equal(response.headers.get("retry-after"), "1");
  await locked`rollback`;
  locked.release();
  const again = await fetch(`http://${own}/api/v1/tasks/${task!.id}`);
  assert.equal(again.status, 200);
  await again.body?.cancel();
});
