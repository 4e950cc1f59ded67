/**
 * Routes with which the owner controls a task: cancel, pause, resume, retry, prune and rerun. All are
 * idempotent.
 */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { readShape } from "../../../db/views/task_detail.ts";
import { findTaskItem, type TaskItem } from "../../../db/views/task_list.ts";
import { cellsMax, taskStatuses } from "../../../db/queue/task_fields.ts";
import { AppError } from "../../../errors.ts";
import { cancelAndCountRunning } from "../../../jobs/moves/cancel.ts";
import {
  type MoveRequest,
  operator,
  pauseTask,
  pruneTask,
  rerunCell,
  resumeTask,
  retryFailed,
} from "../../../jobs/moves/control.ts";
import { invalidField, invalidFields } from "../kit/faults.ts";
import { wantedAxis, wantedIndex } from "./axis_faults.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { createMatrix, type Matrix } from "./matrix.ts";
import { timeIn } from "../kit/query.ts";
import { cellParams, defineRoute, jsonBody, jsonResponse, taskParams } from "../kit/route.ts";
import { textSchema } from "../kit/texts.ts";
import { isAdmin } from "../kit/principal.ts";
import {
  anyCellNumber,
  cellNotFound,
  getReadableTask,
  notTaskOwner,
  parseCellNumber,
  requireMayChange,
  taskNotFound,
} from "./task_access.ts";
import { dropUndefined } from "./task_body.ts";

const state = {
  status: z.enum(taskStatuses),
  hold: z.enum(["import", "pause", "canary"]).nullable().openapi({
    description: "Why it is not drawn now",
  }),
};
const stateOut = z.object({ ...state, changed: z.boolean() }).openapi("TaskState");

const action = <const A extends string, const R extends Record<string, unknown>>(
  name: A,
  summary: string,
  more: R,
) => ({
  method: "post" as const,
  changesDocuments: true as const,
  path: `/tasks/{id}/${name}` as const,
  access: "owner" as const,
  tags: ["control"] as [string],
  summary,
  problems: ["conflict" as const],
  ...more,
});

const postCancel = defineRoute(action("cancel", "Cancel a task. Pending cells are never drawn", {
  request: { params: taskParams },
  responses: {
    200: jsonResponse(
      z.object({
        ...state,
        cancelled: z.int().openapi({ description: "Cells without an image" }),
        finishing: z.int().openapi({
          description: "Those of them that were being drawn and are being stopped",
        }),
      }).openapi("Cancelled"),
      "The state. A repeated call returns the same with `finishing` 0",
    ),
  },
}));
const postPause = defineRoute(action("pause", "Pause a task. Running cells continue", {
  request: { params: taskParams },
  responses: { 200: jsonResponse(stateOut, "Paused") },
}));
const postResume = defineRoute(
  action("resume", "Resume a task that was paused, held by the canary, or imported", {
    request: { params: taskParams },
    responses: { 200: jsonResponse(stateOut, "Resumed") },
  }),
);

const indicesIn = z.array(anyCellNumber).min(1).max(1000).optional();
const selection = {
  cells: z.array(anyCellNumber).min(1).max(cellsMax).optional()
    .openapi({ description: "Numbers of the cells" }),
  where: z.strictObject({
    v0: indicesIn,
    v1: indicesIn,
    v2: indicesIn,
    v3: indicesIn,
    v4: indicesIn,
    v5: indicesIn,
    batch: indicesIn,
  }).optional().openapi({
    description: "Restrict to cells with one of these indices (from 0) on each of these axes of the task",
    example: { v0: [1, 4], v2: [0] },
  }),
};
const retryIn = z.strictObject({
  ...selection,
  cause: textSchema(500).optional().openapi({
    description: "Restrict to causes that contain this text, case-insensitive",
  }),
  since: timeIn.optional().openapi({ description: "Restrict to cells that failed at or after this time" }),
}).openapi("RetryIn");
const postRetry = defineRoute(action("retry", "Retry failed cells: all, or those that match the filter", {
  request: { params: taskParams, body: jsonBody(retryIn) },
  responses: {
    200: jsonResponse(
      z.object({ ...state, cells: z.int() }).openapi("Retried"),
      "Number of cells; 0 for a repeated call",
    ),
  },
}));

