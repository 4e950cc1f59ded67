/** What the owner of a task, or an operator, may do to it beside cancelling: each move is safe to ask for twice. */
import { isUuidOfAnyCase } from "../../uuid.ts";
import type { Pool } from "../../db/pg/connect.ts";
import {
  type CellName,
  type FailedFilter,
  type Hold,
  type Owner,
  pauseTaskRow,
  type Refusal,
  rerunCellRow,
  resumeTaskRow,
  retryFailedRows,
} from "../../db/queue/control.ts";
import { type Extended, extendTaskRow, findExtensible, judgeTask } from "../../db/queue/extend.ts";
import { type Pruned, pruneRows } from "../../db/queue/prune.ts";
import type { Log } from "../../log.ts";
import { planExtension, type Wanted } from "./extend.ts";

/** Stands where a user's id stands, for who runs the installation: all tasks are open to it. */
export const operator = Symbol("operator");

/** Whose wish it is; `taskId` any text: what is no UUID is not found. */
export interface Wish {
  taskId: string;
  userId: string | typeof operator;
}

export interface ControlDeps {
  sql: Pool;
  log: Log;
}

function placeOf({ taskId, userId }: Wish): { id: string; owner: Owner } | Refusal {
  if (!isUuidOfAnyCase(taskId)) return "not_found";
  if (userId === operator) return { id: taskId, owner: null };
  return isUuidOfAnyCase(userId) ? { id: taskId, owner: userId } : "forbidden";
}

const byWhom = ({ userId }: Wish): string => userId === operator ? "an operator" : "its owner";

/** Nothing new of the task starts after this returns; what is under way goes on to its end. */
export async function pauseTask(
  { sql, log }: ControlDeps,
  wish: Wish,
): Promise<"paused" | "already_paused" | "already_ended" | Refusal> {
  const place = placeOf(wish);
  if (typeof place === "string") return place;
  const answer = await pauseTaskRow(sql, place, `paused by ${byWhom(wish)}`);
  if (answer === "paused") log.info("task paused", { task_id: place.id, by: byWhom(wish) });
  return answer;
}

/** Lets a task go on that was paused, held by the canary, or brought over. */
export async function resumeTask(
  { sql, log }: ControlDeps,
  wish: Wish,
): Promise<"resumed" | "not_paused" | "already_ended" | Refusal> {
  const place = placeOf(wish);
  if (typeof place === "string") return place;
  const answer = await resumeTaskRow(sql, place);
  if (answer === "resumed") log.info("task resumed", { task_id: place.id, by: byWhom(wish) });
  return answer;
}

/** How many cells will be drawn again; 0 where none had failed, as after a first call. */
export interface Retried {
  cells: number;
  /** What keeps the task from being dispatched all the same; null where nothing does. */
  hold: Hold | null;
}

/**
 * Draws the failed cells of a task again, of an ended task too: it opens, and ends and is told of once more.
 *
 * @param wish.cause only those whose cause contains this text, in any case
 * @param wish.since only those that failed at this moment or later
 * @param wish.cells only those, by their places
 */
export async function retryFailed(
  { sql, log }: ControlDeps,
  wish: Wish & FailedFilter,
): Promise<Retried | "cancelled" | Refusal> {
  const place = placeOf(wish);
  if (typeof place === "string") return place;
  // A text that the database cannot take is in no cause.
  if (wish.cause?.includes("\0")) return { cells: 0, hold: null };
  const answer = await retryFailedRows(sql, place, wish);
  if (typeof answer !== "string" && answer.cells > 0) {
    log.info("failed cells are drawn again", {
      task_id: place.id,
      cells: answer.cells,
      by: byWhom(wish),
      hold: answer.hold,
    });
  }
  return answer;
}

/** Gives up cells of an open task that are still to be drawn; the others of them stay as they are. */
export async function pruneTask(
  { sql, log }: ControlDeps,
  wish: Wish & { cells: number[] },
): Promise<Pruned | "already_ended" | Refusal> {
  const place = placeOf(wish);
  if (typeof place === "string") return place;
  const answer = await pruneRows(sql, place, wish.cells);
  if (typeof answer !== "string" && answer.cells > 0) {
    log.info("cells are given up", { task_id: place.id, cells: answer.cells, by: byWhom(wish) });
  }
  return answer;
}

/**
 * Draws one cell again, whether it failed or has an image; that image stays in its history.
 *
 * @param wish.cell place in the matrix from 0, or the subtask's id
 */
export async function rerunCell(
  { sql, log }: ControlDeps,
  wish: Wish & { cell: CellName },
): Promise<"rerun" | "running" | "already_pending" | "cancelled" | "no_such_cell" | Refusal> {
  const place = placeOf(wish);
  if (typeof place === "string") return place;
  const { cell } = wish;
  const cellMax = 2_147_483_647;
  const isName = typeof cell === "string"
    ? isUuidOfAnyCase(cell)
    : Number.isInteger(cell) && cell >= 0 && cell <= cellMax;
  if (!isName) return "no_such_cell";
  const answer = await rerunCellRow(sql, place, cell);
  if (answer === "rerun") log.info("cell is drawn again", { task_id: place.id, cell, by: byWhom(wish) });
  return answer;
}

/** How often an extension is planned anew because another came first. */
const plansMax = 10;

/**
 * Gives an axis of a task further values and draws their cells, of an ended task too: it opens, and ends and is told of
 * once more. Values that it has already are left out: `cells` is 0 where nothing is new.
 *
 * @param wish.slot 0 to 5, of `v0` to `v5`; the variable must have values
 * @throws AppError invalid_request where the task would have over 50,000 cells
 */
export async function extendAxis(
  { sql, log }: ControlDeps,
  wish: Wish & Wanted,
): Promise<Extended | { cells: 0 } | "no_such_axis" | "cancelled" | "changed" | Refusal> {
  const place = placeOf(wish);
  if (typeof place === "string") return place;
  for (let plans = 0; plans < plansMax; plans++) {
    const refusal = await judgeTask(sql, place);
    if (refusal !== undefined) return refusal;
    const task = await findExtensible(sql, place.id);
    if (!task) return "not_found";
    const plan = planExtension(task, wish);
    if (plan === "nothing_new") return { cells: 0 };
    if (typeof plan === "string") return plan;
    const answer = await extendTaskRow(sql, place, plan);
    if (answer === "changed") continue;
    if (typeof answer !== "string") {
      log.info("an axis has more values", {
        task_id: place.id,
        axis: `v${wish.slot}`,
        cells: answer.cells,
        hold: answer.hold,
        by: byWhom(wish),
      });
    }
    return answer;
  }
  return "changed";
}
