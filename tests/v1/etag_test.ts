/** Detail and matrix are tagged by version: what a client holds is said to be good only while it is. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers, type Person } from "../support/people.ts";
import { addTask } from "./support/tasks.ts";

async function read(api: TestApi, path: string, headers: Record<string, string>) {
  const response = await fetch(`${api.origin}/api/v1/tasks/${path}`, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const signed = ({ token }: Person) => ({ authorization: `Bearer ${token}`, origin: "http://localhost:3000" });

for (const part of ["", "/matrix"]) {
  Deno.test(`GET /tasks/{id}${part}: 304 while nothing changed, the answer after each change`, async () => {
    await using api = await startApi();
    const { user } = await addUsers(api);
    const id = await addTask(api, user);
    const path = `${id}${part}`;
    const first = await read(api, path, signed(user));
    const etag = first.headers.get("etag")!;
    assert.match(etag, /^W\/"[^"]+"$/);
    const again = await read(api, path, { ...signed(user), "if-none-match": etag });
    assert.deepEqual([again.status, again.text], [304, ""]);
    assert.equal(again.headers.get("access-control-allow-origin"), "*");
    assert.equal(again.headers.get("access-control-allow-credentials"), "true");
    assert.equal(again.headers.get("etag"), etag);
    await fetch(`${api.origin}/api/v1/tasks/${id}/cancel`, { method: "POST", headers: signed(user) })
      .then((response) => response.body?.cancel());
    const changed = await read(api, path, { ...signed(user), "if-none-match": etag });
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.get("etag"), etag);
  });
}

const held: [what: string, header: (etag: string) => string, status: number][] = [
  ["the tag", (etag) => etag, 304],
  ["the tag as a strong one", (etag) => etag.slice(2), 304],
  ["the tag among others", (etag) => `"a", W/"b", ${etag}`, 304],
  ["another", () => 'W/"other"', 200],
  ["a star, which says nothing of a version", () => "*", 200],
  ["the tag cut short", (etag) => etag.slice(0, -2) + '"', 200],
  ["the tag without quotes", (etag) => etag.slice(3, -1), 200],
  ["nothing", () => "", 200],
  ["ten thousand letters", () => `"${"x".repeat(10_000)}"`, 200],
  ["two thousand others", () => Array.from({ length: 2000 }, (_, i) => `"${i}"`).join(","), 200],
];
Deno.test("If-None-Match", async (t) => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const etag = (await read(api, id, signed(user))).headers.get("etag")!;
  for (const [what, header, status] of held) {
    await t.step(`${what}: ${status}`, async () => {
      const got = await read(api, id, { ...signed(user), "if-none-match": header(etag) });
      assert.equal(got.status, status);
    });
  }
});

Deno.test("a tag of one task is none of another, and opens nothing to who may not read", async () => {
  await using api = await startApi();
  const { user, disabled } = await addUsers(api);
  const one = await addTask(api, user);
  const two = await addTask(api, user);
  const etag = (await read(api, one, signed(user))).headers.get("etag")!;
  assert.equal((await read(api, two, { ...signed(user), "if-none-match": etag })).status, 200);
  assert.equal((await read(api, one, { "if-none-match": etag })).status, 401);
  assert.equal((await read(api, one, { ...signed(disabled), "if-none-match": etag })).status, 401);
});

Deno.test("a tag is never good for a later state, however fast changes follow each other", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const seen = new Map<string, string>();
  for (let i = 0; i < 40; i++) {
    const writing = api.database.sql`
      update tasks set error = ${String(i)}, revision = revision + 1 where id = ${id}`;
    const [{ headers, text }] = await Promise.all([read(api, id, signed(user)), writing]);
    const etag = headers.get("etag")!;
    const later = await read(api, id, { ...signed(user), "if-none-match": etag });
    if (later.status === 304) assert.equal(seen.get(etag) ?? text, text);
    seen.set(etag, text);
  }
});

Deno.test("a tag changes with every move of a cell, also with those that leave the task's row alone", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  const { sql } = api.database;
  const moves = [
    sql`update subtasks set status = 'processing', started_at = now(), updated_at = now() where parent_task_id = ${id}`,
    sql`update subtasks set retry_count = 1, error = 'once', updated_at = now() where parent_task_id = ${id}`,
    sql`update subtasks set status = 'pending', updated_at = now() where parent_task_id = ${id}`,
  ];
  const seen = new Set<string>();
  for (const move of [undefined, ...moves]) {
    await move;
    const etag = (await read(api, id, signed(user))).headers.get("etag")!;
    assert.ok(!seen.has(etag), etag);
    seen.add(etag);
    assert.equal((await read(api, id, { ...signed(user), "if-none-match": etag })).status, 304);
  }
});
