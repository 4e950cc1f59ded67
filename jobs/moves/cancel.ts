/** Ending a task before its time, and hiding it: the row decides, workers hear of it. */
import { isUuidOfAnyCase } from "../../uuid.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { cancelTaskRow, deleteTaskRow, findTask, type TaskRow } from "../../db/queue/tasks.ts";
import { hasEmail } from "../../db/people/users.ts";
import type { Log } from "../../log.ts";
import { operator } from "./control.ts";

/** `taskId` any text: what is no UUID is not found. */
type Asker = { taskId: string; userId: string | typeof operator };

async function findOwned(
  sql: Pool,
  { taskId, userId }: Asker,
): Promise<TaskRow | "not_found" | "forbidden"> {
  const task = isUuidOfAnyCase(taskId) ? await findTask(sql, taskId) : undefined;
  if (!task) return "not_found";
  // A task is its submitter's by e-mail, as it always was: also one that came over before its user did.
  return userId === operator || await hasEmail(sql, userId, task.username) ? task : "forbidden";
}

/**
 * Cancels a task of this user: pending cells never start after this returns, those under way are dropped.
 *
 * @returns how many cells were under way
 */
export async function stopTask(
  { sql, log }: { sql: Pool; log: Log },
  asker: Asker,
): Promise<{ running: number } | "already_ended" | "not_found" | "forbidden"> {
  const task = await findOwned(sql, asker);
  if (typeof task === "string") return task;
  const running = await cancelTaskRow(sql, task.id);
  if (running === undefined) return "already_ended";
  log.info("task cancelled", { task_id: task.id });
  return { running };
}

/** The same, for who need not know what was under way. */
export async function cancelTask(
  deps: { sql: Pool; log: Log },
  asker: Asker,
): Promise<"cancelled" | "already_ended" | "not_found" | "forbidden"> {
  const outcome = await stopTask(deps, asker);
  return typeof outcome === "string" ? outcome : "cancelled";
}

/** Hides a task of this user, and cancels what of it was still to be drawn. */
export async function deleteTask(
  { sql, log }: { sql: Pool; log: Log },
  asker: Asker,
): Promise<"deleted" | "not_found" | "forbidden"> {
  const task = await findOwned(sql, asker);
  if (typeof task === "string") return task;
  await cancelTaskRow(sql, task.id);
  await deleteTaskRow(sql, task.id);
  log.info("task deleted", { task_id: task.id });
  return "deleted";
}
