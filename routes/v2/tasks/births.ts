/** Tasks to be: from a body, or like one that is there. */
import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import { findTaskOrder, type TaskOrderRow } from "../../../db/views/task_detail.ts";
import { findTaskItem } from "../../../db/views/task_list.ts";
import { AppError } from "../../../errors.ts";
import { submitTask, type TaskOrder } from "../../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { type Answer, answerOnce } from "../kit/once.ts";
import { defineRoute, jsonAnswer, jsonBody, taskParams } from "../kit/route.ts";
import { actorOf } from "../kit/principal.ts";
import {
  asBody,
  checkOrder,
  checkPriority,
  cloneIn,
  dropUndefined,
  orderFields,
  readClientJson,
  readOrder,
  taskIn,
} from "./task_body.ts";
import { taskOut, toItem } from "./task_detail.ts";
import { getTaskOf, noTask } from "./tasks_of.ts";

const location = { Location: { schema: { type: "string" as const }, description: "Of the task" } };

const postTask = defineRoute({
  method: "post",
  path: "/tasks",
  who: "member",
  tags: ["tasks"],
  summary: "Make a task with all its cells; safe to repeat under an Idempotency-Key",
  request: { body: jsonBody(taskIn) },
  responses: { 201: { ...jsonAnswer(taskOut, "The task"), headers: location } },
  problems: ["conflict"],
});

const postClone = defineRoute({
  method: "post",
  path: "/tasks/{id}/clone",
  who: "member",
  tags: ["tasks"],
  summary: "Make a task like this one; what the body names is taken from there",
  request: { params: taskParams, body: jsonBody(cloneIn) },
  responses: { 201: { ...jsonAnswer(taskOut, "The new task"), headers: location } },
  problems: ["conflict"],
});

/** What a task that may be read was made from. @throws AppError not_found */
export async function getOrderOf(c: Context<V2Env>, id: string): Promise<TaskOrderRow> {
  await getTaskOf(c, id);
  const row = await findTaskOrder(c.var.deps.sql, id);
  if (!row) throw noTask(id);
  return row;
}

async function submit(c: Context<V2Env>, sql: Sql, order: Omit<TaskOrder, "user">): Promise<Answer> {
  const { deps: { log } } = c.var;
  const { id, email } = actorOf(c);
  const row = await asBody(() => submitTask({ sql, log }, { user: { id, email }, ...order }));
  const item = await findTaskItem(sql, row.id);
  return { status: 201, headers: { location: `/api/v2/tasks/${row.id}` }, body: toItem(item!, email) };
}

/** Changes as a body of `cloneIn` says them, over what the task `id` was made from. */
async function readClone(c: Context<V2Env>, id: string, changes: z.infer<typeof cloneIn>) {
  const row = await getOrderOf(c, id);
  const body = await readClientJson(c);
  const part = (name: "tags" | "variables" | "settings") => body.get(name) ?? parseJson(row[name]);
  const order = {
    tags: part("tags") as Json[],
    variables: part("variables") as JsonObject,
    settings: part("settings") as JsonObject,
  };
  const hasValues = (key: string) => {
    const variable = order.variables.get(key);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    return Array.isArray(values) && values.length > 0;
  };
  const kept = Object.entries(row.axis_roles ?? {}).filter(([key]) => hasValues(key));
  const roles = changes.axis_roles === undefined
    ? Object.fromEntries(kept)
    : dropUndefined(changes.axis_roles);
  checkOrder(order, roles);
  const { priority = 1, blind = row.blind } = changes;
  checkPriority(c, priority);
  const policy = changes.seed_policy ?? (changes.seed === undefined ? row.seed_policy : "pinned");
  const seed = policy === "pinned" ? changes.seed ?? Number(row.first_seed ?? NaN) : changes.seed;
  const isFit = policy === "pinned" ? orderFields.seed.safeParse(seed).success : seed === undefined;
  if (!isFit) {
    throw new AppError("invalid_request", "reading the request: faulty body.seed", {
      fields: [{
        field: "body.seed",
        value: String(seed),
        wanted: "with seed_policy pinned a seed, else none",
      }],
    });
  }
  const taskName = changes.name ?? `${row.task_name.slice(0, 490)} (copy)`;
  return {
    ...order,
    taskName,
    priority,
    blind,
    seedRule: { policy, roles, ...(seed === undefined ? {} : { seed }) },
  };
}

export function addBirths(app: V2App): void {
  app.openapi(postTask, async (c) => {
    const order = await readOrder(c, c.req.valid("json"));
    return await answerOnce(c, (sql) => submit(c, sql, order)) as never;
  });
  app.openapi(postClone, async (c) => {
    const order = await readClone(c, c.req.valid("param").id, c.req.valid("json"));
    return await answerOnce(c, (sql) => submit(c, sql, order)) as never;
  });
}
