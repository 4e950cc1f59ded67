/** Tasks: made, listed, shown, changed, cloned, deleted. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { changeTaskRow, type Editable } from "../../../db/views/task_change.ts";
import { findTaskItem, listTaskItems } from "../../../db/views/task_list.ts";
import { taskStatuses } from "../../../db/queue/task_fields.ts";
import { AppError } from "../../../errors.ts";
import { deleteTask } from "../../../jobs/moves/cancel.ts";
import { operator } from "../../../jobs/moves/control.ts";
import { type JsonObject, parseJson, stringifyJson } from "../../../json.ts";
import { getOrderOf } from "./births.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { defineRoute, jsonAnswer, jsonBody, taskParams, time } from "../kit/route.ts";
import { actorOf, isAdmin } from "../kit/principal.ts";
import { isUuid } from "../../../uuid.ts";
import { answerHeld, tagText } from "../kit/tag.ts";
import {
  checkOrder,
  checkPriority,
  dropUndefined,
  nameIn,
  orderFields,
  priorityIn,
  rolesIn,
} from "./task_body.ts";
import { detailOut, readDetail, taskOut, toItem, toJson } from "./task_detail.ts";
import { getTaskOf, noTask } from "./tasks_of.ts";

const listQuery = pageQuery.extend({
  status: z.string().max(100).optional().openapi({
    param: { name: "status", in: "query" },
    description: `One or more of ${taskStatuses.join(", ")}, by commas`,
  }),
  mine: z.enum(["true", "false"]).default("false").openapi({ param: { name: "mine", in: "query" } }),
  name: z.string().max(500).regex(/^[^\0]*$/, "no character of code 0").optional()
    .openapi({ param: { name: "name", in: "query" }, description: "A part of the name, in any case" }),
  created_from: time.optional().openapi({ param: { name: "created_from", in: "query" } }),
  created_before: time.optional().openapi({ param: { name: "created_before", in: "query" } }),
});

const getTasks = defineRoute({
  method: "get",
  path: "/tasks",
  who: "signed_in",
  tags: ["tasks"],
  summary: "Tasks, newest first",
  request: { query: listQuery },
  responses: { 200: jsonAnswer(pageOf(taskOut).openapi("Tasks"), "A page of them") },
});

const getTask = defineRoute({
  method: "get",
  path: "/tasks/{id}",
  who: "reader",
  tags: ["tasks"],
  summary: "A task: counts by state, rate, time to go, causes of failures, axes; never the cells",
  request: { params: taskParams },
  responses: {
    200: jsonAnswer(
      detailOut,
      "The task; its ETag serves If-Match of PATCH, which looks at what PATCH changes",
    ),
  },
});

const orderOut = z.object({
  name: z.string(),
  ...orderFields,
  tags: z.array(z.unknown()),
  seed: orderFields.seed.optional(),
}).openapi("TaskOrder");

const getOrder = defineRoute({
  method: "get",
  path: "/tasks/{id}/order",
  who: "reader",
  tags: ["tasks"],
  summary: "What the task was made from, as POST /tasks takes it; client JSON as it came",
  request: { params: taskParams },
  responses: { 200: jsonAnswer(orderOut, "The order") },
});

const patchIn = z.strictObject({
  name: nameIn.optional(),
  blind: z.boolean().optional(),
  axis_roles: rolesIn.optional(),
  priority: priorityIn.optional(),
}).refine((patch) => Object.keys(patch).length > 0, { message: "wanted at least one of the fields" })
  .openapi("TaskPatch");

const patchTask = defineRoute({
  method: "patch",
  path: "/tasks/{id}",
  who: "owner",
  tags: ["tasks"],
  summary: "Change a task's name, blindness, axis roles or priority",
  request: { params: taskParams, body: jsonBody(patchIn) },
  responses: { 200: jsonAnswer(taskOut, "As it is now") },
  problems: ["conflict"],
});

const removeTask = defineRoute({
  method: "delete",
  path: "/tasks/{id}",
  who: "owner",
  tags: ["tasks"],
  summary: "Cancel and hide a task",
  request: { params: taskParams },
  responses: { 204: { description: "It is deleted; the same where it was before" } },
});

const emailOf = ({ var: { principal } }: Context<V2Env>) =>
  principal.kind === "user" ? principal.email : null;

/** Of what PATCH changes: a running task changes all the time in other ways. */
async function tagEditable({ task_name, blind, axis_roles, priority }: Editable): Promise<string> {
  return (await tagText(JSON.stringify([task_name, blind, axis_roles, priority]))).slice(3, 19);
}

