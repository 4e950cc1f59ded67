/** ETags of detail and matrix: 304 only while the client's copy is current. */
import assert from "node:assert/strict";
import { releaseOrphans } from "../../db/queue/dispatch.ts";
import {
  claimSubtasks,
  type LeasedSubtask,
  releaseSubtasks,
  retrySubtasks,
  settleSubtasks,
} from "../../db/queue/subtasks.ts";
import { stopWork } from "../../migrate/data/cutover/stop_work.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers, type Person } from "../support/people.ts";
import { addTask } from "./support/tasks.ts";

async function read(api: TestApi, path: string, headers: Record<string, string>) {
  const response = await fetch(`${api.origin}/api/v1/tasks/${path}`, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const authorized = ({ token }: Person) => ({
  authorization: `Bearer ${token}`,
  origin: "http://localhost:3000",
});

for (const part of ["", "/matrix"]) {
  Deno.test(`GET /tasks/{id}${part} is 304 until the task changes`, async () => {
    await using api = await startApi();
    const { user } = await addUsers(api);
    const id = await addTask(api, user);
    const path = `${id}${part}`;
    const first = await read(api, path, authorized(user));
    const etag = first.headers.get("etag")!;
    assert.match(etag, /^W\/"[^"]+"$/);
    const again = await read(api, path, { ...authorized(user), "if-none-match": etag });
    assert.deepEqual([again.status, again.text], [304, ""]);
    assert.equal(again.headers.get("access-control-allow-origin"), "*");
    assert.equal(again.headers.get("access-control-allow-credentials"), "true");
    assert.equal(again.headers.get("etag"), etag);
    await fetch(`${api.origin}/api/v1/tasks/${id}/cancel`, { method: "POST", headers: authorized(user) })
      .then((response) => response.body?.cancel());
    const changed = await read(api, path, { ...authorized(user), "if-none-match": etag });
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.get("etag"), etag);
  });
}

const ifNoneMatch: [what: string, header: (etag: string) => string, status: number][] = [
  ["the tag", (etag) => etag, 304],
  ["the tag in its strong form", (etag) => etag.slice(2), 304],
  ["the tag among others", (etag) => `"a", W/"b", ${etag}`, 304],
  ["another tag", () => 'W/"other"', 200],
  ["a star, which names no version", () => "*", 200],
  ["the tag cut short", (etag) => etag.slice(0, -2) + '"', 200],
  ["the tag without quotes", (etag) => etag.slice(3, -1), 200],
  ["an empty header", () => "", 200],
  ["ten thousand characters", () => `"${"x".repeat(10_000)}"`, 200],
  ["two thousand other tags", () => Array.from({ length: 2000 }, (_, i) => `"${i}"`).join(","), 200],
];
Deno.test("If-None-Match is compared weakly with each of its tags", async (t) => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const etag = (await read(api, id, authorized(user))).headers.get("etag")!;
  for (const [what, header, status] of ifNoneMatch) {
    await t.step(`${what}: ${status}`, async () => {
      const got = await read(api, id, { ...authorized(user), "if-none-match": header(etag) });
      assert.equal(got.status, status);
    });
  }
});

Deno.test("a tag does not match another task, and does not replace a token", async () => {
  await using api = await startApi();
  const { user, disabled } = await addUsers(api);
  const one = await addTask(api, user);
  const two = await addTask(api, user);
  const etag = (await read(api, one, authorized(user))).headers.get("etag")!;
  assert.equal((await read(api, two, { ...authorized(user), "if-none-match": etag })).status, 200);
  assert.equal((await read(api, one, { "if-none-match": etag })).status, 401);
  assert.equal((await read(api, one, { ...authorized(disabled), "if-none-match": etag })).status, 401);
});

Deno.test("a tag never matches a later state, even under rapid changes", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const seen = new Map<string, string>();
  for (let i = 0; i < 40; i++) {
    const writing = api.database.sql`
      update tasks set error = ${String(i)}, revision = revision + 1 where id = ${id}`;
    const [{ headers, text }] = await Promise.all([read(api, id, authorized(user)), writing]);
    const etag = headers.get("etag")!;
    const later = await read(api, id, { ...authorized(user), "if-none-match": etag });
    if (later.status === 304) assert.equal(seen.get(etag) ?? text, text);
    seen.set(etag, text);
  }
});

Deno.test("a tag changes with every change of a cell, also if the task's row does not change", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const task_id = await addTask(api, user);
  const { sql } = api.database;
  const [cell] = await sql<{ id: string }[]>`select id from subtasks where parent_task_id = ${task_id}`;
  const ref = { task_id, id: cell!.id };
  await sql`insert into workers (id, host, pid, queues) values ('w1', 'h', 1, '{}')`;
  let leased: LeasedSubtask[] = [];
  const claim = async () => {
    leased = (await claimSubtasks(sql, "w1", [ref])).map(({ lease_id }) => ({ ...ref, lease_id }));
    assert.equal(leased.length, 1);
  };
  const retry = { retry_count: 1, attempt: 1, error: "once", wait_ms: 0 };
  const hold = (kind: string | null) =>
    sql`update tasks set hold = ${kind}, revision = revision + 1 where id = ${task_id}`;
  const moves: [what: string, move: () => Promise<unknown>][] = [
    ["submission", () => Promise.resolve()],
    ["a claim", claim],
    ["a retry", () => retrySubtasks(sql, leased.map((one) => Object.assign(one, retry)))],
    ["the release by its worker", () => releaseSubtasks(sql, leased, new Set())],
    ["a second claim", claim],
    ["the release by the leader", async () => assert.equal((await releaseOrphans(sql, 0)).length, 1)],
    ["a third claim", claim],
    ["a pause, which leaves the running cell alone", () => hold("pause")],
    ["the stop of all work by a rollback", async () => assert.equal((await stopWork(sql)).cells, 1)],
    ["its resumption", () => hold(null)],
    ["a fourth claim", claim],
    ["its end", async () => {
      const end = {
        status: "failed",
        retry_count: 1,
        result: null,
        image_url: null,
        error: "twice",
      } as const;
      assert.equal((await settleSubtasks(sql, leased.map((one) => Object.assign(one, end)))).leases.size, 1);
    }],
  ];
  const seen = new Set<string>();
  for (const [what, move] of moves) {
    await move();
    const etag = (await read(api, task_id, authorized(user))).headers.get("etag")!;
    assert.ok(!seen.has(etag), `${what}: ${etag}`);
    seen.add(etag);
    assert.equal(
      (await read(api, task_id, { ...authorized(user), "if-none-match": etag })).status,
      304,
      what,
    );
  }
});
