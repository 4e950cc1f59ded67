/** Peers that go without a word, or in the middle of an answer. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { isPassing } from "../../batch.ts";
import { callHttp } from "../../http.ts";
import { createDatabase } from "../support/database.ts";

const portOf = (url: string) => Number(new URL(url).port);
const through = (url: string, port: number) => url.replace(`:${portOf(url)}/`, `:${port}/`);

Deno.test("statements on a connection that went silent fail in time, and the next go over a new one", async () => {
  await using database = await createDatabase();
  await using proxy = startProxy(portOf(database.url));
  const sql = connect(through(database.url, proxy.port), { max: 2, silentMsMax: 300 });
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

Deno.test("a connection that rests is not taken for a silent one", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1, silentMsMax: 100 });
  const pid = async () => (await sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid;
  const before = await pid();
  await new Promise((resolve) => setTimeout(resolve, 350));
  assert.equal(await pid(), before);
  await sql.end({ timeout: 1 });
});

Deno.test("a pool whose connections were all refused for a while works again", async () => {
  await using database = await createDatabase();
  await using proxy = startProxy(portOf(database.url));
  proxy.set("refuse");
  const sql = connect(through(database.url, proxy.port), { max: 2, silentMsMax: 1_000 });
  for (let tries = 0; tries < 6; tries++) {
    await assert.rejects(async () => await sql`select 1`, { code: "CONNECTION_CLOSED" });
  }
  proxy.set("pass");
  assert.deepEqual([...await sql`select 3 as three`], [{ three: 3 }]);
  await sql.end({ timeout: 1 });
});

Deno.test("a server that is not there says so at once, again and again", async () => {
  const sql = connect("postgres://nobody@127.0.0.1:1/none", { max: 1, silentMsMax: 1_000 });
  // More often than the pool has connections: none of them may be lost.
  for (let tries = 0; tries < 3; tries++) {
    await assert.rejects(async () => await sql`select 1`, { code: "ECONNREFUSED" });
  }
  await sql.end({ timeout: 1 });
});

Deno.test("sessions that are ended at any moment fail their statements and transactions, nothing beside them", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 4, name: "victim", silentMsMax: 2_000 });
  let tries = 0;
  let stopped = false;
  const keepAsking = async (ask: () => Promise<unknown>) => {
    for (; !stopped; tries++) await ask().catch(() => new Promise((resolve) => setTimeout(resolve, 5)));
  };
  const asking = Promise.all([
    keepAsking(async () => await sql`select pg_sleep(0.002)`),
    keepAsking(() =>
      sql.begin(async (tx) => {
        await tx`select 1`;
        await tx`select pg_sleep(0.001)`;
      })
    ),
    keepAsking(() => sql.begin(async (tx) => void await tx`select 1`)),
  ]);
  // A rejection or an exception that nobody catches fails this test.
  for (let round = 0; round < 60; round++) {
    await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'victim' and datname = current_database()`;
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  stopped = true;
  await asking;
  assert.ok(tries > 60);
  await sql.end({ timeout: 1 });
});

/** Reads requests off raw connections; answers the first on each, cuts it in the second. */
function startCutter() {
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

Deno.test("a POST whose answer is cut off is sent once, also after another to the same server", async () => {
  const cutter = startCutter();
  const post = (body: string) =>
    callHttp({ method: "POST", url: cutter.url, body, timeoutMs: 2_000, bodyBytesMax: 100 });
  assert.equal((await post("first")).kind, "answer");
  assert.equal((await post("second")).kind, "unreachable");
  await cutter.stop();
  assert.deepEqual(cutter.bodies, ["first", "second"]);
});

const failures: [string, string, boolean][] = [
  ["the connection ended", "CONNECTION_CLOSED", true],
  ["nothing listens", "ECONNREFUSED", true],
  ["the server shuts down", "57P01", true],
  ["the server takes no writes: a standby, a full disk", "25006", true],
  ["a deadlock", "40P01", true],
  ["too many connections", "53300", true],
  ["a constraint", "23505", false],
  ["no such column", "42703", false],
];
for (const [what, code, passes] of failures) {
  Deno.test(`${what}: ${passes ? "waited out" : "fails for good"}`, () => {
    assert.equal(isPassing(Object.assign(new Error(what), { code })), passes);
  });
}
