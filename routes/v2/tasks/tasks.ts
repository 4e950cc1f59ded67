/** Routes that list, show, change and delete tasks. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { changeTaskRow, type Editable } from "../../../db/queue/task_change.ts";
import { findTaskItem, listTaskItems } from "../../../db/views/task_list.ts";
import { taskStatuses } from "../../../db/queue/task_fields.ts";
import { AppError } from "../../../errors.ts";
import { deleteTask } from "../../../jobs/moves/cancel.ts";
import { operator } from "../../../jobs/moves/control.ts";
import { type JsonObject, parseJson, stringifyJson } from "../../../json.ts";
import { getTaskInput } from "./creation.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../kit/pages.ts";
import { namesQuery, timeIn } from "../kit/query.ts";
import { defineRoute, jsonBody, jsonResponse, taskParams } from "../kit/route.ts";
import { actorOf, isAdmin } from "../kit/principal.ts";
import { isUuid } from "../../../uuid.ts";
import { etagOf, respondJsonTagged } from "../kit/etag.ts";
import {
  checkPriority,
  checkTaskInput,
  clientObject,
  dropUndefined,
  inputFields,
  nameIn,
  priorityIn,
  rolesIn,
} from "./task_body.ts";
import { textSchema } from "../kit/texts.ts";
import { detailOut, readDetail, taskOut, toJson, toTaskSummary } from "./task_detail.ts";
import { getReadableTask, notTaskOwner, taskNotFound } from "./task_access.ts";
import { quoted } from "../../../phrases.ts";

const listQuery = pageQuery.extend({
  status: namesQuery(taskStatuses).optional().openapi({
    param: { name: "status", in: "query" },
    description: `Comma-separated list of ${taskStatuses.join(", ")}`,
  }),
  mine: z.enum(["true", "false"]).default("false").openapi({ param: { name: "mine", in: "query" } }),
  name: textSchema(500, 0).optional()
    .openapi({ param: { name: "name", in: "query" }, description: "Part of the name, case-insensitive" }),
  created_from: timeIn.optional().openapi({ param: { name: "created_from", in: "query" } }),
  created_before: timeIn.optional().openapi({ param: { name: "created_before", in: "query" } }),
});

const getTasks = defineRoute({
  method: "get",
  path: "/tasks",
  access: "signed_in",
  tags: ["tasks"],
  summary: "List tasks, newest first",
  request: { query: listQuery },
  responses: { 200: jsonResponse(pageOf(taskOut).openapi("Tasks"), "A page of tasks") },
});

const getTask = defineRoute({
  method: "get",
  path: "/tasks/{id}",
  access: "reader",
  tags: ["tasks"],
  summary: "Get a task with its progress, rate, remaining time, failure causes and axes, without its cells",
  request: { params: taskParams },
  responses: {
    200: jsonResponse(
      detailOut,
      "The task. PATCH accepts its ETag in If-Match; the comparison covers only what PATCH changes",
    ),
  },
});

const inputOut = z.object({
  name: z.string(),
  ...inputFields,
  tags: z.array(z.unknown()),
  variables: clientObject.openapi({ description: "`v0` to `v5`, each with `name` and `values`, as given" }),
  seed: inputFields.seed.optional(),
}).openapi("TaskInput");

const getInput = defineRoute({
  method: "get",
  path: "/tasks/{id}/order",
  access: "reader",
  tags: ["tasks"],
  summary: "Get what the task was created from, in the form of POST /tasks. Client JSON is unchanged",
  request: { params: taskParams },
  responses: { 200: jsonResponse(inputOut, "The body that creates such a task") },
});

const patchIn = z.strictObject({
  name: nameIn.optional(),
  blind: z.boolean().optional(),
  axis_roles: rolesIn.optional(),
  priority: priorityIn.optional(),
}).refine((patch) => Object.keys(patch).length > 0, { message: "at least one of the fields" })
  .openapi("TaskPatch", {
    minProperties: 1,
    description: "Axes in `axis_roles` are variables of the task that have values",
  });

const patchTask = defineRoute({
  method: "patch",
  changesDocuments: true,
  path: "/tasks/{id}",
  access: "owner",
  tags: ["tasks"],
  summary: "Change the name, blindness, axis roles or priority of a task",
  request: { params: taskParams, body: jsonBody(patchIn) },
  responses: { 200: jsonResponse(taskOut, "The changed task") },
  problems: ["conflict"],
});

const removeTask = defineRoute({
  method: "delete",
  changesDocuments: true,
  path: "/tasks/{id}",
  access: "owner",
  tags: ["tasks"],
  summary: "Cancel and delete a task",
  request: { params: taskParams },
  responses: { 204: { description: "Deleted, now or before" } },
});

const emailOf = ({ var: { principal } }: Context<V2Env>) =>
  principal.kind === "user" ? principal.email : null;

/** Returns a digest of the fields that PATCH changes. Other fields of a running task change continuously. */
async function digestEditable({ task_name, blind, axis_roles, priority }: Editable): Promise<string> {
  return (await etagOf(JSON.stringify([task_name, blind, axis_roles, priority]))).slice(3, 19);
}

