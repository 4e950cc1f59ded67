/** What the owner of a task does to it while it runs, or after: each call is safe to repeat. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { readShape } from "../../../db/views/task_detail.ts";
import { findTaskItem, type TaskItem } from "../../../db/views/task_list.ts";
import { taskStatuses } from "../../../db/queue/task_fields.ts";
import { AppError } from "../../../errors.ts";
import { stopTask } from "../../../jobs/moves/cancel.ts";
import {
  operator,
  pauseTask,
  pruneTask,
  rerunCell,
  resumeTask,
  retryFailed,
  type Wish,
} from "../../../jobs/moves/control.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { type Matrix, readMatrix } from "./matrix.ts";
import { cellParams, defineRoute, jsonAnswer, jsonBody, taskParams, time } from "../kit/route.ts";
import { isAdmin } from "../kit/principal.ts";
import { getTaskOf, noCell, noTask, readCell, requireChange } from "./tasks_of.ts";

const state = {
  status: z.enum(taskStatuses),
  hold: z.enum(["import", "pause", "canary"]).nullable().openapi({
    description: "What keeps it from being drawn",
  }),
};
const stateOut = z.object({ ...state, changed: z.boolean() }).openapi("TaskState");

const action = <const A extends string, const R extends Record<string, unknown>>(
  name: A,
  summary: string,
  more: R,
) => ({
  method: "post" as const,
  path: `/tasks/{id}/${name}` as const,
  who: "owner" as const,
  tags: ["control"] as [string],
  summary,
  problems: ["conflict" as const],
  ...more,
});

const postCancel = defineRoute(action("cancel", "End a task: what is pending never starts", {
  request: { params: taskParams },
  responses: {
    200: jsonAnswer(
      z.object({
        ...state,
        cancelled: z.int().openapi({ description: "Cells that will have no image" }),
        finishing: z.int().openapi({
          description: "Of these, those that were under way and are being dropped",
        }),
      }).openapi("Cancelled"),
      "The same where it had ended before, with nothing finishing",
    ),
  },
}));
const postPause = defineRoute(action("pause", "Start nothing more of a task; what is under way goes on", {
  request: { params: taskParams },
  responses: { 200: jsonAnswer(stateOut, "It is held") },
}));
const postResume = defineRoute(
  action("resume", "Let a task go on that was paused, held by the canary or brought over", {
    request: { params: taskParams },
    responses: { 200: jsonAnswer(stateOut, "It goes on") },
  }),
);

const chosen = {
  cells: z.array(z.int().min(0).max(99_999)).min(1).max(50_000).optional()
    .openapi({ description: "Only these, by their numbers" }),
  where: z.record(z.string(), z.array(z.int().min(0)).min(1).max(1000)).optional().openapi({
    description: "Only cells at one of these places on each of these axes, counted from 0",
    example: { v0: [1, 4], v2: [0] },
  }),
};
const retryIn = z.strictObject({
  ...chosen,
  cause: z.string().min(1).max(500).optional().openapi({
    description: "Only where the cause contains this, in any case",
  }),
  since: time.optional().openapi({ description: "Only those that failed then or later" }),
}).openapi("RetryIn");
const postRetry = defineRoute(action("retry", "Draw failed cells again: all, or those that a filter leaves", {
  request: { params: taskParams, body: jsonBody(retryIn) },
  responses: {
    200: jsonAnswer(z.object({ ...state, cells: z.int() }).openapi("Retried"), "How many; 0 the second time"),
  },
}));

const pruneIn = z.strictObject(chosen).refine(
  ({ cells, where }) => cells !== undefined || where !== undefined && Object.keys(where).length > 0,
  { message: "wanted cells or where" },
).openapi("PruneIn");
const postPrune = defineRoute(action("prune", "Give up cells that are still pending; no others are touched", {
  request: { params: taskParams, body: jsonBody(pruneIn) },
  responses: {
    200: jsonAnswer(z.object({ ...state, cells: z.int() }).openapi("Pruned"), "How many; 0 the second time"),
  },
}));

const postRerun = defineRoute({
  method: "post",
  path: "/tasks/{id}/cells/{cell}/rerun",
  who: "owner",
  tags: ["control"],
  summary: "Draw a cell again; its image and what was said of it stay in its history",
  request: { params: cellParams },
  responses: {
    200: jsonAnswer(
      z.object({ cell: z.int(), status: z.literal("pending") }).openapi("Rerun"),
      "It will be drawn",
    ),
  },
  problems: ["conflict"],
});

/** Whose wish it is, once the task is known to be there and theirs. */
async function readWish(c: Context<V2Env>, id: string): Promise<Wish> {
  requireChange(await getTaskOf(c, id));
  return { taskId: id, userId: isAdmin(c.var.principal) ? operator : c.var.principal.id };
}

/** What a move answers that found the task gone or another's. */
function checkRefusal<T>(id: string, answer: T): Exclude<T, "not_found" | "forbidden"> {
  if (answer === "not_found") throw noTask(id);
  if (answer === "forbidden") throw new AppError("forbidden", `changing task '${id}': it is somebody else's`);
  return answer as Exclude<T, "not_found" | "forbidden">;
}

async function readState(c: Context<V2Env>, id: string): Promise<TaskItem> {
  const row = await findTaskItem(c.var.deps.sql, id);
  if (!row) throw noTask(id);
  return row;
}