const pruneIn = z.strictObject(selection).refine(
  ({ cells, where }) => cells !== undefined || where !== undefined && Object.keys(where).length > 0,
  { message: "cells, or where with an axis" },
).openapi("PruneIn", {
  anyOf: [{ required: ["cells"] }, { required: ["where"], properties: { where: { minProperties: 1 } } }],
});
const postPrune = defineRoute(
  action("prune", "Cancel pending cells of the selection. Other cells are unaffected", {
    request: { params: taskParams, body: jsonBody(pruneIn) },
    responses: {
      200: jsonResponse(
        z.object({ ...state, cells: z.int() }).openapi("Pruned"),
        "Number of cells; 0 for a repeated call",
      ),
    },
  }),
);

const postRerun = defineRoute({
  method: "post",
  changesDocuments: true,
  path: "/tasks/{id}/cells/{cell}/rerun",
  access: "owner",
  tags: ["control"],
  summary: "Draw a cell again. Its image and feedback remain in its history",
  request: { params: cellParams },
  responses: {
    200: jsonResponse(
      z.object({ cell: z.int(), status: z.literal("pending") }).openapi("Rerun"),
      "The cell is pending",
    ),
  },
  problems: ["conflict"],
});

/** Checks access and returns the request for a move. @throws AppError not_found, forbidden */
async function getMoveRequest(c: Context<V2Env>, id: string): Promise<MoveRequest> {
  requireMayChange(await getReadableTask(c, id));
  return { taskId: id, userId: isAdmin(c.var.principal) ? operator : c.var.principal.id };
}

/**
 * Returns the result of a move.
 *
 * @throws AppError not_found, forbidden if the task was deleted or changed its owner meanwhile
 */
function throwIfRefused<T>(id: string, result: T): Exclude<T, "not_found" | "forbidden"> {
  if (result === "not_found") throw taskNotFound(id);
  if (result === "forbidden") throw notTaskOwner(id);
  return result as Exclude<T, "not_found" | "forbidden">;
}

/** Reads the task after a move. @throws AppError not_found */
async function getTaskItem(c: Context<V2Env>, id: string): Promise<TaskItem> {
  const row = await findTaskItem(c.var.deps.sql, id);
  if (!row) throw taskNotFound(id);
  return row;
}

const stateOf = ({ status, hold }: TaskItem) => ({ status, hold });

/** Indices by axis. */
type Where = Record<string, number[] | undefined>;

/** Lists the cells at the given indices. @throws AppError invalid_request for an unknown axis or index */
function listCellsAt(matrix: Matrix, where: Where): number[] {
  const levels = matrix.lengths.map((length) => [...Array(length).keys()]);
  for (const [axis, indices] of Object.entries(dropUndefined(where))) {
    const position = matrix.axes.indexOf(axis);
    const field = `body.where.${axis.slice(0, 50)}`;
    if (position < 0) throw invalidFields([{ field, wanted: wantedAxis(matrix.axes) }]);
    const length = matrix.lengths[position]!;
    const wrong = indices.find((index) => index >= length);
    if (wrong !== undefined) throw invalidField(field, wrong, wantedIndex(length));
    levels[position] = [...new Set(indices)];
  }
  let combinations: number[][] = [[]];
  for (const indices of levels) {
    combinations = combinations.flatMap((known) => indices.map((index) => [...known, index]));
  }
  return combinations.map((indices) => matrix.cellAt(indices));
}

