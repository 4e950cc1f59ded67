/** Reserved connections: handed out whatever the pool is doing, closed when they are released. */
import assert from "node:assert/strict";
import { connect, type ConnectOptions, type Pool } from "../../db/pg/connect.ts";
import { whenLost } from "../../db/pg/reserve.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

const through = (url: string, port: number) => url.replace(`:${new URL(url).port}/`, `:${port}/`);
const pidOf = async (sql: Pool) => (await sql<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid;

async function untilGone({ sql }: TestDatabase, name: string): Promise<void> {
  for (;;) {
    const [row] =
      await sql`select count(*)::int as sessions from pg_stat_activity where application_name = ${name}`;
    if (row!.sessions === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const kinds: [string, ConnectOptions][] = [
  ["a plain pool", {}],
  ["a pool that gives silent peers up", { silentMsMax: 60_000 }],
  ["a pool that sends at once", { noDelay: true }],
];
for (const [what, options] of kinds) {
  Deno.test(`reserve() on ${what} that has nothing open hands out one session for each caller`, async () => {
    await using database = await createDatabase();
    const sql = connect(database.url, { ...options, max: 1, name: "reserving" });
    const held = await Promise.all([sql.reserve(), sql.reserve(), sql.reserve()]);
    const pids = await Promise.all(held.map(pidOf));
    assert.equal(new Set(pids).size, 3);
    // The pool itself goes on, even one of a single connection.
    assert.ok(!pids.includes(await pidOf(sql)));
    await held[0]!`begin`;
    await held[0]!`set local lock_timeout = '7s'`;
    assert.deepEqual([...await held[0]!`show lock_timeout`], [{ lock_timeout: "7s" }]);
    await held[0]!`rollback`;
    for (const { release } of held) release();
    await sql.end();
    await untilGone(database, "reserving");
  });
}

Deno.test("reserve() says so where no server is, and hands one out once it is back", async () => {
  await using database = await createDatabase();
  await using proxy = startProxy(Number(new URL(database.url).port));
  const sql = connect(through(database.url, proxy.port), { max: 2, silentMsMax: 60_000 });
  proxy.set("refuse");
  for (let tries = 0; tries < 4; tries++) {
    await assert.rejects(() => sql.reserve(), { code: "CONNECTION_CLOSED" });
  }
  proxy.set("pass");
  const held = await sql.reserve();
  assert.deepEqual([...await held`select 3 as three`], [{ three: 3 }]);
  held.release();
  await sql.end();
});

Deno.test("reserve() comes while every connection of the pool is ended under it", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 2, name: "struck", silentMsMax: 60_000 });
  for (let round = 0; round < 20; round++) {
    await Promise.allSettled([sql`select 1`, sql`select 2`]);
    const reserving = Promise.allSettled([sql.reserve(), sql.reserve()]);
    await database
      .sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'struck'`;
    for (const got of await reserving) {
      if (got.status === "fulfilled") got.value.release();
    }
  }
  await sql.end({ timeout: 1 });
});

Deno.test("the end of a pool ends what it reserved and nobody released", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1, name: "kept" });
  await sql.reserve();
  await sql.end({ timeout: 0 });
  await untilGone(database, "kept");
});

Deno.test("whoever reserved a session hears of its end, also while nothing is asked of it", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1, noDelay: true });
  const held = await sql.reserve();
  const pid = await pidOf(held as unknown as Pool);
  await database.sql`select pg_terminate_backend(${pid})`;
  await assert.rejects(whenLost(held), { code: "CONNECTION_CLOSED" });
  held.release();
  await sql.end();
});
