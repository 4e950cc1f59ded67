/** API_PROCESSES: several processes that share a port, their restarts, their end, and their health as one. */
import assert from "node:assert/strict";
import { childrenOf, isAlive } from "../../dev/servers/pids.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { originOf, type Spawned, spawnProgram } from "../../dev/servers/spawn.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";

const secret = "0123456789abcdef0123456789abcdef";

function start(database: TestDatabase, env: Record<string, string>): Promise<Spawned> {
  return spawnProgram("start", {
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    REDIS_URL: "redis://127.0.0.1:9",
    HOST: "127.0.0.1",
    PORT: "0",
    API_PROCESSES: "2",
    ...env,
  });
}

const waitUntilGone = (pids: number[]) =>
  waitFor("the end of the processes", () => !pids.some(isAlive), 20_000);

/** Sends requests, each over a connection of its own, so that both processes serve some of them. */
async function sendRequests(origin: string, count: number): Promise<number> {
  let failed = 0;
  for (let index = 0; index < count; index++) {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    try {
      const response = await fetch(`${origin}/health`, { client });
      await response.body?.cancel();
      if (response.status !== 200) failed++;
    } catch {
      failed++;
    }
  }
  return failed;
}

async function readMetric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

const requestsTotal = 'contactsheet_http_requests_total{method="GET",route="/health"';

Deno.test("two processes share the port; one that is killed is started again, and no count is lost", async () => {
  await using database = await createDatabase();
  const admin = findFreePort();
  await using parent = await start(database, { ADMIN_PORT: String(admin) });
  const origin = originOf(parent);
  const before = childrenOf(parent.pid);
  assert.equal(before.length, 2);
  assert.equal(await sendRequests(origin, 60), 0);
  const ready = await fetch(`http://127.0.0.1:${admin}/ready`);
  const outcomes = await ready.json() as Record<string, string>;
  assert.equal(ready.status, 200);
  assert.deepEqual(Object.keys(outcomes), ["status", "process_1", "process_2"]);
  // Redis is away, and both say so.
  assert.match(outcomes.process_2!, /^degraded: redis: /);
  assert.equal(await readMetric(admin, "contactsheet_api_processes "), 2);
  assert.equal(await readMetric(admin, requestsTotal), 60);

  Deno.kill(before[0]!, "SIGKILL");
  const after = await waitFor("the restart", () => {
    const now = childrenOf(parent.pid).filter(isAlive);
    return now.length === 2 && !now.includes(before[0]!) && now;
  }, 20_000);
  assert.ok(after.includes(before[1]!));
  await waitFor("readiness", async () => {
    const response = await fetch(`http://127.0.0.1:${admin}/ready`);
    await response.body?.cancel();
    return response.status === 200;
  }, 20_000);
  assert.equal(await sendRequests(origin, 40), 0);
  assert.equal(await readMetric(admin, requestsTotal), 100);
  assert.equal(await readMetric(admin, "contactsheet_api_process_restarts_total "), 1);
  assert.match(parent.output(), /"a process of the API ended".*"restart_ms":100/);

  const startedAt = performance.now();
  assert.equal(await parent.end("SIGTERM"), 0);
  assert.ok(performance.now() - startedAt < 5_000);
  await waitUntilGone(after);
});

Deno.test("a process that dies again and again is restarted ever later, and the parent is not ready meanwhile", async () => {
  await using database = await createDatabase();
  const admin = findFreePort();
  await using parent = await start(database, { ADMIN_PORT: String(admin) });
  // Both processes fail at their start: their schema is gone.
  await database.sql`delete from migration.schema_steps where number > 1`;
  for (const pid of childrenOf(parent.pid)) Deno.kill(pid, "SIGKILL");
  await waitFor("the third restart", () => /"restart_ms":400/.test(parent.output()), 60_000);
  const ready = await fetch(`http://127.0.0.1:${admin}/ready`);
  assert.equal(ready.status, 503, await ready.text());
  assert.equal(await parent.end("SIGTERM"), 0);
});

Deno.test("processes drain and end when their parent is killed", async () => {
  await using database = await createDatabase();
  const parent = await start(database, {});
  const children = childrenOf(parent.pid);
  Deno.kill(parent.pid, "SIGKILL");
  await parent.ended;
  await waitUntilGone(children);
});

Deno.test("SIGINT to the whole group, as a terminal sends it, drains and does not cut off", async () => {
  await using database = await createDatabase();
  const parent = await start(database, { DRAIN_MS: "1000" });
  const children = childrenOf(parent.pid);
  for (const pid of children) Deno.kill(pid, "SIGINT");
  const ending = parent.end("SIGINT");
  assert.equal(await sendRequests(originOf(parent), 5), 0);
  assert.equal(await ending, 0);
  await waitUntilGone(children);
});

Deno.test("a failure at the start ends the parent with the process's message and exit code", async () => {
  await using database = await createDatabase();
  await assert.rejects(start(database, { ADMIN_PORT: "eighty" }), /exit code 78[\s\S]*ADMIN_PORT 'eighty'/);
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await assert.rejects(
    start(database, { PORT: String(taken.addr.port) }),
    /exit code 75[\s\S]*free the port or set PORT/,
  );
  await using first = await start(database, {});
  const { port } = new URL(originOf(first));
  // Processes that share a port would accept each other's connections.
  await assert.rejects(start(database, { PORT: port }), /exit code 75/);
  await database.sql`delete from migration.schema_steps where number > 1`;
  await assert.rejects(start(database, {}), /exit code 70[\s\S]*deno task migrate/);
  await assert.rejects(start(database, { API_PROCESSES: "65" }), /API_PROCESSES '65': wanted/);
});

Deno.test("a single process has lost the permission of the task before it serves", async () => {
  await using database = await createDatabase();
  await using single = await start(database, { API_PROCESSES: "1" });
  assert.equal(childrenOf(single.pid).length, 0);
  assert.equal(await sendRequests(originOf(single), 3), 0);
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    path,
    'await Deno.permissions.revoke({ name: "run" });\n' +
      'try { new Deno.Command("deno").spawn(); } catch (error) { Deno.exit(error.name === "NotCapable" ? 42 : 1); }',
  );
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-run=deno", path],
  }).output();
  await Deno.remove(path);
  assert.equal(code, 42);
});
