/** Evaluations: texts about images, many an image, each with its author and tags. */
import { isUuid } from "../../../uuid.ts";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import {
  deleteEvaluation,
  type EvaluationRow,
  findEvaluation,
  insertEvaluation,
  listCellEvaluations,
  listTaskEvaluations,
  lockOpenTask,
  type TextPlace,
  updateEvaluation,
} from "../../../db/judging/evaluations.ts";
import { hasCell } from "../../../db/judging/ratings.ts";
import { AppError } from "../../../errors.ts";
import type { Principal, V2App, V2Env } from "../kit/context.ts";
import { answerOnce } from "../kit/once.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { cellParams, defineRoute, jsonAnswer, jsonBody, taskParams, time } from "../kit/route.ts";
import { answerTagged, checkMatch, tagText } from "../kit/tag.ts";
import { getTaskOf, noCell, noTask, readCell, type TaskOf } from "../tasks/tasks_of.ts";
import { textOf, wordOf } from "../kit/texts.ts";

const tagsIn = z.array(wordOf(100)).max(20).openapi({ description: "Given twice, a tag is kept once" });
const text = textOf(4000).openapi({ description: "Kept byte for byte; markup is text" });

const evaluationIn = z.strictObject({ text, tags: tagsIn.default([]) }).openapi("EvaluationIn");
const evaluationPatch = z.strictObject({ text: text.optional(), tags: tagsIn.optional() })
  .refine((given) => given.text !== undefined || given.tags !== undefined, {
    message: "wanted text, tags or both",
  })
  .openapi("EvaluationPatch", { minProperties: 1 });

const evaluationOut = z.object({
  id: z.uuid(),
  cell: z.int(),
  version: z.int().openapi({ description: "The attempt that made the image that it is about" }),
  author_id: z.uuid(),
  author: z.string().nullable().openapi({
    description: "E-mail; null for a link's, for who has gone, and to who comes by a link",
  }),
  text: z.string(),
  tags: z.array(z.string()),
  created_at: time,
  edited_at: time.nullable(),
}).openapi("Evaluation");

const evaluationParams = taskParams.extend({
  evaluation: z.string().openapi({ param: { name: "evaluation", in: "path" }, format: "uuid" }),
});

const tags: ["evaluations"] = ["evaluations"];
const onePath = "/tasks/{id}/evaluations/{evaluation}";
const cellPath = "/tasks/{id}/cells/{cell}/evaluations";

const post = defineRoute({
  method: "post",
  path: cellPath,
  who: "rater",
  tags,
  summary: "Write about a cell's image",
  request: { params: cellParams, body: jsonBody(evaluationIn) },
  responses: { 201: jsonAnswer(evaluationOut, "Written") },
  problems: ["conflict"],
});

const listOfCell = defineRoute({
  method: "get",
  path: cellPath,
  who: "reader",
  tags,
  summary: "What was written about a cell's images; of images where others are hidden, one's own alone",
  request: { params: cellParams, query: pageQuery },
  responses: { 200: jsonAnswer(pageOf(evaluationOut).openapi("Evaluations"), "Oldest first") },
});

const listOfTask = defineRoute({
  method: "get",
  path: "/tasks/{id}/evaluations",
  who: "reader",
  tags,
  summary: "What was written about a task's images; of images where others are hidden, one's own alone",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonAnswer(pageOf(evaluationOut).openapi("Evaluations"), "Newest first") },
});

const getOne = defineRoute({
  method: "get",
  path: onePath,
  who: "reader",
  tags,
  summary: "One text",
  request: { params: evaluationParams },
  responses: { 200: jsonAnswer(evaluationOut, "The text") },
});

const patch = defineRoute({
  method: "patch",
  path: onePath,
  who: "rater",
  tags,
  summary: "Change what one has written",
  request: { params: evaluationParams, body: jsonBody(evaluationPatch) },
  responses: { 200: jsonAnswer(evaluationOut, "As it is now") },
  problems: ["conflict"],
});

const remove = defineRoute({
  method: "delete",
  path: onePath,
  who: "rater",
  tags,
  summary: "Remove a text: its author, the task's owner, an admin",
  request: { params: evaluationParams },
  responses: { 204: { description: "Removed" } },
});

const noEvaluation = (id: string) =>
  new AppError("not_found", `no evaluation '${id.slice(0, 100)}' in this task`);

function toEvaluation({ created_at, edited_at, author, ...row }: EvaluationRow, { kind }: Principal) {
  return {
    ...row,
    author: kind === "user" ? author : null,
    created_at: created_at.toISOString(),
    edited_at: edited_at?.toISOString() ?? null,
  };
}

const lookerOf = (c: Context<V2Env>, { hidesOthers }: TaskOf) => ({ id: c.var.principal.id, hidesOthers });

/** @throws AppError not_found for one that is not there, and for one that is hidden from who asks */
async function getEvaluation(sql: Sql, c: Context<V2Env>, task: TaskOf, id: string) {
  const looker = lookerOf(c, task);
  const row = isUuid(id) ? await findEvaluation(sql, { taskId: task.id, id, looker }) : undefined;
  if (!row) throw noEvaluation(id);
  return toEvaluation(row, c.var.principal);
}

