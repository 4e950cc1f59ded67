/** Authorisation of every route of v1 for every kind of caller and target, generated from the route table. */
import assert from "node:assert/strict";
import { type Access, type Route, table } from "../../routes/v1/table.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers, type Kind, kinds, type Person } from "../support/people.ts";
import { sendRaw } from "../support/raw_http.ts";
import { addTask } from "./support/tasks.ts";

type Caller = Kind | "nobody";
type Target = "own" | "other's" | "deleted" | "unknown";
type People = Record<Kind, Person>;

const callers: Caller[] = ["nobody", ...kinds];
const targets: Target[] = ["own", "other's", "deleted", "unknown"];
const active: Caller[] = ["admin", "manager", "user", "guest", "other"];
const permitted: Record<Access, Caller[]> = {
  anyone: callers,
  reader: active,
  signed_in: active,
  signed_in_read: active,
  owner: active,
  staff: ["admin", "manager"],
  admin: ["admin"],
};

const unauthenticated: Partial<Record<Caller, string>> = {
  nobody: "Not authenticated",
  disabled: "用户已禁用",
  deleted: "用户不存在",
};
const forbidden: Partial<Record<Access, string>> = {
  admin: "权限不足，需要管理员权限",
  staff: "权限不足，需要管理员或经理权限",
};

interface Expected {
  status?: number;
  detail?: string;
}

/** Returns the expected refusal of a caller, or an empty object if the table permits the call. */
function refusalOf({ access }: Route, caller: Caller): Expected {
  if (permitted[access].includes(caller)) return {};
  const detail = unauthenticated[caller];
  if (detail !== undefined) return { status: 401, detail };
  return { status: 403, detail: forbidden[access]! };
}

/** Returns the expected response to a permitted caller by the target of the path. */
function outcomeOf({ access, path, methods }: Route, target: Target): Expected {
  if (access === "owner") {
    const verb = methods[0] === "DELETE" ? "删除" : "取消";
    if (target === "other's") return { status: 403, detail: `无权限${verb}此任务` };
  }
  if (path.includes("{id}") && target === "unknown") {
    return { status: 404, detail: path.includes("/users/") ? "用户不存在" : "任务不存在" };
  }
  return {};
}

const unknownIds = { users: "f".repeat(24), tasks: "00000000-0000-4000-8000-000000000000" };

async function findId(
  api: TestApi,
  people: People,
  route: Route,
  caller: Caller,
  target: Target,
): Promise<string> {
  const isUser = route.path.includes("/users/");
  if (target === "unknown") return unknownIds[isUser ? "users" : "tasks"];
  const owner = target === "other's" || caller === "nobody" || caller === "deleted" ? "manager" : caller;
  const other: Kind = owner === caller && target === "other's" ? "other" : owner;
  if (isUser) return target === "deleted" ? unknownIds.users : people[other].legacyId;
  return await addTask(api, people[other], { deleted: target === "deleted" });
}

async function recreateUsers(api: TestApi): Promise<People> {
  await api.database.sql`truncate users, tasks cascade`;
  return await addUsers(api);
}

async function snapshot({ database: { sql } }: TestApi): Promise<unknown> {
  return [
    ...await sql`select id, email, roles, is_active, hashed_password, updated_at from users order by id`,
    ...await sql`select id, status, is_deleted, revision from tasks order by id`,
  ];
}

