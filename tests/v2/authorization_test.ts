/** Every route of v2 for every kind of caller and every kind of target, generated from the route table. */
import assert from "node:assert/strict";
import type { Who } from "../../routes/v2/kit/context.ts";
import { routeTable } from "../../routes/v2/kit/route.ts";
import { drawToken, hashToken, shareTokenPrefix } from "../../routes/v2/kit/secrets.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { type Kind, kinds } from "../support/people.ts";
import { addMatrix, addPeople, call, type V2Person } from "./support/api.ts";

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
const active: Caller[] = ["admin", "manager", "user", "guest", "other"];
const members: Caller[] = active.filter((caller) => caller !== "guest");
const mayCall: Record<Who, Caller[]> = {
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
const unsigned: Caller[] = ["nobody", "disabled", "deleted", "v1 token"];

interface Stage {
  api: TestApi;
  people: Record<Kind, V2Person>;
  tasks: Record<string, string>;
  tokens: Map<Caller, string>;
}

async function addShare(
  { api, people }: Pick<Stage, "api" | "people">,
  task: string,
  mode: string,
): Promise<string> {
  const token = drawToken(shareTokenPrefix);
  await api.database.sql`
    insert into shares (task_id, token_hash, mode, created_by, expires_at)
    values (${task}, ${await hashToken(token)}, ${mode}, ${people.user.id}, now() + interval '1 hour')`;
  return token;
}

async function setStage(api: TestApi): Promise<Stage> {
  await api.database.sql`truncate users, tasks cascade`;
  const people = await addPeople(api);
  const tasks: Record<string, string> = {};
  for (const owner of active as Kind[]) {
    tasks[owner] = await addMatrix(api, people[owner], { prompts: 2, ratios: 1, drawn: 1 });
  }
  tasks.deleted = await addMatrix(api, people.user, { prompts: 1, ratios: 1 });
  await api.database.sql`update tasks set is_deleted = true where id = ${tasks.deleted}`;
  tasks.unknown = "00000000-0000-4000-8000-000000000000";
  const tokens = new Map<Caller, string>(kinds.map((kind) => [kind, people[kind].access]));
  const stage = { api, people, tasks, tokens };
  tokens.set("v1 token", people.user.token);
  tokens.set("share to read", await addShare(stage, tasks.user!, "read"));
  tokens.set("share to rate", await addShare(stage, tasks.user!, "rate"));
  tokens.set("share of another task", await addShare(stage, tasks.manager!, "rate"));
  return stage;
}

function taskFor({ tasks }: Stage, caller: Caller, target: Target): string {
  if (target === "deleted" || target === "unknown") return tasks[target]!;
  const own = active.includes(caller) ? caller : "user";
  return target === "own" ? tasks[own]! : tasks[own === "other" ? "user" : "other"]!;
}

/** What the table says of a caller: the status of a refusal, or undefined where the caller is let in. */
function refusalOf(who: Who, caller: Caller, target: Target, ofTask: boolean): number | undefined {
  if (who === "anyone") return undefined;
  if (unsigned.includes(caller)) return 401;
  const isShare = caller.startsWith("share");
  if (isShare && who !== "share" && (!ofTask || target !== "own" || caller === "share of another task")) {
    return 403;
  }
  if (!mayCall[who].includes(caller)) return 403;
}

async function snapshot({ api: { database: { sql } } }: Stage): Promise<unknown> {
  return [
    ...await sql`select id, email, roles, is_active, hashed_password, token_version from users order by id`,
    ...await sql`select id, task_name, status, hold, is_deleted, revision from tasks order by id`,
    ...await sql`select count(*) as n, max(updated_at) as at from ratings`,
    ...await sql`select count(*) as n from evaluations`,
    ...await sql`select count(*) as n from shares where revoked_at is null`,
    ...await sql`select count(*) as n from sessions where ended_at is null`,
  ];
}

const places: Record<string, string> = { cell: "0", q: "standard" };

Deno.test("every route is for those whom the table names, whatever they point to", async (t) => {
  await using api = await startApi({ level: "error", env: { RATE_LIMIT: "1000000" } });
  let asked = 0;
  for (const { method, path, who } of routeTable()) {
    const ofTask = path.startsWith("/tasks/{id}");
    await t.step(`${method} ${path}: ${who}`, async () => {
      let stage = await setStage(api);
      for (const caller of callers) {
        // What one has deleted is gone for the others too.
        if (method === "DELETE" && path === "/tasks/{id}") stage = await setStage(api);
        for (const target of ofTask ? targets : ["own" as const]) {
          const task = taskFor(stage, caller, target);
          const url = path.replaceAll(
            /\{([^}]+)\}/g,
            (_, name) => ofTask && name === "id" ? task : places[name] ?? stage.tasks.unknown!,
          );
          const expected = refusalOf(who, caller, target, ofTask);
          const before = expected === undefined ? undefined : await snapshot(stage);
          const body = method === "GET" || method === "DELETE" ? undefined : {};
          const answer = await call(api, stage.tokens.get(caller), method, url, body, {
            accept: "application/json",
          });
          asked++;
          const what = `${method} ${path} as ${caller}, ${target}: ${answer.status} ${
            answer.text.slice(0, 300)
          }`;
          assert.ok(answer.status < 500, what);
          if (expected !== undefined) {
            assert.equal(answer.status, expected, what);
            assert.equal(answer.headers.get("content-type"), "application/problem+json", what);
            assert.equal(answer.headers.get("www-authenticate"), expected === 401 ? "Bearer" : null, what);
            assert.deepEqual(await snapshot(stage), before, `${what}: nothing changes`);
          } else if (who !== "anyone") assert.notEqual(answer.status, 401, what);
          if (expected === undefined && who === "owner" && target === "other's" && caller !== "admin") {
            assert.ok([403, 404, 422].includes(answer.status), `${what}: it is somebody else's`);
          }
        }
      }
    });
  }
  assert.ok(asked >= routeTable().length * callers.length);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
