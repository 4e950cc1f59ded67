/** Common parts of the shadow tool's tests: an API with the recordings' data, a comparison, and hand-written answers. */
import assert from "node:assert/strict";
import { groupPath } from "../../../comparison/compare.ts";
import { renderReport, reportToJson } from "../../../dev/shadow/report.ts";
import type { RecordedCall } from "../../../dev/shadow/recorded.ts";
import type { Step } from "../../../comparison/request.ts";
import { type Finding, type Options, type Result, runShadow } from "../../../dev/shadow/run.ts";
import type { Answer } from "../../../comparison/answer.ts";
import { Side } from "../../../dev/shadow/side.ts";
import { parseJson } from "../../../json.ts";
import { openJsonLines } from "../../../migrate/data/sources/json_lines.ts";
import { load } from "../../../migrate/data/load/load.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";

const folder = new URL("../../data/current", import.meta.url).pathname;
/** Path of the recorded requests. */
export const recording = new URL("../../data/golden/calls.jsonl", import.meta.url).pathname;
export const person = { email: "admin@example.com", password: "admin-secret-1" };
export const writer = { email: "tester1@example.com", password: "tester1-secret" };

async function createLoaded(): Promise<TestDatabase> {
  const database = await createDatabase();
  await load(database.sql, await openJsonLines(folder), { progress: silentProgress });
  return database;
}

/** Starts an API with the recordings' data. Both sides may use the same API if nothing is written. */
export async function startLoaded(): Promise<TestApi> {
  const database = await createLoaded();
  const api = await startApi({ database });
  return {
    ...api,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Returns the ids of the listed tasks whose subtasks all failed, newest first. */
export async function findFailedTasks({ database: { sql } }: TestApi): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select t.id
    from tasks t
    join subtasks s on s.parent_task_id = t.id
    where not t.is_deleted and t.status = 'failed'
    group by t.id
    having bool_and(s.status = 'failed')
    order by t.created_at desc`;
  return rows.map(({ id }) => id);
}

/** Stores a task as completed if all its subtasks have ended, as the old backend does after it has read one. */
export async function completeEndedTask({ database: { sql } }: TestApi, id: string): Promise<void> {
  await sql`
    update tasks
    set status = 'completed', completed_at = now(), updated_at = now()
    where id::text = ${id} and status <> 'completed' and subtasks_total > 0
      and subtasks_completed + subtasks_failed = subtasks_total`;
}

/** Signs in at both backends, compares them, and checks that the report contains no secret. */
export async function compare(
  oldUrl: string,
  newUrl: string,
  options: Partial<Options>,
  { email, password } = person,
): Promise<Result> {
  using old = new Side("old", oldUrl);
  using now = new Side("new", newUrl);
  for (const side of [old, now]) await side.signIn(email, password);
  return await compareSides(old, now, options);
}

/** Compares two backends with a token for both. */
export async function compareWithToken(
  oldUrl: string,
  newUrl: string,
  token: string,
  recorded: RecordedCall[],
  options: Partial<Options> = { runs: 0 },
): Promise<Result> {
  using old = new Side("old", oldUrl);
  using now = new Side("new", newUrl);
  for (const { variables } of [old, now]) variables.set("token", token);
  const given: Partial<Options> = { recorded };
  return await compareSides(old, now, Object.assign(given, options));
}

async function compareSides(old: Side, now: Side, options: Partial<Options>): Promise<Result> {
  old.variables.set("other", now.variables.get("token")!);
  now.variables.set("other", old.variables.get("token")!);
  const given: Options = { old, new: now, seed: 1, runs: 300, withWrites: false, recorded: [], ...options };
  const result = await runShadow(given);
  const shown = renderReport(result, now.origin).join("\n") + reportToJson(result, now.origin);
  for (const name of ["token", "other", "password"]) {
    const secret = old.variables.get(name);
    assert.ok(secret === undefined || !shown.includes(secret), `the report contains the ${name}`);
  }
  return result;
}

/** Returns a finding as one line. */
export const keyOf = ({ route, kind, path }: Finding): string =>
  `${route}: ${kind} ${groupPath(path)}`.trimEnd();

/** Creates an answer with a JSON body, a text or no body. */
export const answer = (status: number, text: string, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: new Map(Object.entries(headers)),
  body: text === "" ? undefined : /^[[{]/.test(text) ? { json: parseJson(text) } : { text },
});

/** Creates a request from `METHOD target`. */
export function step(line: string, body: string | null = null, headers: [string, string][] = []): Step {
  const [method = "", target = ""] = line.split(" ");
  const [path = "", query = ""] = target.split("?");
  return { method, path, query: query === "" ? [] : query.split("&"), headers, body };
}

export const origins: [string, string] = ["http://old", "http://new"];