async function checkEditable(c: Context<V2Env>, before: Editable): Promise<void> {
  const wanted = c.req.header("if-match");
  if (wanted === undefined || wanted.trim() === "*") return;
  const now = await tagEditable(before);
  const parts = wanted.split(",").map((part) => part.trim().replace(/^W\//, "").replaceAll('"', ""));
  if (!parts.some((part) => part.split(".")[0] === now)) {
    throw new AppError("conflict", `changing what has changed: If-Match is '${wanted.slice(0, 100)}'`);
  }
}

async function change(c: Context<V2Env>, id: string, patch: z.infer<typeof patchIn>) {
  const { sql } = c.var.deps;
  const { variables } = await getOrderOf(c, id);
  const roles = patch.axis_roles && dropUndefined(patch.axis_roles);
  const { email, isAdmin } = actorOf(c);
  const owner = isAdmin ? null : c.var.principal.id;
  const outcome = await changeTaskRow(sql, { id, owner }, async (before) => {
    await checkEditable(c, before);
    const known = { tags: [], variables: parseJson(variables) as JsonObject, settings: new Map() };
    checkOrder(known, roles ?? {});
    checkPriority(c, patch.priority ?? 1, before.priority);
    return {
      task_name: patch.name ?? before.task_name,
      blind: patch.blind ?? before.blind,
      priority: patch.priority ?? before.priority,
      axis_roles: roles ?? before.axis_roles,
    };
  });
  if (outcome === "not_found") throw noTask(id);
  if (outcome === "forbidden") throw notTheirs(id);
  const row = await findTaskItem(sql, id);
  if (!row) throw noTask(id);
  return toItem(row, email);
}

const notTheirs = (id: string) => new AppError("forbidden", `changing task '${id}': it is somebody else's`);

/** Idempotent for its owner; to others a deleted task is not there. */
async function remove(c: Context<V2Env>, id: string): Promise<void> {
  const { sql, log } = c.var.deps;
  const userId = isAdmin(c.var.principal) ? operator : c.var.principal.id;
  const outcome = isUuid(id) ? await deleteTask({ sql, log }, { taskId: id, userId }) : "not_found";
  if (outcome === "deleted") return;
  if (outcome === "forbidden") await getTaskOf(c, id);
  throw outcome === "forbidden" ? notTheirs(id) : noTask(id);
}

function readStatuses(text: string | undefined) {
  const given = (text ?? "").split(",").filter((status) => status !== "");
  const unknown = given.find((status) => !(taskStatuses as readonly string[]).includes(status));
  if (unknown === undefined) return given as (typeof taskStatuses)[number][];
  throw new AppError("invalid_request", "reading the request: faulty query.status", {
    fields: [{ field: "query.status", value: unknown, wanted: `any of ${taskStatuses.join(", ")}` }],
  });
}

const answerJson = (c: Context<V2Env>, text: string) =>
  c.body(text, 200, { "content-type": "application/json" });

export function addTasks(app: V2App): void {
  app.openapi(getTasks, async (c) => {
    const { limit, cursor, status, mine, name, created_from, created_before } = c.req.valid("query");
    const after = readCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const email = emailOf(c);
    const rows = await listTaskItems(c.var.deps.sql, {
      statuses: readStatuses(status),
      name,
      after,
      limit: limit + 1,
      username: mine === "true" ? email ?? "" : undefined,
      createdFrom: created_from,
      createdBefore: created_before,
    });
    const page = cutPage(rows, limit, (row) => toItem(row, email), ({ created_at, id }) => [
      created_at.toISOString(),
      id,
    ]);
    return c.json(page, 200);
  });
  app.openapi(getTask, async (c) => {
    const row = await getOrderOf(c, c.req.valid("param").id);
    const text = stringifyJson(await readDetail(c, row));
    const edit = await tagEditable(row);
    const whole = (await tagText(text)).slice(3, 19);
    return (answerHeld(c, `W/"${edit}.${whole}"`) ?? answerJson(c, text)) as never;
  });
  app.openapi(getOrder, async (c) => {
    const { task_name: name, axis_roles, seed_policy, blind, priority, first_seed, ...row } =
      await getOrderOf(
        c,
        c.req.valid("param").id,
      );
    const isPinned = seed_policy === "pinned" && first_seed !== null;
    const text = stringifyJson(toJson({
      name,
      tags: parseJson(row.tags),
      variables: parseJson(row.variables),
      settings: parseJson(row.settings),
      seed_policy,
      ...(isPinned ? { seed: Number(first_seed) } : {}),
      axis_roles: axis_roles ?? {},
      blind,
      priority,
    }));
    return (answerHeld(c, await tagText(text)) ?? answerJson(c, text)) as never;
  });
  app.openapi(
    patchTask,
    async (c) => c.json(await change(c, c.req.valid("param").id, c.req.valid("json")), 200),
  );
  app.openapi(removeTask, async (c) => {
    await remove(c, c.req.valid("param").id);
    return c.body(null, 204);
  });
}
