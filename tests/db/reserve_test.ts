/** reserve() opens a session of its own for any state of the pool, and its release closes the session. */
import assert from "node:assert/strict";
import { connect, type ConnectOptions, type Pool } from "../../db/pg/connect.ts";
import { rejectWhenLost } from "../../db/pg/reserve.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";

const throughProxy = (url: string, port: number) => url.replace(`:${new URL(url).port}/`, `:${port}/`);
const pidOf = async (sql: Pool) => (await sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid;

async function waitForNoSessions({ sql }: TestDatabase, name: string): Promise<void> {
  await waitFor(`the end of the sessions '${name}'`, async () => {
    const [row] =
      await sql`select count(*)::int as sessions from pg_stat_activity where application_name = ${name}`;
    return row!.sessions === 0;
  });
}

const kinds: [string, ConnectOptions][] = [
  ["a plain pool", {}],
  ["a pool with a limit on silence", { silentMsMax: 60_000 }],
  ["a pool without Nagle's algorithm", {}],
];
for (const [what, options] of kinds) {
  Deno.test(`reserve() on ${what} without open connections opens one session per caller`, async () => {
    await using database = await createDatabase();
    const sql = connect(database.url, { ...options, max: 1, name: "reserving" });
    const reserved = await Promise.all([sql.reserve(), sql.reserve(), sql.reserve()]);
    const pids = await Promise.all(reserved.map(pidOf));
    assert.equal(new Set(pids).size, 3);
    // The pool still serves statements, even with a single connection.
    assert.ok(!pids.includes(await pidOf(sql)));
    await reserved[0]!`begin`;
    await reserved[0]!`set local lock_timeout = '7s'`;
    assert.deepEqual([...await reserved[0]!`show lock_timeout`], [{ lock_timeout: "7s" }]);
    await reserved[0]!`rollback`;
    for (const { release } of reserved) release();
    await sql.end();
    await waitForNoSessions(database, "reserving");
  });
}

Deno.test("reserve() rejects while the server is unreachable, and succeeds afterwards", async () => {
  await using database = await createDatabase();
  await using proxy = startProxy(Number(new URL(database.url).port));
  const sql = connect(throughProxy(database.url, proxy.port), { max: 2, silentMsMax: 60_000 });
  proxy.set("refuse");
  for (let tries = 0; tries < 4; tries++) {
    await assert.rejects(() => sql.reserve(), { code: "CONNECTION_CLOSED" });
  }
  proxy.set("pass");
  const session = await sql.reserve();
  assert.deepEqual([...await session`select 3 as three`], [{ three: 3 }]);
  session.release();
  await sql.end();
});

Deno.test("reserve() settles while all connections of the pool are terminated", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 2, name: "struck", silentMsMax: 60_000 });
  for (let round = 0; round < 20; round++) {
    await Promise.allSettled([sql`select 1`, sql`select 2`]);
    const reserving = Promise.allSettled([sql.reserve(), sql.reserve()]);
    await database
      .sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'struck'`;
    for (const result of await reserving) {
      if (result.status === "fulfilled") result.value.release();
    }
  }
  await sql.end({ timeout: 1 });
});

Deno.test("end() of a pool closes reserved sessions that were not released", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1, name: "kept" });
  await sql.reserve();
  await sql.end({ timeout: 0 });
  await waitForNoSessions(database, "kept");
});

Deno.test("rejectWhenLost() reports the end of an idle reserved session", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1 });
  const session = await sql.reserve();
  const pid = await pidOf(session as unknown as Pool);
  await database.sql`select pg_terminate_backend(${pid})`;
  await assert.rejects(rejectWhenLost(session), { code: "CONNECTION_CLOSED" });
  session.release();
  await sql.end();
});