/** Returns the cells that a body selects; undefined if it selects none in particular. */
async function selectCells(
  c: Context<V2Env>,
  id: string,
  { cells, where }: { cells?: number[] | undefined; where?: Where | undefined },
): Promise<number[] | undefined> {
  if (where === undefined || Object.keys(where).length === 0) return cells;
  const matrix = createMatrix(await readShape(c.var.deps.sql, id));
  if (!matrix) {
    throw new AppError("conflict", `choosing cells by axis: those of task '${id}' do not fill its axes`);
  }
  const found = listCellsAt(matrix, where);
  if (cells === undefined) return found;
  const selected = new Set(cells);
  return found.filter((cell) => selected.has(cell));
}

const invalidState = (action: string, id: string, { status }: TaskItem) =>
  new AppError("conflict", `${action} task '${id}': it is ${status}`);

/** Adds the routes that change the whole task. */
function addTaskMoves(app: V2App): void {
  app.openapi(postCancel, async (c) => {
    const { id } = c.req.valid("param");
    const result = throwIfRefused(id, await cancelAndCountRunning(c.var.deps, await getMoveRequest(c, id)));
    const row = await getTaskItem(c, id);
    const { subtasks_total: total, subtasks_completed: completed, subtasks_failed: failed } = row;
    const cancelled = row.status === "cancelled" ? total - completed - failed : row.subtasks_cancelled;
    const finishing = result === "already_ended" ? 0 : result.running;
    return c.json({ ...stateOf(row), cancelled, finishing }, 200);
  });
  app.openapi(postPause, async (c) => {
    const { id } = c.req.valid("param");
    const result = throwIfRefused(id, await pauseTask(c.var.deps, await getMoveRequest(c, id)));
    const row = await getTaskItem(c, id);
    if (result === "already_ended") throw invalidState("pausing", id, row);
    return c.json({ ...stateOf(row), changed: result === "paused" }, 200);
  });
  app.openapi(postResume, async (c) => {
    const { id } = c.req.valid("param");
    const result = throwIfRefused(id, await resumeTask(c.var.deps, await getMoveRequest(c, id)));
    const row = await getTaskItem(c, id);
    if (result === "already_ended") throw invalidState("resuming", id, row);
    return c.json({ ...stateOf(row), changed: result === "resumed" }, 200);
  });
}

/** Adds the control routes. */
export function addControl(app: V2App): void {
  addTaskMoves(app);
  app.openapi(postRetry, async (c) => {
    const { id } = c.req.valid("param");
    const request = await getMoveRequest(c, id);
    const { cause, since, ...body } = c.req.valid("json");
    const cells = await selectCells(c, id, body);
    const filter = {
      ...(cause === undefined ? {} : { cause }),
      ...(since === undefined ? {} : { since: new Date(since) }),
      ...(cells === undefined ? {} : { cells }),
    };
    const result = throwIfRefused(id, await retryFailed(c.var.deps, { ...request, ...filter }));
    const row = await getTaskItem(c, id);
    if (result === "cancelled") throw invalidState("retrying", id, row);
    return c.json({ ...stateOf(row), cells: result.cells }, 200);
  });
  app.openapi(postPrune, async (c) => {
    const { id } = c.req.valid("param");
    const request = await getMoveRequest(c, id);
    const cells = await selectCells(c, id, c.req.valid("json")) ?? [];
    const result = throwIfRefused(id, await pruneTask(c.var.deps, { ...request, cells }));
    return c.json(
      { ...stateOf(await getTaskItem(c, id)), cells: result === "already_ended" ? 0 : result.cells },
      200,
    );
  });
  app.openapi(postRerun, async (c) => {
    const { id, cell: text } = c.req.valid("param");
    const request = await getMoveRequest(c, id);
    const cell = parseCellNumber(text);
    const result = throwIfRefused(id, await rerunCell(c.var.deps, { ...request, cell }));
    if (result === "no_such_cell") throw cellNotFound(cell);
    if (result === "running") throw new AppError("conflict", `drawing cell ${cell} again: it is being drawn`);
    if (result === "cancelled") {
      throw new AppError("conflict", `drawing cell ${cell} again: it was cancelled`);
    }
    return c.json({ cell, status: "pending" as const }, 200);
  });
}
