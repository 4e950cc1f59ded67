/** Creation of tasks, from a request body or as a clone of another task. */
import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import { findTaskInput, type TaskInputRow } from "../../../db/views/task_detail.ts";
import { findTaskItem } from "../../../db/views/task_list.ts";
import { submitTask, type TaskInput } from "../../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import { invalidField } from "../kit/faults.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { type JsonResult, respondOnce } from "../kit/idempotency.ts";
import { basePath, defineRoute, jsonBody, jsonResponse, taskParams } from "../kit/route.ts";
import { actorOf } from "../kit/principal.ts";
import {
  checkPriority,
  checkTaskInput,
  cloneIn,
  dropUndefined,
  findSeedFault,
  inputFields,
  parseTaskInput,
  readClientJson,
  taskIn,
  withBodyFieldNames,
} from "./task_body.ts";
import { taskOut, toTaskSummary } from "./task_detail.ts";
import { getReadableTask, taskNotFound } from "./task_access.ts";

const location = {
  Location: { schema: { type: "string" as const }, description: "Path of the new task" },
};

const postTask = defineRoute({
  method: "post",
  changesDocuments: true,
  path: "/tasks",
  access: "member",
  tags: ["tasks"],
  summary: "Create a task with all its cells. An Idempotency-Key makes repetition safe",
  request: { body: jsonBody(taskIn) },
  responses: { 201: { ...jsonResponse(taskOut, "The task"), headers: location } },
  once: true,
  problems: ["conflict"],
});

const postClone = defineRoute({
  method: "post",
  changesDocuments: true,
  path: "/tasks/{id}/clone",
  access: "member",
  tags: ["tasks"],
  summary: "Create a task from this one. Fields in the body replace those of the original",
  request: { params: taskParams, body: jsonBody(cloneIn) },
  responses: { 201: { ...jsonResponse(taskOut, "The new task"), headers: location } },
  once: true,
  problems: ["conflict"],
});

/** Returns the input that a readable task was created from. @throws AppError not_found */
export async function getTaskInput(c: Context<V2Env>, id: string): Promise<TaskInputRow> {
  await getReadableTask(c, id);
  const row = await findTaskInput(c.var.deps.sql, id);
  if (!row) throw taskNotFound(id);
  return row;
}

/** Creates the task and returns the response. */
async function createTask(
  c: Context<V2Env>,
  sql: Sql,
  input: Omit<TaskInput, "user">,
): Promise<JsonResult<z.infer<typeof taskOut>, 201>> {
  const { deps: { log } } = c.var;
  const { id, email } = actorOf(c);
  const row = await withBodyFieldNames(() => submitTask({ sql, log }, { user: { id, email }, ...input }));
  const item = await findTaskItem(sql, row.id);
  return {
    status: 201,
    headers: { location: `${basePath}/tasks/${row.id}` },
    body: toTaskSummary(item!, email),
  };
}

/** Merges the fields of the body into the input that task `id` was created from. */
async function parseCloneInput(c: Context<V2Env>, id: string, changes: z.infer<typeof cloneIn>) {
  const row = await getTaskInput(c, id);
  const body = await readClientJson(c);
  const part = (name: "tags" | "variables" | "settings") => body.get(name) ?? parseJson(row[name]);
  const input = {
    tags: part("tags") as Json[],
    variables: part("variables") as JsonObject,
    settings: part("settings") as JsonObject,
  };
  const hasValues = (key: string) => {
    const variable = input.variables.get(key);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    return Array.isArray(values) && values.length > 0;
  };
  const keptRoles = Object.entries(row.axis_roles ?? {}).filter(([key]) => hasValues(key));
  const roles = changes.axis_roles === undefined
    ? Object.fromEntries(keptRoles)
    : dropUndefined(changes.axis_roles);
  checkTaskInput(input, roles);
  const { priority = 1, blind = row.blind } = changes;
  checkPriority(c, priority);
  const policy = changes.seed_policy ?? (changes.seed === undefined ? row.seed_policy : "pinned");
  const stored = inputFields.seed.safeParse(Number(row.first_seed ?? NaN)).data;
  const seed = policy === "pinned" ? changes.seed ?? stored : changes.seed;
  const wanted = findSeedFault(policy, seed);
  if (wanted !== undefined) throw invalidField("body.seed", changes.seed, wanted);
  const taskName = changes.name ?? `${row.task_name.slice(0, 490)} (copy)`;
  return {
    ...input,
    taskName,
    priority,
    blind,
    seedRule: { policy, roles, ...(seed === undefined ? {} : { seed }) },
  };
}

/** Adds the routes that create tasks. */
export function addTaskCreation(app: V2App): void {
  app.openapi(postTask, async (c) => {
    const input = await parseTaskInput(c, c.req.valid("json"));
    return await respondOnce(c, (sql) => createTask(c, sql, input));
  });
  app.openapi(postClone, async (c) => {
    const input = await parseCloneInput(c, c.req.valid("param").id, c.req.valid("json"));
    return await respondOnce(c, (sql) => createTask(c, sql, input));
  });
}
