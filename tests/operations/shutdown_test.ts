/** Health and the end of API and worker as processes: readiness, drain, open streams, exit code and time. */
import assert from "node:assert/strict";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { originOf, type Spawned, spawnProgram } from "../../dev/servers/spawn.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";
import { addMatrix, addPeople } from "../v2/support/api.ts";
import { listen } from "../v2/support/events.ts";
import type { TestApi } from "../support/api.ts";

const secret = "0123456789abcdef0123456789abcdef";

/** Maximum time from the signal to the end of a process, without the time in which the API goes on accepting. */
const exitMsMax = 5_000;

interface Health {
  status: number;
  outcomes: Record<string, string>;
}

async function readHealth(port: number): Promise<Health> {
  const response = await fetch(`http://127.0.0.1:${port}/ready`);
  return { status: response.status, outcomes: await response.json() };
}

const waitForHealth = (port: number, isWanted: (health: Health) => boolean) =>
  waitFor("the readiness", async () => {
    const health = await readHealth(port).catch(() => undefined);
    return health && isWanted(health) && health;
  }, 30_000);

function startApi(database: TestDatabase, admin: number, env: Record<string, string> = {}): Promise<Spawned> {
  return spawnProgram("api", {
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    REDIS_URL: "redis://127.0.0.1:9",
    HOST: "127.0.0.1",
    PORT: "0",
    ADMIN_PORT: String(admin),
    ...env,
  });
}

async function addTasks(database: TestDatabase, sizes: { prompts: number; ratios: number }[]) {
  const fixture = { database, config: { SECRET_KEY: secret }, tokens: createTokens(secret, 60) } as TestApi;
  const { user } = await addPeople(fixture);
  const tasks = await Promise.all(sizes.map((size) => addMatrix(fixture, user, size)));
  return { token: user.access, tasks };
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`on ${signal} the API is not ready at once, accepts for DRAIN_MS, ends its streams and exits with 0`, async () => {
    await using database = await createDatabase();
    const { token, tasks: [task = ""] } = await addTasks(database, [{ prompts: 3, ratios: 2 }]);
    const admin = findFreePort();
    await using api = await startApi(database, admin, { DRAIN_MS: "1500" });
    const origin = originOf(api);
    const before = await listen({ origin }, token, task);
    await before.until(({ event }) => event === "end");
    assert.equal((await readHealth(admin)).status, 200);

    const startedAt = performance.now();
    const ending = api.end(signal);
    const draining = await waitForHealth(admin, ({ status }) => status === 503);
    assert.ok(performance.now() - startedAt < 1_000);
    assert.equal(draining.outcomes.status, "draining");
    // The proxy has not noticed yet: requests and streams are answered, and ask for a new connection.
    const answer = await fetch(`${origin}/health`);
    await answer.body?.cancel();
    assert.equal(answer.status, 200);
    const during = await listen({ origin }, token, task);
    assert.equal(during.response.status, 200);
    await during.until(({ event }) => event === "end");
    assert.equal(before.ended, false);

    assert.equal(await ending, 0);
    const ms = performance.now() - startedAt;
    assert.ok(ms >= 1_500 && ms < 1_500 + exitMsMax, `${ms} ms`);
    for (const stream of [before, during]) {
      await stream.untilEnd();
      assert.match(stream.text, /event: bye\ndata: \{"reason":"draining"\}\n\n$/);
    }
    await assert.rejects(fetch(`${origin}/health`));
  });
}

Deno.test("while the API drains, each answer has 'connection: close', and none before", async () => {
  await using database = await createDatabase();
  const admin = findFreePort();
  await using api = await startApi(database, admin, { DRAIN_MS: "1500" });
  const { hostname, port } = new URL(originOf(api));
  const readHead = async (): Promise<string> => {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nhost: x\r\n\r\n"));
    const buffer = new Uint8Array(4096);
    return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  };
  assert.doesNotMatch(await readHead(), /^connection: close/im);
  const ending = api.end("SIGTERM");
  await waitForHealth(admin, ({ status }) => status === 503);
  assert.match(await readHead(), /^HTTP\/1.1 200[\s\S]*^connection: close/im);
  assert.equal(await ending, 0);
});