const shown = ({ status, hold }: TaskItem) => ({ status, hold });

const fault = (field: string, value: string, wanted: string) =>
  new AppError("invalid_request", `reading the request: faulty ${field}`, {
    fields: [{ field, value, wanted }],
  });

/** The numbers of cells at these places. @throws AppError invalid_request for an axis or a place that is none */
function findCells(matrix: Matrix, where: Record<string, number[]>): number[] {
  const levels = matrix.lengths.map((length) => [...Array(length).keys()]);
  for (const [axis, places] of Object.entries(where)) {
    const at = matrix.axes.indexOf(axis);
    const field = `body.where.${axis.slice(0, 50)}`;
    if (at < 0) throw fault(field, axis, `one of ${matrix.axes.join(", ")}`);
    const wrong = places.find((place) => place >= matrix.lengths[at]!);
    if (wrong !== undefined) throw fault(field, String(wrong), `0 to ${matrix.lengths[at]! - 1}`);
    levels[at] = [...new Set(places)];
  }
  let all: number[][] = [[]];
  for (const places of levels) all = all.flatMap((known) => places.map((place) => [...known, place]));
  return all.map((places) => matrix.cellAt(places));
}

/** The cells that a body chooses; undefined where it leaves them open. */
async function chooseCells(
  c: Context<V2Env>,
  id: string,
  { cells, where }: { cells?: number[] | undefined; where?: Record<string, number[]> | undefined },
): Promise<number[] | undefined> {
  if (where === undefined || Object.keys(where).length === 0) return cells;
  const matrix = readMatrix(await readShape(c.var.deps.sql, id));
  if (!matrix) {
    throw new AppError("conflict", `choosing cells by axis: those of task '${id}' do not fill its axes`);
  }
  const found = findCells(matrix, where);
  if (cells === undefined) return found;
  const wanted = new Set(cells);
  return found.filter((cell) => wanted.has(cell));
}

const ended = (what: string, id: string, { status }: TaskItem) =>
  new AppError("conflict", `${what} task '${id}': it is ${status}`);

function addMoves(app: V2App): void {
  app.openapi(postCancel, async (c) => {
    const { id } = c.req.valid("param");
    const answer = checkRefusal(id, await stopTask(c.var.deps, await readWish(c, id)));
    const row = await readState(c, id);
    const { subtasks_total: total, subtasks_completed: completed, subtasks_failed: failed } = row;
    const cancelled = row.status === "cancelled" ? total - completed - failed : row.subtasks_cancelled;
    const finishing = answer === "already_ended" ? 0 : answer.running;
    return c.json({ ...shown(row), cancelled, finishing }, 200);
  });
  app.openapi(postPause, async (c) => {
    const { id } = c.req.valid("param");
    const answer = checkRefusal(id, await pauseTask(c.var.deps, await readWish(c, id)));
    const row = await readState(c, id);
    if (answer === "already_ended") throw ended("pausing", id, row);
    return c.json({ ...shown(row), changed: answer === "paused" }, 200);
  });
  app.openapi(postResume, async (c) => {
    const { id } = c.req.valid("param");
    const answer = checkRefusal(id, await resumeTask(c.var.deps, await readWish(c, id)));
    const row = await readState(c, id);
    if (answer === "already_ended") throw ended("resuming", id, row);
    return c.json({ ...shown(row), changed: answer === "resumed" }, 200);
  });
}

export function addControl(app: V2App): void {
  addMoves(app);
  app.openapi(postRetry, async (c) => {
    const { id } = c.req.valid("param");
    const wish = await readWish(c, id);
    const { cause, since, ...body } = c.req.valid("json");
    const cells = await chooseCells(c, id, body);
    const filter = {
      ...(cause === undefined ? {} : { cause }),
      ...(since === undefined ? {} : { since: new Date(since) }),
      ...(cells === undefined ? {} : { cells }),
    };
    const answer = checkRefusal(id, await retryFailed(c.var.deps, { ...wish, ...filter }));
    const row = await readState(c, id);
    if (answer === "cancelled") throw ended("retrying", id, row);
    return c.json({ ...shown(row), cells: answer.cells }, 200);
  });
  app.openapi(postPrune, async (c) => {
    const { id } = c.req.valid("param");
    const wish = await readWish(c, id);
    const cells = await chooseCells(c, id, c.req.valid("json")) ?? [];
    const answer = checkRefusal(id, await pruneTask(c.var.deps, { ...wish, cells }));
    return c.json(
      { ...shown(await readState(c, id)), cells: answer === "already_ended" ? 0 : answer.cells },
      200,
    );
  });
  app.openapi(postRerun, async (c) => {
    const { id, cell: text } = c.req.valid("param");
    const wish = await readWish(c, id);
    const cell = readCell(text);
    const answer = checkRefusal(id, await rerunCell(c.var.deps, { ...wish, cell }));
    if (answer === "no_such_cell") throw noCell(cell);
    if (answer === "running") throw new AppError("conflict", `drawing cell ${cell} again: it is being drawn`);
    if (answer === "cancelled") {
      throw new AppError("conflict", `drawing cell ${cell} again: it was cancelled`);
    }
    return c.json({ cell, status: "pending" as const }, 200);
  });
}