const unique = (given: string[]) => [...new Set(given)];

async function write(c: Context<V2Env>, task: TaskOf, cell: number, given: z.infer<typeof evaluationIn>) {
  const authorId = c.var.principal.id;
  return await answerOnce(c, async (sql) => {
    if (!await lockOpenTask(sql, task.id)) throw noTask(task.id);
    const wish = { taskId: task.id, cell, authorId, text: given.text, tags: unique(given.tags) };
    const id = await insertEvaluation(sql, wish);
    if (id === "no_cell") throw noCell(cell);
    if (id === "no_image") throw new AppError("conflict", `evaluating cell ${cell}: it has no image now`);
    return {
      status: 201,
      headers: { location: `${c.req.path.split("/cells/")[0]}/evaluations/${id}` },
      body: await getEvaluation(sql, c, task, id),
    };
  });
}

async function change(
  c: Context<V2Env>,
  { id: taskId, evaluation: id }: { id: string; evaluation: string },
  given: z.infer<typeof evaluationPatch>,
) {
  const task = await getTaskOf(c, taskId);
  const authorId = c.var.principal.id;
  const body = await c.var.deps.sql.begin(async (sql) => {
    if (!await lockOpenTask(sql, taskId)) throw noTask(taskId);
    const before = await getEvaluation(sql, c, task, id);
    if (before.author_id !== authorId) {
      throw new AppError("forbidden", `changing evaluation '${id}': somebody else wrote it`);
    }
    checkMatch(c, await tagText(JSON.stringify(before)));
    const wish = { text: given.text ?? null, tags: given.tags ? unique(given.tags) : null };
    await updateEvaluation(sql, { taskId, id, authorId, ...wish });
    return await getEvaluation(sql, c, task, id);
  });
  c.header("etag", await tagText(JSON.stringify(body)));
  return body as Awaited<ReturnType<typeof getEvaluation>>;
}

async function removeOne(
  c: Context<V2Env>,
  { id: taskId, evaluation: id }: { id: string; evaluation: string },
) {
  const task = await getTaskOf(c, taskId);
  const authorId = task.mayChange ? null : c.var.principal.id;
  await c.var.deps.sql.begin(async (sql) => {
    if (!await lockOpenTask(sql, taskId)) throw noTask(taskId);
    // Says not_found for what is not there, or hidden.
    await getEvaluation(sql, c, task, id);
    if (!await deleteEvaluation(sql, { taskId, id, authorId })) {
      throw new AppError(
        "forbidden",
        `removing evaluation '${id}': somebody else wrote it, and the task is not yours`,
      );
    }
  });
}

const readPlace = (cursor: string | undefined): TextPlace | undefined => {
  const [at, id] = readCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()])) ?? [];
  return at === undefined || id === undefined ? undefined : { at, id };
};

const toPlace = ({ created_at, id }: EvaluationRow) => [created_at.toISOString(), id];

async function readCellPage(
  c: Context<V2Env>,
  { id: taskId, cell: place }: { id: string; cell: string },
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const task = await getTaskOf(c, taskId);
  const cell = readCell(place);
  const { deps: { sql }, principal } = c.var;
  const order = { looker: lookerOf(c, task), after: readPlace(cursor), limit: limit + 1 };
  const rows = await listCellEvaluations(sql, { taskId, cell, ...order });
  if (rows.length === 0 && !await hasCell(sql, taskId, cell)) throw noCell(cell);
  return cutPage(rows, limit, (row) => toEvaluation(row, principal), toPlace);
}

async function readTaskPage(c: Context<V2Env>, taskId: string, { limit, cursor }: z.infer<typeof pageQuery>) {
  const task = await getTaskOf(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const order = { looker: lookerOf(c, task), after: readPlace(cursor), limit: limit + 1 };
  const rows = await listTaskEvaluations(sql, { taskId, ...order });
  return cutPage(rows, limit, (row) => toEvaluation(row, principal), toPlace);
}

export function addEvaluations(app: V2App): void {
  app.openapi(post, async (c) => {
    const { id, cell } = c.req.valid("param");
    const task = await getTaskOf(c, id);
    return await write(c, task, readCell(cell), c.req.valid("json")) as never;
  });
  app.openapi(
    listOfCell,
    async (c) => c.json(await readCellPage(c, c.req.valid("param"), c.req.valid("query")), 200),
  );
  app.openapi(
    listOfTask,
    async (c) => c.json(await readTaskPage(c, c.req.valid("param").id, c.req.valid("query")), 200),
  );
  app.openapi(getOne, async (c) => {
    const { id, evaluation } = c.req.valid("param");
    const task = await getTaskOf(c, id);
    return await answerTagged(c, await getEvaluation(c.var.deps.sql, c, task, evaluation)) as never;
  });
  app.openapi(
    patch,
    async (c) => c.json(await change(c, c.req.valid("param"), c.req.valid("json")), 200),
  );
  app.openapi(remove, async (c) => {
    await removeOne(c, c.req.valid("param"));
    return c.body(null, 204);
  });
}
