/** Every route of v2 for every kind of caller and every kind of task, generated from the route table. */
import assert from "node:assert/strict";
import type { Access } from "../../routes/v2/kit/context.ts";
import { createIdleApp } from "../../dev/openapi.ts";
import { listRoutes } from "../../routes/v2/kit/route.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { type Kind, kinds } from "../support/people.ts";
import { sendRaw } from "../support/raw_http.ts";
import { addMatrix, addPeople, call, type V2Person } from "./support/api.ts";
import { addShare } from "./support/images.ts";

const routes = listRoutes(createIdleApp());

type Caller = Kind | "nobody" | "v1 token" | "share to read" | "share to rate" | "share of another task";
type Target = "own" | "other's" | "deleted" | "unknown";

const callers: Caller[] = [
  "nobody",
  ...kinds,
  "v1 token",
  "share to read",
  "share to rate",
  "share of another task",
];
const targets: Target[] = ["own", "other's", "deleted", "unknown"];
const active: Kind[] = ["admin", "manager", "user", "guest", "other"];
const members: Caller[] = active.filter((caller) => caller !== "guest");
const permitted: Record<Access, Caller[]> = {
  anyone: callers,
  signed_in: active,
  reader: [...active, "share to read", "share to rate"],
  rater: [...members, "share to rate"],
  member: members,
  owner: members,
  staff: ["admin", "manager"],
  admin: ["admin"],
  share: callers.filter((caller) => caller.startsWith("share")),
};
const unauthenticated: Caller[] = ["nobody", "disabled", "deleted", "v1 token"];

interface Fixture {
  api: TestApi;
  people: Record<Kind, V2Person>;
  tasks: Record<string, string>;
  tokens: Map<Caller, string>;
}

async function createFixture(api: TestApi): Promise<Fixture> {
  await api.database.sql`truncate users, tasks cascade`;
  const people = await addPeople(api);
  const tasks: Record<string, string> = {};
  for (const owner of active) {
    tasks[owner] = await addMatrix(api, people[owner], { prompts: 2, ratios: 1, drawn: 1 });
  }
  tasks.deleted = await addMatrix(api, people.user, { prompts: 1, ratios: 1 });
  await api.database.sql`update tasks set is_deleted = true where id = ${tasks.deleted}`;
  tasks.unknown = "00000000-0000-4000-8000-000000000000";
  const tokens = new Map<Caller, string>(kinds.map((kind) => [kind, people[kind].access]));
  tokens.set("v1 token", people.user.token);
  tokens.set("share to read", await addShare(api, people.user, tasks.user!, { mode: "read" }));
  tokens.set("share to rate", await addShare(api, people.user, tasks.user!));
  tokens.set("share of another task", await addShare(api, people.user, tasks.manager!));
  return { api, people, tasks, tokens };
}

function taskFor({ tasks }: Fixture, caller: Caller, target: Target): string {
  if (target === "deleted" || target === "unknown") return tasks[target]!;
  const own = active.includes(caller as Kind) ? caller : "user";
  return target === "own" ? tasks[own]! : tasks[own === "other" ? "user" : "other"]!;
}

/** Returns the status with which a route must reject a caller, or undefined if it must not. */
function expectedRejection(
  access: Access,
  caller: Caller,
  target: Target,
  isTaskRoute: boolean,
): number | undefined {
  if (access === "anyone") return undefined;
  if (unauthenticated.includes(caller)) return 401;
  const isOtherTask = !isTaskRoute || target !== "own" || caller === "share of another task";
  if (caller.startsWith("share") && access !== "share" && isOtherTask) return 403;
  if (!permitted[access].includes(caller)) return 403;
}

async function snapshot({ api: { database: { sql } } }: Fixture): Promise<unknown> {
  return [
    ...await sql`select id, email, roles, is_active, hashed_password, token_version from users order by id`,
    ...await sql`select id, task_name, status, hold, is_deleted, revision from tasks order by id`,
    ...await sql`select count(*) as n, max(updated_at) as at from ratings`,
    ...await sql`select count(*) as n from evaluations`,
    ...await sql`select count(*) as n from shares where revoked_at is null`,
    ...await sql`select count(*) as n from sessions where ended_at is null`,
  ];
}

/** Values of path parameters other than a task's id. */
const parameters: Record<string, string> = { cell: "0", q: "standard" };

function fillPath(path: string, task: string, fixture: Fixture, isTaskRoute: boolean): string {
  return path.replaceAll(
    /\{([^}]+)\}/g,
    (_, name) => isTaskRoute && name === "id" ? task : parameters[name] ?? fixture.tasks.unknown!,
  );
}

interface Case {
  method: string;
  path: string;
  access: Access;
  caller: Caller;
  target: Target;
}

/** Makes one request and checks that it is rejected if and only if the table says so. */
async function checkCase(fixture: Fixture, { method, path, access, caller, target }: Case): Promise<void> {
  const isTaskRoute = path.startsWith("/tasks/{id}");
  const url = fillPath(path, taskFor(fixture, caller, target), fixture, isTaskRoute);
  const expected = expectedRejection(access, caller, target, isTaskRoute);
  const before = expected === undefined ? undefined : await snapshot(fixture);
  const body = method === "GET" || method === "DELETE" ? undefined : {};
  const token = fixture.tokens.get(caller);
  const answer = await call(fixture.api, token, method, url, body, { accept: "application/json" });
  const message = `${method} ${path} as ${caller}, ${target}: ${answer.status} ${answer.text.slice(0, 300)}`;
  assert.ok(answer.status < 500, message);
  if (expected !== undefined) {
    assert.equal(answer.status, expected, message);
    assert.equal(answer.headers.get("content-type"), "application/problem+json", message);
    assert.equal(answer.headers.get("www-authenticate"), expected === 401 ? "Bearer" : null, message);
    assert.deepEqual(await snapshot(fixture), before, `${message}: nothing changes`);
  } else if (access !== "anyone") assert.notEqual(answer.status, 401, message);
  if (expected === undefined && access === "owner" && target === "other's" && caller !== "admin") {
    assert.ok([403, 404, 422].includes(answer.status), `${message}: the task belongs to another user`);
  }
}

Deno.test("each route permits the callers that the table names, for every kind of task", async (t) => {
  await using api = await startApi({ level: "error", env: { RATE_LIMIT: "1000000" } });
  let requests = 0;
  for (const { method, path, access } of routes) {
    await t.step(`${method} ${path}: ${access}`, async () => {
      let fixture = await createFixture(api);
      for (const caller of callers) {
        // A task that one caller has deleted does not exist for the next.
        if (method === "DELETE" && path === "/tasks/{id}") fixture = await createFixture(api);
        for (const target of path.startsWith("/tasks/{id}") ? targets : ["own" as const]) {
          await checkCase(fixture, { method, path, access, caller, target });
          requests++;
        }
      }
    });
  }
  assert.ok(requests >= routes.length * callers.length);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

Deno.test("of several Authorization headers the first counts, as in v1", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const good = `Bearer ${user.access}`;
  const cases: [values: string[], status: number][] = [
    [[good, "Bearer junk"], 200],
    [["Bearer junk", good], 401],
    [["", good], 401],
    [["Basic YTpi", good], 401],
  ];
  for (const [values, status] of cases) {
    const headers = values.map((value): [string, string] => ["Authorization", value]);
    const got = await sendRaw(api.port, { method: "GET", path: "/api/v2/users/me", headers });
    assert.equal(got?.status, status, values.map((value) => value.slice(0, 12)).join(" | "));
  }
});