/** Compares If-Match with the digest. @throws AppError conflict */
async function checkIfMatch(c: Context<V2Env>, before: Editable): Promise<void> {
  const ifMatch = c.req.header("if-match");
  if (ifMatch === undefined || ifMatch.trim() === "*") return;
  const digest = await digestEditable(before);
  const tags = ifMatch.split(",").map((tag) => tag.trim().replace(/^W\//, "").replaceAll('"', ""));
  if (!tags.some((tag) => tag.split(".")[0] === digest)) {
    throw new AppError("conflict", `changing what has changed: If-Match is ${quoted(ifMatch, 100)}`);
  }
}

async function changeTask(c: Context<V2Env>, id: string, patch: z.infer<typeof patchIn>) {
  const { sql } = c.var.deps;
  const { variables } = await getTaskInput(c, id);
  const roles = patch.axis_roles && dropUndefined(patch.axis_roles);
  const actor = actorOf(c);
  const outcome = await changeTaskRow(sql, { id, actor }, async (before) => {
    await checkIfMatch(c, before);
    const known = { tags: [], variables: parseJson(variables) as JsonObject, settings: new Map() };
    checkTaskInput(known, roles ?? {});
    checkPriority(c, patch.priority ?? 1, before.priority);
    return {
      task_name: patch.name ?? before.task_name,
      blind: patch.blind ?? before.blind,
      priority: patch.priority ?? before.priority,
      axis_roles: roles ?? before.axis_roles,
    };
  });
  if (outcome === "not_found") throw taskNotFound(id);
  if (outcome === "forbidden") throw notTaskOwner(id);
  const row = await findTaskItem(sql, id);
  if (!row) throw taskNotFound(id);
  return toTaskSummary(row, actor.email);
}

/** Deletes a task. Idempotent for its owner; for others a deleted task does not exist. */
async function remove(c: Context<V2Env>, id: string): Promise<void> {
  const { sql, log } = c.var.deps;
  const userId = isAdmin(c.var.principal) ? operator : c.var.principal.id;
  const outcome = isUuid(id) ? await deleteTask({ sql, log }, { taskId: id, userId }) : "not_found";
  if (outcome === "deleted") return;
  if (outcome === "forbidden") await getReadableTask(c, id);
  throw outcome === "forbidden" ? notTaskOwner(id) : taskNotFound(id);
}

const listStatuses = (text = "") => taskStatuses.filter((status) => text.split(",").includes(status));

export function addTasks(app: V2App): void {
  app.openapi(getTasks, async (c) => {
    const { limit, cursor, status, mine, name, created_from, created_before } = c.req.valid("query");
    const after = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const email = emailOf(c);
    const rows = await listTaskItems(c.var.deps.sql, {
      statuses: listStatuses(status),
      name,
      after,
      limit: limit + 1,
      username: mine === "true" ? email ?? "" : undefined,
      createdFrom: created_from,
      createdBefore: created_before,
    });
    const page = toPage(rows, limit, (row) => toTaskSummary(row, email), ({ created_at, id }) => [
      created_at.toISOString(),
      id,
    ]);
    return c.json(page, 200);
  });
  app.openapi(getTask, async (c) => {
    const row = await getTaskInput(c, c.req.valid("param").id);
    const text = stringifyJson(await readDetail(c, row));
    const editableDigest = await digestEditable(row);
    const digest = (await etagOf(text)).slice(3, 19);
    return respondJsonTagged(c, text, `W/"${editableDigest}.${digest}"`);
  });
  app.openapi(getInput, async (c) => {
    const { task_name: name, axis_roles, seed_policy, blind, priority, first_seed, ...row } =
      await getTaskInput(c, c.req.valid("param").id);
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
    return respondJsonTagged(c, text, await etagOf(text));
  });
  app.openapi(
    patchTask,
    async (c) => c.json(await changeTask(c, c.req.valid("param").id, c.req.valid("json")), 200),
  );
  app.openapi(removeTask, async (c) => {
    await remove(c, c.req.valid("param").id);
    return c.body(null, 204);
  });
}
