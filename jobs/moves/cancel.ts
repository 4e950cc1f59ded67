/** Cancels and deletes tasks: the row decides, workers are notified. */
import type { Pool } from "../../db/pg/connect.ts";
import { findChangeableTask, type Refusal } from "../../db/people/task_access.ts";
import { cancelTaskRow, deleteTaskRow } from "../../db/queue/tasks.ts";
import type { Log } from "../../log.ts";
import { type MoveRequest, taskRefOf } from "./control.ts";

/**
 * Cancels a task. When the call returns, no pending cell can start any more and running cells are dropped.
 *
 * @returns the number of cells that were running
 */
export async function cancelAndCountRunning(
  { sql, log }: { sql: Pool; log: Log },
  request: MoveRequest,
): Promise<{ running: number } | "already_ended" | Refusal> {
  const task = await findChangeableTask(sql, taskRefOf(request), { includeDeleted: true });
  if (typeof task === "string") return task;
  const running = await cancelTaskRow(sql, task.id);
  if (running === undefined) return "already_ended";
  log.info("task cancelled", { task_id: task.id });
  return { running };
}

/** Cancels a task as {@link cancelAndCountRunning} does, without the number of running cells. */
export async function cancelTask(
  deps: { sql: Pool; log: Log },
  request: MoveRequest,
): Promise<"cancelled" | "already_ended" | Refusal> {
  const outcome = await cancelAndCountRunning(deps, request);
  return typeof outcome === "string" ? outcome : "cancelled";
}

/** Hides a task and cancels its open cells. */
export async function deleteTask(
  { sql, log }: { sql: Pool; log: Log },
  request: MoveRequest,
): Promise<"deleted" | Refusal> {
  const task = await findChangeableTask(sql, taskRefOf(request), { includeDeleted: true });
  if (typeof task === "string") return task;
  await cancelTaskRow(sql, task.id);
  await deleteTaskRow(sql, task.id);
  log.info("task deleted", { task_id: task.id });
  return "deleted";
}
