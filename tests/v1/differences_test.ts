/** Intended differences between v1 and the old backend, a case for each. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers, type Kind, type Person } from "../support/people.ts";
import { addTask } from "./support/tasks.ts";

interface Result {
  status: number;
  answer: { detail?: unknown; data: Record<string, unknown> };
}

interface Setting {
  api: TestApi;
  people: Record<Kind, Person>;
  /** A task of `user`. */
  id: string;
  send(
    caller: Kind | undefined,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Result>;
}

async function prepare(api: TestApi): Promise<Setting> {
  await api.database.sql`truncate users, tasks cascade`;
  const people = await addUsers(api);
  const id = await addTask(api, people.user, { name: "a+(b" });
  return {
    api,
    people,
    id,
    async send(caller, method, path, body) {
      const response = await fetch(`${api.origin}/api/v1${path}`, {
        method,
        redirect: "manual",
        headers: {
          "content-type": "application/json",
          ...(caller === undefined ? {} : { authorization: `Bearer ${people[caller].token}` }),
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      return { status: response.status, answer: await response.json() };
    },
  };
}

const prompt = { id: "1", type: "prompt", isVariable: false, value: "a cat" };
const task = (more: Record<string, unknown> = {}) => ({
  task_name: "n",
  username: "",
  tags: [prompt],
  ...more,
});
const detailOf = ({ status, answer }: Result) => [status, answer.detail];
const typeOf = ({ status, answer }: Result) => [status, (answer.detail as { type: string }[])?.[0]?.type];

const rows: [what: string, check: (setting: Setting) => Promise<void>][] = [
  ["a cancel also cancels the pending subtasks", async ({ send, api, id }) => {
    assert.equal((await send("user", "POST", `/tasks/${id}/cancel`)).status, 200);
    const [row] = await api.database.sql<{ pending: number }[]>`
      select count(*)::int as pending from subtasks where parent_task_id = ${id} and status = 'pending'`;
    assert.equal(row!.pending, 0);
    const { answer } = await send("user", "GET", `/tasks/${id}`);
    assert.equal(answer.data.status, "cancelled");
  }],
  ["reading a task whose subtasks all failed does not change its status", async ({ send, api, id }) => {
    await api.database.sql`
      update subtasks set status = 'failed', completed_at = now() where parent_task_id = ${id}`;
    await api.database.sql`
      update tasks set status = 'failed', completed_at = now(), subtasks_failed = subtasks_total where id = ${id}`;
    for (let i = 0; i < 2; i++) {
      assert.equal((await send("user", "GET", `/tasks/${id}`)).answer.data.status, "failed");
    }
  }],
  ["a variable tag without a matching variable is 422 and stores nothing", async ({ send, api }) => {
    const tags = [{ id: "2", type: "ratio", isVariable: true, value: "", name: "none" }];
    assert.deepEqual(typeOf(await send("user", "POST", "/tasks", task({ tags }))), [422, "value_error"]);
    const [row] = await api.database.sql<{ count: number }[]>`select count(*)::int as count from tasks`;
    assert.equal(row!.count, 1);
  }],
  ["a malformed user id is 404", async ({ send }) => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const body = method === "PUT" ? {} : undefined;
      assert.deepEqual(detailOf(await send("admin", method, "/users/nope", body)), [404, "用户不存在"]);
    }
  }],
  ["task_name matches a substring and is not a pattern", async ({ send }) => {
    for (const [name, total] of [["(", 1], ["+(B", 1], [".*", 0], ["[", 0], ["a+", 1], ["\\", 0]] as const) {
      const { status, answer } = await send("user", "GET", `/tasks?task_name=${encodeURIComponent(name)}`);
      assert.deepEqual([status, answer.data.total], [200, total], name);
    }
  }],
  ["detail and matrix require a token", async ({ send, id }) => {
    assert.deepEqual(detailOf(await send(undefined, "GET", `/tasks/${id}`)), [401, "Not authenticated"]);
    assert.deepEqual(detailOf(await send(undefined, "GET", `/tasks/${id}/matrix`)), [
      401,
      "Not authenticated",
    ]);
  }],
  ["the list rejects the token of a deleted or disabled user", async ({ send }) => {
    assert.deepEqual(detailOf(await send("deleted", "GET", "/tasks")), [401, "用户不存在"]);
    assert.deepEqual(detailOf(await send("disabled", "GET", "/tasks")), [401, "用户已禁用"]);
  }],
  [
    "DELETE of a deleted user is 404, and a second create with the same e-mail is 400",
    async ({ send, people }) => {
      assert.equal((await send("admin", "DELETE", `/users/${people.other.legacyId}`)).status, 200);
      assert.deepEqual(detailOf(await send("admin", "DELETE", `/users/${people.other.legacyId}`)), [
        404,
        "用户不存在",
      ]);
      const twin = { email: people.user.email, password: "12345678" };
      assert.deepEqual(detailOf(await send("admin", "POST", "/users/", twin)), [400, "邮箱已注册"]);
    },
  ],
  ["a path is served with and without a slash at its end, and without a redirect", async ({ send, id }) => {
    for (const path of ["/users/me", `/tasks/${id}`, `/tasks/${id}/matrix`, "/tasks", "/users"]) {
      assert.equal((await send("admin", "GET", path)).status, 200, path);
      assert.equal((await send("admin", "GET", `${path}/`)).status, 200, `${path}/`);
    }
    assert.equal((await send("user", "POST", `/tasks/${id}/cancel/`)).status, 200);
    assert.equal((await send("user", "DELETE", `/tasks/${id}/`)).status, 200);
  }],
  ["skip and limit below 0 are 422", async ({ send }) => {
    assert.deepEqual(typeOf(await send("admin", "GET", "/users/?skip=-1")), [422, "greater_than_equal"]);
    assert.deepEqual(typeOf(await send("admin", "GET", "/users/?limit=-1")), [422, "greater_than_equal"]);
  }],
  ["integers over 64 bits are 422, and smaller ones are valid", async ({ send }) => {
    for (
      const query of [
        "/tasks?page=9223372036854775808",
        `/users/?skip=${"9".repeat(30)}`,
        "/users/?limit=9223372036854775808",
      ]
    ) {
      assert.deepEqual(typeOf(await send("admin", "GET", query)), [422, "less_than_equal"], query);
    }
    const { answer } = await send("admin", "GET", "/tasks?page=9007199254740993&page_size=100");
    assert.deepEqual([answer.data.tasks, answer.data.total], [[], 1]);
    assert.deepEqual((await send("admin", "GET", "/users/?skip=9223372036854775807")).answer.data, []);
  }],
  ["NaN in a body is 422", async ({ send }) => {
    const body = JSON.stringify(task()).replace("{", '{"settings":{"x":NaN},');
    assert.deepEqual(typeOf(await send("user", "POST", "/tasks", body)), [422, "finite_number"]);
  }],
  ["a settings.concurrency that is not a number is 422", async ({ send }) => {
    for (const concurrency of ["5", null, [], {}]) {
      const got = await send("user", "POST", "/tasks", task({ settings: { concurrency } }));
      assert.deepEqual(typeOf(got), [422, "value_error"], JSON.stringify(concurrency));
    }
  }],
];

Deno.test("v1 differs from the old backend by intention", async (t) => {
  await using api = await startApi();
  for (const [what, check] of rows) {
    await t.step(what, async () => await check(await prepare(api)));
  }
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
