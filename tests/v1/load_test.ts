/** More than the database can serve, and clients that do not wait for it. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { untilLeft } from "../../db/pg/leaving.ts";
import { createGate } from "../../routes/common/gate.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { createDatabase } from "../support/database.ts";
import { addUsers, type Person } from "../support/people.ts";
import { addTask } from "./support/tasks.ts";

const origin = "http://localhost:3000";

function get(api: TestApi, { token }: Person, path: string, signal?: AbortSignal): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, origin };
  return fetch(`${api.origin}/api/v1${path}`, { headers, ...(signal ? { signal } : {}) });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!await holds()) {
    assert.ok(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Keeps every statement that reads tasks waiting until it is released. */
async function blockTasks({ database }: TestApi) {
  const sql = await database.sql.reserve();
  await sql`begin`;
  await sql`lock table tasks in access exclusive mode`;
  return {
    waiting: async () => {
      // Asked outside the transaction: one that is open sees what was when it asked first.
      const [row] = await database.sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return row!.count;
    },
    async release() {
      await sql`rollback`;
      sql.release();
    },
  };
}

Deno.test("while 100 slow reads hold the database, others are put off soon, with CORS, and served again after", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const blocked = await blockTasks(api);
  const slow = Array.from({ length: 100 }, (_, i) => get(api, user, i % 2 ? "/tasks" : `/tasks/${id}`));
  await until("slow reads wait", async () => await blocked.waiting() > 0);
  const started = performance.now();
  const response = await get(api, user, "/users/me");
  const milliseconds = performance.now() - started;
  assert.deepEqual([response.status, await response.json()], [503, { detail: "Service Unavailable" }]);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  // 1.5 s and what the machine adds; not the time that the database is held.
  assert.ok(milliseconds < 30_000, `${milliseconds} ms`);
  const health = await fetch(`${api.origin}/health`);
  assert.equal(health.status, 200, "what needs no database is served");
  await health.body?.cancel();
  await blocked.release();
  const answers = await Promise.all(slow);
  for (const answer of answers) await answer.body?.cancel();
  const served = answers.filter(({ status }) => status === 200).length;
  assert.ok(served > 0 && served <= 16, `${served} were with the database, the others were put off`);
  assert.ok(answers.every(({ status }) => status === 200 || status === 503));
  const after = await get(api, user, "/users/me");
  assert.equal(after.status, 200);
  await after.body?.cancel();
});

Deno.test("a client that leaves takes its statement along, and 200 that leave cost no connection", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const blocked = await blockTasks(api);
  for (let round = 0; round < 25; round++) {
    const leaving = new AbortController();
    const asked = Array.from(
      { length: 8 },
      (_, i) => get(api, user, i % 2 ? "/tasks" : `/tasks/${id}`, leaving.signal).catch(() => undefined),
    );
    await until("a statement waits", async () => await blocked.waiting() > 0);
    leaving.abort();
    await Promise.all(asked);
    await until("no statement waits", async () => await blocked.waiting() === 0);
  }
  // The table is still locked: all were cancelled, and none of their connections is lost.
  const me = await Promise.all(Array.from({ length: 20 }, () => get(api, user, "/users/me")));
  for (const response of me) assert.equal((await response.json()).code, 200);
  await blocked.release();
  const task = await get(api, user, `/tasks/${id}`);
  assert.equal((await task.json()).data.id, id);
  const gone = api.lines.filter(({ status }) => status === 499);
  assert.ok(gone.length > 0, "who left is counted");
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

Deno.test("who leaves behind a slow statement takes nobody's answer: each gets its own", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1, silentMsMax: 60_000 });
  await sql`select 1`;
  for (let round = 0; round < 10; round++) {
    const leaving = [new AbortController(), new AbortController()];
    const [first, second] = leaving.map(({ signal }) => untilLeft(sql, signal));
    const slow = first!`select pg_sleep(30)`.then(() => "slept", ({ code }) => code);
    const behind = second!<{ says: string }[]>`select 'second' as says`
      .then((rows) => rows[0]?.says, ({ code }) => code);
    const others = ["third", "fourth"].map(async (says) => (await sql`select ${says} as says`)[0]?.says);
    await until("it sleeps", async () => {
      const [row] = await database.sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'`;
      return row!.count === 1;
    });
    leaving[1]!.abort();
    leaving[0]!.abort();
    assert.equal(await slow, "57014");
    assert.ok(["second", "57014"].includes(await behind));
    assert.deepEqual(await Promise.all(others), ["third", "fourth"]);
  }
  await sql.end({ timeout: 1 });
});

