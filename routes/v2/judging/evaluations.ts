/** Routes for evaluations: texts about images, with their author and tags. */
import { isUuid } from "../../../uuid.ts";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import {
  deleteEvaluation,
  type EvaluationCursor,
  type EvaluationRow,
  findEvaluation,
  insertEvaluation,
  listCellEvaluations,
  listTaskEvaluations,
  lockOpenTask,
  updateEvaluation,
} from "../../../db/judging/evaluations.ts";
import { hasCell } from "../../../db/judging/ratings.ts";
import { AppError } from "../../../errors.ts";
import type { Principal, V2App, V2Env } from "../kit/context.ts";
import { respondOnce } from "../kit/idempotency.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../kit/pages.ts";
import { cellParams, defineRoute, jsonBody, jsonResponse, taskParams, time } from "../kit/route.ts";
import { etagOf, requireMatch, respondTagged } from "../kit/etag.ts";
import {
  cellNotFound,
  getReadableTask,
  parseCellNumber,
  type ReadableTask,
  taskNotFound,
  viewerOf,
} from "../tasks/task_access.ts";
import { judgedVersion } from "./rating_shapes.ts";
import { tagSchema, textSchema } from "../kit/texts.ts";

const tagsIn = z.array(tagSchema(100)).max(20).openapi({ description: "Duplicate tags are stored once" });
const text = textSchema(4000).openapi({ description: "Stored byte for byte. Markup has no meaning" });

const evaluationIn = z.strictObject({ text, tags: tagsIn.default([]), version: judgedVersion }).openapi(
  "EvaluationIn",
);
const evaluationPatch = z.strictObject({ text: text.optional(), tags: tagsIn.optional() })
  .refine((patch) => patch.text !== undefined || patch.tags !== undefined, {
    message: "text, tags or both",
  })
  .openapi("EvaluationPatch", { minProperties: 1 });

const evaluationOut = z.object({
  id: z.uuid(),
  cell: z.int(),
  version: z.int().openapi({ description: "Number of the attempt that made the evaluated image" }),
  author_id: z.uuid(),
  author: z.string().nullable().openapi({
    description: "E-mail address; null for a share, for a deleted user, and for requests with a share",
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
  access: "rater",
  tags,
  summary: "Evaluate the image of a cell",
  request: { params: cellParams, body: jsonBody(evaluationIn) },
  responses: { 201: jsonResponse(evaluationOut, "The evaluation") },
  once: true,
  problems: ["conflict"],
});

const listOfCell = defineRoute({
  method: "get",
  path: cellPath,
  access: "reader",
  tags,
  summary: "List the evaluations of a cell's images. Where others are hidden, only one's own",
  request: { params: cellParams, query: pageQuery },
  responses: { 200: jsonResponse(pageOf(evaluationOut).openapi("Evaluations"), "Oldest first") },
});

const listOfTask = defineRoute({
  method: "get",
  path: "/tasks/{id}/evaluations",
  access: "reader",
  tags,
  summary: "List the evaluations of a task's images. Where others are hidden, only one's own",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonResponse(pageOf(evaluationOut).openapi("Evaluations"), "Newest first") },
});

const getOne = defineRoute({
  method: "get",
  path: onePath,
  access: "reader",
  tags,
  summary: "Get an evaluation",
  request: { params: evaluationParams },
  responses: { 200: jsonResponse(evaluationOut, "The evaluation") },
});

const patch = defineRoute({
  method: "patch",
  path: onePath,
  access: "rater",
  tags,
  summary: "Change one's own evaluation",
  request: { params: evaluationParams, body: jsonBody(evaluationPatch) },
  responses: { 200: jsonResponse(evaluationOut, "The changed evaluation") },
  problems: ["conflict"],
});

const remove = defineRoute({
  method: "delete",
  path: onePath,
  access: "rater",
  tags,
  summary: "Delete an evaluation; for its author, the owner of the task and admins",
  request: { params: evaluationParams },
  responses: { 204: { description: "Deleted" } },
});

const evaluationNotFound = (id: string) =>
  new AppError("not_found", `no evaluation '${id.slice(0, 100)}' in this task`);

function toEvaluation({ created_at, edited_at, author, ...row }: EvaluationRow, { kind }: Principal) {
  return {
    ...row,
    author: kind === "user" ? author : null,
    created_at: created_at.toISOString(),
    edited_at: edited_at?.toISOString() ?? null,
  };
}

/** Returns an evaluation that the principal may see. @throws AppError not_found */
async function getEvaluation(sql: Sql, c: Context<V2Env>, task: ReadableTask, id: string) {
  const viewer = viewerOf(c, task);
  const row = isUuid(id) ? await findEvaluation(sql, { taskId: task.id, id, viewer }) : undefined;
  if (!row) throw evaluationNotFound(id);
  return toEvaluation(row, c.var.principal);
}

const unique = (list: string[]) => [...new Set(list)];

async function createEvaluation(
  c: Context<V2Env>,
  task: ReadableTask,
  cell: number,
  body: z.infer<typeof evaluationIn>,
) {
  const authorId = c.var.principal.id;
  return await respondOnce(c, async (sql) => {
    if (!await lockOpenTask(sql, task.id)) throw taskNotFound(task.id);
    const { text, version = null } = body;
    const input = { taskId: task.id, cell, authorId, text, tags: unique(body.tags), version };
    const id = await insertEvaluation(sql, input);
    if (id === "no_cell") throw cellNotFound(cell);
    if (id === "changed") throw new AppError("conflict", `evaluating cell ${cell}: its image is another now`);
    if (id === "no_image") throw new AppError("conflict", `evaluating cell ${cell}: it has no image now`);
    return {
      status: 201,
      headers: { location: `${c.req.path.split("/cells/")[0]}/evaluations/${id}` },
      body: await getEvaluation(sql, c, task, id),
    };
  });
}

async function changeEvaluation(
  c: Context<V2Env>,
  { id: taskId, evaluation: id }: { id: string; evaluation: string },
  patch: z.infer<typeof evaluationPatch>,
) {
  const task = await getReadableTask(c, taskId);
  const authorId = c.var.principal.id;
  const changed = await c.var.deps.sql.begin(async (sql) => {
    if (!await lockOpenTask(sql, taskId)) throw taskNotFound(taskId);
    const before = await getEvaluation(sql, c, task, id);
    if (before.author_id !== authorId) {
      throw new AppError("forbidden", `changing evaluation '${id}': somebody else wrote it`);
    }
    requireMatch(c, await etagOf(JSON.stringify(before)));
    const input = { text: patch.text ?? null, tags: patch.tags ? unique(patch.tags) : null };
    await updateEvaluation(sql, { taskId, id, authorId, ...input });
    return await getEvaluation(sql, c, task, id);
  });
  c.header("etag", await etagOf(JSON.stringify(changed)));
  return changed as Awaited<ReturnType<typeof getEvaluation>>;
}

async function removeEvaluation(
  c: Context<V2Env>,
  { id: taskId, evaluation: id }: { id: string; evaluation: string },
) {
  const task = await getReadableTask(c, taskId);
  const authorId = task.mayChange ? null : c.var.principal.id;
  await c.var.deps.sql.begin(async (sql) => {
    if (!await lockOpenTask(sql, taskId)) throw taskNotFound(taskId);
    // Throws not_found if it does not exist or is hidden.
    await getEvaluation(sql, c, task, id);
    if (!await deleteEvaluation(sql, { taskId, id, authorId })) {
      throw new AppError(
        "forbidden",
        `removing evaluation '${id}': somebody else wrote it, and the task is not yours`,
      );
    }
  });
}

const parseCursor = (cursor: string | undefined): EvaluationCursor | undefined => {
  const [at, id] = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()])) ?? [];
  return at === undefined || id === undefined ? undefined : { at, id };
};

