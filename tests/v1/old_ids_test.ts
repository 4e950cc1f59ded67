/** v1 answers the ids of the old backend that are no UUIDs or ObjectIds, and finds tasks and users by them. */
import assert from "node:assert/strict";
import { taskUuidOf } from "../../uuid.ts";
import { startApi } from "../support/api.ts";
import {
  email,
  emailOf,
  loadOldIds,
  oid,
  readUuid,
  subtaskIds,
  taskIds,
  upperId,
  userIds,
} from "../support/old_ids.ts";

const api = await startApi();
const { sql } = api.database;
Deno.test.afterAll(async () => await api[Symbol.asyncDispose]());
await loadOldIds(sql);
const token = await api.tokens.sign({ sub: oid(9001), email });

async function send(method: string, path: string, as = token, body?: unknown) {
  const response = await fetch(`${api.origin}/api/v1${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      ...(as === "" ? {} : { authorization: `Bearer ${as}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

async function get(path: string) {
  const { status, body } = await send("GET", path);
  assert.equal(status, 200, path);
  return body.data;
}

for (const [n, [name, , shown]] of taskIds.entries()) {
  Deno.test(`v1 lists and serves a task whose id is ${name}`, async () => {
    const uuid = await readUuid(sql, n);
    const id = shown ?? uuid;
    const { tasks } = await get("/tasks?page_size=100");
    assert.equal(tasks.length, taskIds.length);
    assert.equal(tasks.find((one: { task_name: string }) => one.task_name === `task ${n}`).id, id);
    for (const path of [encodeURIComponent(id), uuid]) {
      const data = await get(`/tasks/${path}`);
      assert.equal(data.id, id);
      assert.deepEqual(Object.keys(data).slice(0, 3), ["id", "task_name", "username"]);
      assert.equal(data.dramatiq_tasks.length, n === 0 ? subtaskIds.length : 1);
      if (shown !== undefined) {
        for (const one of data.dramatiq_tasks) assert.equal(one.parent_task_id, id);
      }
      assert.equal((await get(`/tasks/${path}/matrix`)).task_id, id);
    }
    const { headers } = await send("GET", `/tasks/${encodeURIComponent(id)}`);
    assert.match(headers.get("etag")!, /^W\/"[0-9a-f]{8}-\d+"$/);
  });
}

const unknownIds = [
  "TASK-0042",
  "task-0042 ",
  "task-004",
  upperId.replace("A", "a"),
  "alice",
  "42 ",
  "old-1%2F",
];
for (const id of unknownIds) {
  Deno.test(`v1 compares ids exactly: '${id}' names no task`, async () => {
    const { status, body } = await send("GET", `/tasks/${encodeURIComponent(id)}`);
    assert.deepEqual([status, body], [404, { detail: "任务不存在" }]);
  });
}

Deno.test("a path with an encoded slash that names nothing is unknown, as in the old backend", async () => {
  for (const path of ["/tasks/a%2Fb", "/tasks/2025%2f05", "/users/x%2Fy", "/tasks/a%2Fb/matrix"]) {
    for (const as of [token, ""]) {
      const { status, body } = await send("GET", path, as);
      assert.deepEqual([status, body], [404, { detail: "Not Found" }], path);
    }
    assert.equal((await send("PATCH", path)).status, 404);
  }
});

Deno.test("such a path is unknown before a role or a body is checked", async () => {
  const user = await api.tokens.sign({ sub: oid(9002), email: emailOf(1) });
  for (const method of ["GET", "DELETE", "PUT"]) {
    for (const as of [user, token]) {
      const { status, body } = await send(method, "/users/x%2Fy", as, method === "PUT" ? [] : undefined);
      assert.deepEqual([status, body], [404, { detail: "Not Found" }], method);
    }
  }
});

Deno.test("v1 answers the ids of subtasks as their documents had them", async () => {
  const { dramatiq_tasks } = await get("/tasks/task-0042");
  assert.deepEqual(
    dramatiq_tasks.map(({ _id, id }: Record<string, string>) => [_id, id]).toSorted(),
    subtaskIds.map(([, , shown]) => shown).toSorted(),
  );
});

Deno.test("a cell that is added here names its task by the old id", async () => {
  const id = `it's "a" \\ b`;
  await sql`
    insert into subtasks (parent_task_id, cell, legacy_id, variable_types_map, type_to_variable, prompts)
    values (${taskUuidOf(id)}, 1, ${"f".repeat(24)}, '{}', '{}', '[]')`;
  const { dramatiq_tasks } = await get(`/tasks/${encodeURIComponent(id)}`);
  assert.deepEqual(
    dramatiq_tasks.map((one: { parent_task_id: string }) => one.parent_task_id),
    [id, id],
  );
});

for (const [n, [name, , shown]] of userIds.entries()) {
  Deno.test(`v1 lists, finds and changes a user whose _id is ${name}`, async () => {
    const users: { id: string; email: string }[] = await get("/users/");
    assert.equal(users.find((one) => one.email === emailOf(n))!.id, shown);
    const [row] = await sql<{ id: string; legacy_id: string }[]>`
      select id, legacy_id from users where email = ${emailOf(n)}`;
    for (const id of [shown, row!.id, row!.legacy_id]) {
      assert.equal((await get(`/users/${encodeURIComponent(id)}`)).email, emailOf(n));
    }
    const { body } = await send("PUT", `/users/${encodeURIComponent(shown)}`, token, {
      fullname: `new ${n}`,
    });
    assert.deepEqual([body.data.id, body.data.email, body.data.fullname], [shown, emailOf(n), `new ${n}`]);
  });
}

Deno.test("v1 cancels and deletes tasks by the old id, for the owner only", async () => {
  const other = await api.tokens.sign({ sub: "alice", email: emailOf(1) });
  const known = taskIds.flatMap(([, , shown]) => shown === undefined ? [] : [shown]);
  for (const id of known) {
    const path = `/tasks/${encodeURIComponent(id)}`;
    assert.equal((await send("POST", `${path}/cancel`, other)).status, 403, id);
    assert.equal((await send("DELETE", path, other)).status, 403, id);
    assert.equal((await send("POST", `${path}/cancel`)).body.message, "任务已取消", id);
    assert.equal((await send("DELETE", path)).body.message, "任务已删除", id);
  }
  assert.equal((await get("/tasks")).total, taskIds.length - known.length);
});

Deno.test("v1 deletes users by the old id", async () => {
  for (const [, , shown] of userIds.slice(1)) {
    const path = `/users/${encodeURIComponent(shown)}`;
    assert.equal((await send("DELETE", path)).status, 200, shown);
    assert.equal((await send("GET", path)).status, 404, shown);
  }
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from users`;
  assert.equal(row!.count, 1);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