Deno.test("the gate lets in as many as it may, in the order they came, and forgets who left or failed", async () => {
  const gate = createGate({ least: 2, most: 2, waitMsMax: 60_000, waitingMax: 3 });
  const request = new Request("http://x/");
  const order: string[] = [];
  const held = ["a", "b"].map((name) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const running = gate.run(request, () => (order.push(name), promise));
    return { resolve, reject, running };
  });
  const leaving = new AbortController();
  const left = gate.run(new Request("http://x/", { signal: leaving.signal }), () => assert.fail("it left"));
  const late = ["c", "d"].map((name) => gate.run(request, () => order.push(name)));
  await assert.rejects(gate.run(request, () => assert.fail("no room to wait")), { code: "busy" });
  leaving.abort();
  await assert.rejects(left, { code: "busy" });
  assert.deepEqual(order, ["a", "b"]);
  held[0]!.reject(new Error("failed"));
  await assert.rejects(held[0]!.running, /failed/);
  await Promise.all(late);
  assert.deepEqual(order, ["a", "b", "c", "d"]);
  held[1]!.resolve();
  await held[1]!.running;
  const full = createGate({ least: 0, most: 0, waitMsMax: 20 });
  await assert.rejects(full.run(request, () => assert.fail("no room")), { code: "busy", status: 503 });
});

Deno.test("the gate opens while requests are quick and closes to its least when they are not", async () => {
  const gate = createGate({ least: 2, most: 5, waitMsMax: 200 });
  const request = new Request("http://x/");
  for (let i = 0; i < 10; i++) await gate.run(request, () => {});
  const { promise, resolve } = Promise.withResolvers<void>();
  let entered = 0;
  const slow = Array.from(
    { length: 9 },
    () => gate.run(request, () => (entered++, promise)).catch(() => "off"),
  );
  // Five at most; on a machine that slept in between the two that are always let in.
  assert.ok(entered >= 2 && entered <= 5, `${entered}`);
  await Promise.all(slow.slice(5));
  assert.equal(await gate.run(request, () => "in").catch(() => "off"), "off");
  resolve();
  await Promise.all(slow);
  assert.equal(await gate.run(request, () => "in"), "in");
});

const bodies: [
  what: string,
  path: string,
  who: "user" | "admin" | undefined,
  body: string,
  status: number,
][] = [
  ["a stranger's broken body", "/tasks", undefined, "[1,", 422],
  ["a stranger's broken body of a megabyte", "/tasks", undefined, `[${"1,".repeat(500_000)}`, 401],
  ["a user's broken body of a megabyte", "/tasks", "user", `["${"x".repeat(1_000_000)}\\x"]`, 422],
  ["a user's half a million values", "/tasks", "user", `[${"1,".repeat(500_000)}`, 413],
  [
    "a user to be with a name of a megabyte",
    "/users/",
    "admin",
    `{"fullname":"${"x".repeat(1_100_000)}"}`,
    413,
  ],
];
Deno.test("large bodies are parsed for those alone who have a token, and only where they may be large", async (t) => {
  await using api = await startApi();
  const people = await addUsers(api);
  for (const [what, path, who, body, status] of bodies) {
    await t.step(what, async () => {
      const headers = {
        "content-type": "application/json",
        ...(who ? { authorization: `Bearer ${people[who].token}` } : {}),
      };
      const response = await fetch(`${api.origin}/api/v1${path}`, { method: "POST", headers, body });
      assert.equal(response.status, status, await response.text());
    });
  }
});
