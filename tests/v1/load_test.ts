/** Overload of the database, and clients that disconnect. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { cancelOnAbort } from "../../db/pg/cancel_on_abort.ts";
import { createGate } from "../../routes/common/gate.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { createDatabase } from "../support/database.ts";
import { addUsers, type Person } from "../support/people.ts";
import { waitFor } from "../support/wait.ts";
import { addTask } from "./support/tasks.ts";

const origin = "http://localhost:3000";

function get(api: TestApi, { token }: Person, path: string, signal?: AbortSignal): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, origin };
  return fetch(`${api.origin}/api/v1${path}`, { headers, ...(signal ? { signal } : {}) });
}

/** Locks the table of tasks until it is released, so that every statement that reads it waits. */
async function lockTasks({ database }: TestApi) {
  const sql = await database.sql.reserve();
  await sql`begin`;
  await sql`lock table tasks in access exclusive mode`;
  return {
    countWaiting: async () => {
      // A query in the open transaction would see the statistics of its first query.
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

Deno.test("while 100 slow reads use the database, other requests soon get 503, and are served afterwards", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const lock = await lockTasks(api);
  const slow = Array.from({ length: 100 }, (_, i) => get(api, user, i % 2 ? "/tasks" : `/tasks/${id}`));
  await waitFor("a waiting statement", async () => await lock.countWaiting() > 0);
  const started = performance.now();
  const response = await get(api, user, "/users/me");
  const milliseconds = performance.now() - started;
  assert.deepEqual([response.status, await response.json()], [503, { detail: "Service Unavailable" }]);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  // The gate waits 1.5 s. The bound allows for a slow machine, and is far below the duration of the lock.
  assert.ok(milliseconds < 30_000, `${milliseconds} ms`);
  const health = await fetch(`${api.origin}/health`);
  assert.equal(health.status, 200, "a request without the database is served");
  await health.body?.cancel();
  await lock.release();
  const answers = await Promise.all(slow);
  for (const answer of answers) await answer.body?.cancel();
  const served = answers.filter(({ status }) => status === 200).length;
  assert.ok(served > 0 && served <= 16, `${served} used the database, the others were rejected`);
  assert.ok(answers.every(({ status }) => status === 200 || status === 503));
  const after = await get(api, user, "/users/me");
  assert.equal(after.status, 200);
  await after.body?.cancel();
});

Deno.test("a disconnected client's statement is cancelled, and 200 disconnects leak no connection", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const lock = await lockTasks(api);
  for (let round = 0; round < 25; round++) {
    const leaving = new AbortController();
    const requests = Array.from(
      { length: 8 },
      (_, i) => get(api, user, i % 2 ? "/tasks" : `/tasks/${id}`, leaving.signal).catch(() => undefined),
    );
    await waitFor("a waiting statement", async () => await lock.countWaiting() > 0);
    leaving.abort();
    await Promise.all(requests);
    await waitFor("the end of all waiting statements", async () => await lock.countWaiting() === 0);
  }
  // The table is still locked, so all statements were cancelled. Their connections are usable.
  const me = await Promise.all(Array.from({ length: 20 }, () => get(api, user, "/users/me")));
  for (const response of me) assert.equal((await response.json()).code, 200);
  await lock.release();
  const task = await get(api, user, `/tasks/${id}`);
  assert.equal((await task.json()).data.id, id);
  const disconnects = api.lines.filter(({ status }) => status === 499);
  assert.ok(disconnects.length > 0, "no disconnect was logged with status 499");
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

Deno.test("cancelling statements behind a slow one gives every other statement its own result", async () => {
  await using database = await createDatabase();
  const sql = connect(database.url, { max: 1, silentMsMax: 60_000 });
  await sql`select 1`;
  for (let round = 0; round < 10; round++) {
    const leaving = [new AbortController(), new AbortController()];
    const [first, second] = leaving.map(({ signal }) => cancelOnAbort(sql, signal));
    const slow = first!`select pg_sleep(30)`.then(() => "slept", ({ code }) => code);
    const behind = second!<{ says: string }[]>`select 'second' as says`
      .then((rows) => rows[0]?.says, ({ code }) => code);
    const others = ["third", "fourth"].map(async (says) => (await sql`select ${says} as says`)[0]?.says);
    await waitFor("a sleeping statement", async () => {
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

Deno.test("the gate admits requests up to its limit in order of arrival, and forgets disconnected and failed ones", async () => {
  const gate = createGate({ concurrencyMin: 2, concurrencyMax: 2, waitMsMax: 60_000, waitingMax: 3 });
  const request = new Request("http://x/");
  const order: string[] = [];
  const admitted = ["a", "b"].map((name) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const running = gate.run(request, () => (order.push(name), promise));
    return { resolve, reject, running };
  });
  const leaving = new AbortController();
  const leavingRequest = new Request("http://x/", { signal: leaving.signal });
  const left = gate.run(leavingRequest, () => assert.fail("a disconnected request was admitted"));
  const late = ["c", "d"].map((name) => gate.run(request, () => order.push(name)));
  await assert.rejects(gate.run(request, () => assert.fail("one more than waitingMax was admitted")), {
    code: "busy",
  });
  leaving.abort();
  await assert.rejects(left, { code: "busy" });
  assert.deepEqual(order, ["a", "b"]);
  admitted[0]!.reject(new Error("failed"));
  await assert.rejects(admitted[0]!.running, /failed/);
  await Promise.all(late);
  assert.deepEqual(order, ["a", "b", "c", "d"]);
  admitted[1]!.resolve();
  await admitted[1]!.running;
});

Deno.test("the gate fails with busy after waitMsMax", async () => {
  const gate = createGate({ concurrencyMin: 0, concurrencyMax: 0, waitMsMax: 20 });
  const running = gate.run(new Request("http://x/"), () => assert.fail("the request was admitted"));
  await assert.rejects(running, { code: "busy", status: 503 });
});

Deno.test("the gate raises its limit while requests are quick and lowers it to the minimum while they are slow", async () => {
  const gate = createGate({ concurrencyMin: 2, concurrencyMax: 5, waitMsMax: 200 });
  const request = new Request("http://x/");
  for (let i = 0; i < 10; i++) await gate.run(request, () => {});
  const { promise, resolve } = Promise.withResolvers<void>();
  let admitted = 0;
  const slow = Array.from(
    { length: 9 },
    () => gate.run(request, () => (admitted++, promise)).catch(() => "rejected"),
  );
  // At most concurrencyMax, and at least concurrencyMin if the machine paused for longer than the gate's
  // stalledMs.
  assert.ok(admitted >= 2 && admitted <= 5, `${admitted}`);
  await Promise.all(slow.slice(5));
  assert.equal(await gate.run(request, () => "admitted").catch(() => "rejected"), "rejected");
  resolve();
  await Promise.all(slow);
  assert.equal(await gate.run(request, () => "admitted"), "admitted");
});

const bodies: [
  what: string,
  path: string,
  caller: "user" | "admin" | undefined,
  body: string,
  status: number,
][] = [
  ["invalid JSON without a token", "/tasks", undefined, "[1,", 422],
  ["a megabyte of invalid JSON without a token", "/tasks", undefined, `[${"1,".repeat(500_000)}`, 401],
  ["a megabyte of invalid JSON with a token", "/tasks", "user", `["${"x".repeat(1_000_000)}\\x"]`, 422],
  ["half a million values with a token", "/tasks", "user", `[${"1,".repeat(500_000)}`, 413],
  [
    "a new user with a name of a megabyte",
    "/users/",
    "admin",
    `{"fullname":"${"x".repeat(1_100_000)}"}`,
    413,
  ],
];
Deno.test("large bodies are parsed only with a valid token, and only on routes that permit them", async (t) => {
  await using api = await startApi();
  const people = await addUsers(api);
  for (const [what, path, caller, body, status] of bodies) {
    await t.step(what, async () => {
      const headers = {
        "content-type": "application/json",
        ...(caller ? { authorization: `Bearer ${people[caller].token}` } : {}),
      };
      const response = await fetch(`${api.origin}/api/v1${path}`, { method: "POST", headers, body });
      assert.equal(response.status, status, await response.text());
    });
  }
});