const toCursor = ({ created_at, id }: EvaluationRow) => [created_at.toISOString(), id];

async function readCellPage(
  c: Context<V2Env>,
  { id: taskId, cell: cellText }: { id: string; cell: string },
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const task = await getReadableTask(c, taskId);
  const cell = parseCellNumber(cellText);
  const { deps: { sql }, principal } = c.var;
  const query = { viewer: viewerOf(c, task), after: parseCursor(cursor), limit: limit + 1 };
  const rows = await listCellEvaluations(sql, { taskId, cell, ...query });
  if (rows.length === 0 && !await hasCell(sql, taskId, cell)) throw cellNotFound(cell);
  return toPage(rows, limit, (row) => toEvaluation(row, principal), toCursor);
}

async function readTaskPage(c: Context<V2Env>, taskId: string, { limit, cursor }: z.infer<typeof pageQuery>) {
  const task = await getReadableTask(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const query = { viewer: viewerOf(c, task), after: parseCursor(cursor), limit: limit + 1 };
  const rows = await listTaskEvaluations(sql, { taskId, ...query });
  return toPage(rows, limit, (row) => toEvaluation(row, principal), toCursor);
}

export function addEvaluations(app: V2App): void {
  app.openapi(post, async (c) => {
    const { id, cell } = c.req.valid("param");
    const task = await getReadableTask(c, id);
    return await createEvaluation(c, task, parseCellNumber(cell), c.req.valid("json"));
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
    const task = await getReadableTask(c, id);
    return await respondTagged(c, await getEvaluation(c.var.deps.sql, c, task, evaluation));
  });
  app.openapi(
    patch,
    async (c) => c.json(await changeEvaluation(c, c.req.valid("param"), c.req.valid("json")), 200),
  );
  app.openapi(remove, async (c) => {
    await removeEvaluation(c, c.req.valid("param"));
    return c.body(null, 204);
  });
}
