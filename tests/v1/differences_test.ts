/** Where v1 answers another way than the old backend on purpose: each row of the contract's last table. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers, type Kind, type Person } from "../support/people.ts";
import { addTask } from "./support/tasks.ts";

interface Got {
  status: number;
  answer: { detail?: unknown; data: Record<string, unknown> };
}

interface World {
  api: TestApi;
  people: Record<Kind, Person>;
  /** A task of `user`. */
  id: string;
  ask(
    who: Kind | undefined,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Got>;
}

async function open(api: TestApi): Promise<World> {
  await api.database.sql`truncate users, tasks cascade`;
  const people = await addUsers(api);
  const id = await addTask(api, people.user, { name: "a+(b" });
  return {
    api,
    people,
    id,
    async ask(who, method, path, body) {
      const response = await fetch(`${api.origin}/api/v1${path}`, {
        method,
        redirect: "manual",
        headers: {
          "content-type": "application/json",
          ...(who === undefined ? {} : { authorization: `Bearer ${people[who].token}` }),
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
const detailOf = ({ status, answer }: Got) => [status, answer.detail];
const typeOf = ({ status, answer }: Got) => [status, (answer.detail as { type: string }[])?.[0]?.type];

const rows: [what: string, check: (world: World) => Promise<void>][] = [
  ["cancelling stops the subtasks that were still to be drawn", async ({ ask, api, id }) => {
    assert.equal((await ask("user", "POST", `/tasks/${id}/cancel`)).status, 200);
    const [row] = await api.database.sql<{ pending: number }[]>`
      select count(*)::int as pending from subtasks where parent_task_id = ${id} and status = 'pending'`;
    assert.equal(row!.pending, 0);
    const { answer } = await ask("user", "GET", `/tasks/${id}`);
    assert.equal(answer.data.status, "cancelled");
  }],
  ["a task whose subtasks all failed stays failed when it is read", async ({ ask, api, id }) => {
    await api.database.sql`
      update subtasks set status = 'failed', completed_at = now() where parent_task_id = ${id}`;
    await api.database.sql`
      update tasks set status = 'failed', completed_at = now(), subtasks_failed = subtasks_total where id = ${id}`;
    for (let i = 0; i < 2; i++) {
      assert.equal((await ask("user", "GET", `/tasks/${id}`)).answer.data.status, "failed");
    }
  }],
  ["a variable tag without a matching variable is 422, and nothing is stored", async ({ ask, api }) => {
    const tags = [{ id: "2", type: "ratio", isVariable: true, value: "", name: "none" }];
    assert.deepEqual(typeOf(await ask("user", "POST", "/tasks", task({ tags }))), [422, "value_error"]);
    const [row] = await api.database.sql<{ count: number }[]>`select count(*)::int as count from tasks`;
    assert.equal(row!.count, 1);
  }],
  ["a malformed user id is 404", async ({ ask }) => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const body = method === "PUT" ? {} : undefined;
      assert.deepEqual(detailOf(await ask("admin", method, "/users/nope", body)), [404, "用户不存在"]);
    }
  }],
  ["task_name is a plain part of the name, not a pattern", async ({ ask }) => {
    for (const [name, total] of [["(", 1], ["+(B", 1], [".*", 0], ["[", 0], ["a+", 1], ["\\", 0]] as const) {
      const { status, answer } = await ask("user", "GET", `/tasks?task_name=${encodeURIComponent(name)}`);
      assert.deepEqual([status, answer.data.total], [200, total], name);
    }
  }],
  ["detail and matrix ask for a token", async ({ ask, id }) => {
    assert.deepEqual(detailOf(await ask(undefined, "GET", `/tasks/${id}`)), [401, "Not authenticated"]);
    assert.deepEqual(detailOf(await ask(undefined, "GET", `/tasks/${id}/matrix`)), [
      401,
      "Not authenticated",
    ]);
  }],
  ["the list refuses the token of a user who is gone or disabled", async ({ ask }) => {
    assert.deepEqual(detailOf(await ask("deleted", "GET", "/tasks")), [401, "用户不存在"]);
    assert.deepEqual(detailOf(await ask("disabled", "GET", "/tasks")), [401, "用户已禁用"]);
  }],
  ["a user who is gone is 404 to DELETE, a double create is 400", async ({ ask, people }) => {
    assert.equal((await ask("admin", "DELETE", `/users/${people.other.legacyId}`)).status, 200);
    assert.deepEqual(detailOf(await ask("admin", "DELETE", `/users/${people.other.legacyId}`)), [
      404,
      "用户不存在",
    ]);
    const twin = { email: people.user.email, password: "12345678" };
    assert.deepEqual(detailOf(await ask("admin", "POST", "/users/", twin)), [400, "邮箱已注册"]);
  }],
  ["a slash at the end is answered directly, and so is none", async ({ ask, id }) => {
    for (const path of ["/users/me", `/tasks/${id}`, `/tasks/${id}/matrix`, "/tasks", "/users"]) {
      assert.equal((await ask("admin", "GET", path)).status, 200, path);
      assert.equal((await ask("admin", "GET", `${path}/`)).status, 200, `${path}/`);
    }
    assert.equal((await ask("user", "POST", `/tasks/${id}/cancel/`)).status, 200);
    assert.equal((await ask("user", "DELETE", `/tasks/${id}/`)).status, 200);
  }],
  ["skip and limit below 0 are 422", async ({ ask }) => {
    assert.deepEqual(typeOf(await ask("admin", "GET", "/users/?skip=-1")), [422, "greater_than_equal"]);
    assert.deepEqual(typeOf(await ask("admin", "GET", "/users/?limit=-1")), [422, "greater_than_equal"]);
  }],
  ["integers past 64 bits are 422, those within are taken", async ({ ask }) => {
    for (
      const query of [
        "/tasks?page=9223372036854775808",
        `/users/?skip=${"9".repeat(30)}`,
        "/users/?limit=9223372036854775808",
      ]
    ) {
      assert.deepEqual(typeOf(await ask("admin", "GET", query)), [422, "less_than_equal"], query);
    }
    const { answer } = await ask("admin", "GET", "/tasks?page=9007199254740993&page_size=100");
    assert.deepEqual([answer.data.tasks, answer.data.total], [[], 1]);
    assert.deepEqual((await ask("admin", "GET", "/users/?skip=9223372036854775807")).answer.data, []);
  }],
  ["NaN in a body is 422", async ({ ask }) => {
    const body = JSON.stringify(task()).replace("{", '{"settings":{"x":NaN},');
    assert.deepEqual(typeOf(await ask("user", "POST", "/tasks", body)), [422, "finite_number"]);
  }],
  ["settings.concurrency that is no number is 422", async ({ ask }) => {
    for (const concurrency of ["5", null, [], {}]) {
      const got = await ask("user", "POST", "/tasks", task({ settings: { concurrency } }));
      assert.deepEqual(typeOf(got), [422, "value_error"], JSON.stringify(concurrency));
    }
  }],
];

Deno.test("v1 differs from the old backend on purpose where the contract says so", async (t) => {
  await using api = await startApi();
  for (const [what, check] of rows) {
    await t.step(what, async () => await check(await open(api)));
  }
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
