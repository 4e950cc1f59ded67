/** Peers that stop responding, are unreachable, or close a connection in the middle of a response. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { callHttp } from "../../http.ts";
import { createDatabase } from "../support/database.ts";

const portOf = (url: string) => Number(new URL(url).port);
const throughProxy = (url: string, port: number) => url.replace(`:${portOf(url)}/`, `:${port}/`);

Deno.test("statements on a silent connection fail in time, and later statements use a new one", async () => {
  await using database = await createDatabase();
  await using proxy = startProxy(portOf(database.url));
  const sql = connect(throughProxy(database.url, proxy.port), { max: 2, silentMsMax: 300 });
  await Promise.all([sql`select pg_sleep(0.02)`, sql`select pg_sleep(0.02)`]);
  proxy.orphan();
  const failed = await Promise.allSettled([sql`select 1`, sql`select 2`]);
  assert.deepEqual(failed.map(({ status }) => status), ["rejected", "rejected"]);
  for (const result of failed) {
    assert.equal((result as PromiseRejectedResult).reason.code, "CONNECTION_CLOSED");
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([...await sql`select 3 as three`], [{ three: 3 }]);
  await sql.end({ timeout: 1 });
});

Deno.test("an idle connection does not count as silent", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1, silentMsMax: 1_000 });
  const pid = async () => (await sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid;
  const before = await pid();
  await new Promise((resolve) => setTimeout(resolve, 2_200));
  assert.equal(await pid(), before);
  await sql.end({ timeout: 1 });
});

Deno.test("a pool recovers after all its connections were refused", async () => {
  await using database = await createDatabase();
  await using proxy = startProxy(portOf(database.url));
  proxy.set("refuse");
  const sql = connect(throughProxy(database.url, proxy.port), { max: 2, silentMsMax: 1_000 });
  for (let tries = 0; tries < 6; tries++) {
    await assert.rejects(async () => await sql`select 1`, { code: "CONNECTION_CLOSED" });
  }
  proxy.set("pass");
  assert.deepEqual([...await sql`select 3 as three`], [{ three: 3 }]);
  await sql.end({ timeout: 1 });
});

Deno.test("each statement to an unreachable server fails with ECONNREFUSED", async () => {
  const sql = connect("postgres://nobody@127.0.0.1:1/none", { max: 1, silentMsMax: 1_000 });
  // More attempts than the pool has connections, so that a leaked connection would hang.
  for (let tries = 0; tries < 3; tries++) {
    await assert.rejects(async () => await sql`select 1`, { code: "ECONNREFUSED" });
  }
  await sql.end({ timeout: 1 });
});

Deno.test("terminated sessions fail their own statements and transactions only", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 4, name: "victim", silentMsMax: 2_000 });
  let attempts = 0;
  let isStopped = false;
  const repeat = async (run: () => Promise<unknown>) => {
    for (; !isStopped; attempts++) await run().catch(() => new Promise((resolve) => setTimeout(resolve, 5)));
  };
  const running = Promise.all([
    repeat(async () => await sql`select pg_sleep(0.002)`),
    repeat(() =>
      sql.begin(async (tx) => {
        await tx`select 1`;
        await tx`select pg_sleep(0.001)`;
      })
    ),
    repeat(() => sql.begin(async (tx) => void await tx`select 1`)),
  ]);
  // An unhandled rejection or exception fails this test.
  for (let round = 0; round < 60; round++) {
    await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'victim' and datname = current_database()`;
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  isStopped = true;
  await running;
  assert.ok(attempts > 60);
  await sql.end({ timeout: 1 });
});

/** Starts a server that responds to the first request and closes the connection on the second. */
function startCuttingServer() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const bodies: string[] = [];
  const serve = async (connection: Deno.TcpConn) => {
    const bytes = new Uint8Array(10_000);
    for (let requests = 0;; requests++) {
      const count = await connection.read(bytes).catch(() => null);
      if (count === null) break;
      bodies.push(new TextDecoder().decode(bytes.subarray(0, count)).split("\r\n\r\n")[1]!);
      if (bodies.length > 1) break;
      await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    }
    connection.close();
  };
  const serving = (async () => {
    const all: Promise<void>[] = [];
    for await (const connection of listener) all.push(serve(connection));
    await Promise.all(all);
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}/`,
    bodies,
    async stop() {
      listener.close();
      await serving;
    },
  };
}

Deno.test("callHttp() sends a POST once if its response is cut off, also on a kept-alive connection", async () => {
  const server = startCuttingServer();
  const post = (body: string) =>
    callHttp({ method: "POST", url: server.url, body, timeoutMs: 2_000, bodyBytesMax: 100 });
  assert.equal((await post("first")).kind, "answer");
  assert.equal((await post("second")).kind, "unreachable");
  await server.stop();
  assert.deepEqual(server.bodies, ["first", "second"]);
});