Deno.test("in the last third of the drain, a proxy that can repeat a request elsewhere is told to, by 504", async () => {
  await using database = await createDatabase();
  await using api = await startApi(database, findFreePort(), { DRAIN_MS: "3000" });
  const readStatus = async (method: string, headers: Record<string, string>): Promise<number> => {
    const answer = await fetch(`${originOf(api)}/health`, { method, headers });
    await answer.body?.cancel();
    return answer.status;
  };
  const proxied = { "x-retry-elsewhere": "1" };
  const methods = ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"];
  const read = (headers: Record<string, string>) =>
    Promise.all(methods.map((method) => readStatus(method, headers)));
  const usual = [200, 405, 405, 405, 405, 405];
  assert.deepEqual(await read(proxied), usual);
  const ending = api.end("SIGTERM");
  assert.deepEqual(await read(proxied), usual);
  await waitFor("the refusal", async () => await readStatus("GET", proxied) === 504);
  // Requests that nginx does not repeat are answered to the end, and so are those without such a proxy.
  assert.deepEqual(await read(proxied), [504, 504, 504, 504, 405, 405]);
  assert.deepEqual(await read({}), usual);
  assert.equal(await ending, 0);
});

Deno.test("on SIGTERM an export under way is finished, and one that nobody reads is cut off, not ended", async () => {
  await using database = await createDatabase();
  const sizes = [{ prompts: 300, ratios: 20 }, { prompts: 1_500, ratios: 20 }];
  const { token, tasks: [small, large] } = await addTasks(database, sizes);
  await using api = await startApi(database, findFreePort());
  const openExport = async (task: string | undefined) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${originOf(api)}/api/v2/tasks/${task}/export?format=ndjson`, { headers });
    assert.equal(response.status, 200);
    const reader = response.body!.getReader();
    await reader.read();
    return reader;
  };
  const readAll = async (reader: ReadableStreamDefaultReader<Uint8Array>) => {
    for (let count = 1;; count++) if ((await reader.read()).done) return count;
  };
  const [read, unread] = [await openExport(small), await openExport(large)];
  const startedAt = performance.now();
  const ending = api.end("SIGTERM");
  assert.ok(await readAll(read) > 1);
  assert.equal(await ending, 0);
  assert.ok(performance.now() - startedAt < exitMsMax);
  await assert.rejects(readAll(unread));
});

Deno.test("/ready names a missing step of the schema with 503, and a newer one as degraded", async () => {
  await using database = await createDatabase();
  const admin = findFreePort();
  await using _api = await startApi(database, admin);
  const ready = await readHealth(admin);
  assert.deepEqual([ready.status, ready.outcomes.schema], [200, "ok"]);
  assert.match(ready.outcomes.redis!, /^degraded: /);
  const { sql } = database;
  await sql`
    insert into migration.schema_steps (number, name, hash)
    select max(number) + 1, 'a_newer_step', '' from migration.schema_steps`;
  const newer = await readHealth(admin);
  assert.equal(newer.status, 200);
  assert.match(newer.outcomes.schema!, /^degraded: the database has 1 step that this version does not know/);
  await sql`delete from migration.schema_steps where number > 10`;
  const older = await readHealth(admin);
  assert.equal(older.status, 503);
  assert.match(older.outcomes.schema!, /run 'deno task migrate'/);
});

Deno.test("the worker is degraded without Redis and ready with it, and on SIGTERM it exits with 0", async () => {
  await using database = await createDatabase();
  const redis = await startRedis();
  const admin = findFreePort();
  await using worker = await spawnProgram("worker", {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    IMAGE_API_URL: "http://127.0.0.1:9",
    NIETA_XTOKEN: "t",
    ADMIN_PORT: String(admin),
  });
  const ready = await readHealth(admin);
  assert.deepEqual([ready.status, ready.outcomes.redis, ready.outcomes.schema], [200, "ok", "ok"]);
  await redis[Symbol.asyncDispose]();
  const degraded = await waitForHealth(admin, ({ outcomes }) => /^degraded/.test(outcomes.redis!));
  assert.equal(degraded.status, 200);
  const live = await fetch(`http://127.0.0.1:${admin}/live`);
  assert.deepEqual(await live.json(), { status: "live" });
  const startedAt = performance.now();
  assert.equal(await worker.end("SIGTERM"), 0);
  assert.ok(performance.now() - startedAt < exitMsMax);
});

Deno.test("an ADMIN_PORT in use ends API and worker with 75 and names the setting", async () => {
  await using database = await createDatabase();
  await using redis = await startRedis();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const env = {
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    REDIS_URL: redis.url,
    IMAGE_API_URL: "http://127.0.0.1:9",
    NIETA_XTOKEN: "t",
    PORT: "0",
    ADMIN_PORT: String(taken.addr.port),
  };
  for (const name of ["api", "worker"] as const) {
    await assert.rejects(spawnProgram(name, env), /exit code 75[\s\S]*set ADMIN_PORT/);
  }
});