async function check(
  api: TestApi,
  people: People,
  route: Route,
  caller: Caller,
  target: Target,
): Promise<void> {
  const method = route.methods[0]!;
  const id = route.path.includes("{id}") ? await findId(api, people, route, caller, target) : "";
  const before = await snapshot(api);
  const response = await fetch(api.origin + route.path.replace("{id}", id), {
    method,
    headers: caller === "nobody" ? {} : { authorization: `Bearer ${people[caller].token}` },
    ...(method === "POST" || method === "PUT" ? { body: new TextEncoder().encode("{}") } : {}),
  });
  const text = await response.text();
  const refusal = refusalOf(route, caller);
  const expected = refusal.status === undefined ? outcomeOf(route, target) : refusal;
  const what = `${method} ${route.path} as ${caller}, ${target}: ${response.status} ${text}`;
  if (expected.status === undefined) {
    assert.ok(![401, 403, 500].includes(response.status), what);
    return;
  }
  assert.equal(response.status, expected.status, what);
  assert.deepEqual(JSON.parse(text), { detail: expected.detail }, what);
  assert.equal(response.headers.get("www-authenticate"), expected.status === 401 ? "Bearer" : null, what);
  assert.deepEqual(await snapshot(api), before, `${what}: data changed`);
}

Deno.test("every route permits the callers of the table and no others, for any target", async (t) => {
  await using api = await startApi({ level: "error" });
  for (const route of table.filter(({ path }) => path.startsWith("/api/") && !path.includes("/auth/"))) {
    await t.step(`${route.methods[0]} ${route.path}: ${route.access}`, async () => {
      for (const caller of callers) {
        const people = await recreateUsers(api);
        for (const target of route.path.includes("{id}") ? targets : ["own" as const]) {
          // The call before may have deleted the admin.
          const mayBeDeleted = route.methods[0] === "DELETE" && route.path.includes("/users/") &&
            caller === "admin";
          await check(api, mayBeDeleted ? await recreateUsers(api) : people, route, caller, target);
        }
      }
    });
  }
  assert.deepEqual(api.lines, []);
});

Deno.test("PUBLIC_TASK_READS=true permits anyone to read detail and matrix, and nothing else", async () => {
  await using api = await startApi({ env: { PUBLIC_TASK_READS: "true" } });
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  for (const route of table.filter(({ access }) => access !== "anyone")) {
    const response = await fetch(api.origin + route.path.replace("{id}", id), { method: route.methods[0]! });
    await response.body?.cancel();
    assert.equal(response.status === 401, route.access !== "reader", `${route.methods[0]} ${route.path}`);
  }
});

Deno.test("the next call observes that its caller was disabled, was renamed or lost a role", async () => {
  await using api = await startApi();
  const { sql } = api.database;
  const { admin, manager } = await addUsers(api);
  const call = async (path: string, token: string) => {
    const response = await fetch(`${api.origin}/api/v1${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return [response.status, (await response.json()).detail];
  };
  assert.deepEqual(await call("/users/", manager.token), [200, undefined]);
  await sql`update users set roles = '{user}' where id = ${manager.id}`;
  assert.deepEqual(await call("/users/", manager.token), [403, "权限不足，需要管理员或经理权限"]);
  await sql`update users set email = 'Manager@example.com' where id = ${manager.id}`;
  assert.deepEqual(await call("/users/me", manager.token), [401, "用户不存在"]);
  await sql`update users set is_active = false where id = ${admin.id}`;
  assert.deepEqual(await call("/users/me", admin.token), [401, "用户已禁用"]);
});

Deno.test("of several Authorization headers the first counts, as in the old backend", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const good = `Bearer ${user.token}`;
  const cases: [values: string[], status: number, detail?: string][] = [
    [[good, "Bearer junk"], 200],
    [[good, good], 200],
    [[good, ""], 200],
    [[good, "Basic YTpi", "Bearer junk"], 200],
    [["Bearer junk", good], 401, "无效的认证凭据"],
    [["Basic YTpi", good], 401, "Not authenticated"],
    [["", good], 401, "Not authenticated"],
    [[`${good},${good}`], 401, "无效的认证凭据"],
  ];
  for (const [values, status, detail] of cases) {
    const headers = values.map((value): [string, string] => ["Authorization", value]);
    const got = await sendRaw(api.port, { method: "GET", path: "/api/v1/users/me", headers });
    const answer = [got?.status, JSON.parse(got?.text ?? "{}").detail];
    assert.deepEqual(answer, [status, detail], values.map((value) => value.slice(0, 12)).join(" | "));
  }
});
