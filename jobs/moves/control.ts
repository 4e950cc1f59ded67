/**
 * Changes that the owner of a task or an operator can make besides cancelling. Every call is safe to repeat.
 */
import { isUuidOfAnyCase } from "../../uuid.ts";
import type { Pool } from "../../db/pg/connect.ts";
import type { Refusal, TaskRef } from "../../db/people/task_access.ts";
import {
  type CellRef,
  type FailedFilter,
  pauseTaskRow,
  rerunCellRow,
  resumeTaskRow,
  retryFailedRows,
  type RetryResult,
} from "../../db/queue/control.ts";
import {
  extendTaskRow,
  type ExtensionResult,
  findExtensible,
  findExtensionRefusal,
} from "../../db/queue/extend.ts";
import { type PruneResult, pruneRows } from "../../db/queue/prune.ts";
import type { Log } from "../../log.ts";
import { type AxisExtension, planExtension } from "./extend.ts";

/** Replaces the id of a user for an operator of the installation, who may change every task. */
export const operator = Symbol("operator");

/** The task to change, and the requester. */
export interface MoveRequest {
  /** Any text. A text that is not a UUID names no task. */
  taskId: string;
  userId: string | typeof operator;
}

export interface ControlDeps {
  sql: Pool;
  log: Log;
}

/** Returns the task reference of a request. */
export const taskRefOf = ({ taskId, userId }: MoveRequest): TaskRef => ({
  id: taskId,
  actor: userId === operator ? null : { userId },
});

const requesterOf = ({ userId }: MoveRequest): string => userId === operator ? "an operator" : "its owner";

/** Pauses a task. When the call returns, none of its cells starts any more; running cells finish. */
export async function pauseTask(
  { sql, log }: ControlDeps,
  request: MoveRequest,
): Promise<"paused" | "already_paused" | "already_ended" | Refusal> {
  const by = requesterOf(request);
  const answer = await pauseTaskRow(sql, taskRefOf(request), `paused by ${by}`);
  if (answer === "paused") log.info("task paused", { task_id: request.taskId, by });
  return answer;
}

/** Resumes a task that was paused, held by the canary, or migrated. */
export async function resumeTask(
  { sql, log }: ControlDeps,
  request: MoveRequest,
): Promise<"resumed" | "not_paused" | "already_ended" | Refusal> {
  const answer = await resumeTaskRow(sql, taskRefOf(request));
  if (answer === "resumed") log.info("task resumed", { task_id: request.taskId, by: requesterOf(request) });
  return answer;
}

/**
 * Draws failed cells of a task again. An ended task reopens, ends again and sends its notices again.
 *
 * @param request.cause selects cells whose cause contains this text, in any case
 * @param request.since selects cells that failed at this time or later
 * @param request.cells selects cells by their numbers
 */
export async function retryFailed(
  { sql, log }: ControlDeps,
  request: MoveRequest & FailedFilter,
): Promise<RetryResult | "cancelled" | Refusal> {
  if (!isUuidOfAnyCase(request.taskId)) return "not_found";
  // PostgreSQL stores no NUL, so no cause contains one.
  if (request.cause?.includes("\0")) return { cells: 0, hold: null };
  const answer = await retryFailedRows(sql, taskRefOf(request), request);
  if (typeof answer !== "string" && answer.cells > 0) {
    log.info("failed cells retried", {
      task_id: request.taskId,
      cells: answer.cells,
      by: requesterOf(request),
      hold: answer.hold,
    });
  }
  return answer;
}

/** Cancels the pending ones of the given cells of an open task; running and ended cells stay as they are. */
export async function pruneTask(
  { sql, log }: ControlDeps,
  request: MoveRequest & { cells: number[] },
): Promise<PruneResult | "already_ended" | Refusal> {
  const answer = await pruneRows(sql, taskRefOf(request), request.cells);
  if (typeof answer !== "string" && answer.cells > 0) {
    log.info("cells pruned", { task_id: request.taskId, cells: answer.cells, by: requesterOf(request) });
  }
  return answer;
}

/** Largest number that the column `cell` holds. */
const cellMax = 2_147_483_647;

const isCellRef = (cell: CellRef): boolean =>
  typeof cell === "string" ? isUuidOfAnyCase(cell) : Number.isInteger(cell) && cell >= 0 && cell <= cellMax;

/**
 * Draws one cell again, whether it failed or has an image. The image stays in the cell's history.
 *
 * @param request.cell number of the cell, or id of its subtask
 */
export async function rerunCell(
  { sql, log }: ControlDeps,
  request: MoveRequest & { cell: CellRef },
): Promise<"rerun" | "running" | "already_pending" | "cancelled" | "no_such_cell" | Refusal> {
  const { taskId, cell } = request;
  if (!isUuidOfAnyCase(taskId)) return "not_found";
  if (!isCellRef(cell)) return "no_such_cell";
  const answer = await rerunCellRow(sql, taskRefOf(request), cell);
  if (answer === "rerun") log.info("cell rerun", { task_id: taskId, cell, by: requesterOf(request) });
  return answer;
}

/** Maximum number of times that an extension is planned again because another one committed first. */
const plansMax = 10;

/**
 * Adds levels to an axis and draws their cells. An ended task reopens, ends again and sends its notices
 * again. Levels that exist already are left out; `cells` is 0 if none is new.
 *
 * @param request.slot 0 to 5, for `v0` to `v5`; the variable must have values
 * @throws AppError invalid_request if the task would have more than `cellsMax` cells
 */
export async function extendAxis(
  { sql, log }: ControlDeps,
  request: MoveRequest & AxisExtension,
): Promise<ExtensionResult | { cells: 0 } | "no_such_axis" | "cancelled" | "changed" | Refusal> {
  const ref = taskRefOf(request);
  for (let plans = 0; plans < plansMax; plans++) {
    const refusal = await findExtensionRefusal(sql, ref);
    if (refusal !== undefined) return refusal;
    const task = await findExtensible(sql, ref.id);
    if (!task) return "not_found";
    const plan = planExtension(task, request);
    if (plan === "nothing_new") return { cells: 0 };
    if (typeof plan === "string") return plan;
    const answer = await extendTaskRow(sql, ref, plan);
    if (answer === "changed") continue;
    if (typeof answer !== "string") {
      log.info("axis extended", {
        task_id: ref.id,
        axis: `v${request.slot}`,
        cells: answer.cells,
        hold: answer.hold,
        by: requesterOf(request),
      });
    }
    return answer;
  }
  return "changed";
}
