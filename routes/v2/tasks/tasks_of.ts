/** The task and the cell that a path names, and what whoever asks may see of others there. */
import type { Context } from "hono";
import { findOpenTask, type OpenTask } from "../../../db/views/tasks.ts";
import { AppError } from "../../../errors.ts";
import { isAdmin } from "../kit/principal.ts";
import type { Principal, V2Env } from "../kit/context.ts";

export interface TaskOf extends OpenTask {
  /** Its submitter or an admin asks. */
  mayChange: boolean;
  /** Ratings of others are hidden until whoever asks has rated the image. */
  hidesOthers: boolean;
}

/** What somebody may do with a task, and whether others' ratings are hidden from them. */
export function readRights(
  principal: Principal,
  { owned, blind }: Pick<OpenTask, "owned" | "blind">,
): Pick<TaskOf, "mayChange" | "hidesOthers"> {
  const mayChange = owned || isAdmin(principal);
  return {
    mayChange,
    hidesOthers: principal.kind === "share" ? principal.blind || blind : blind && !mayChange,
  };
}

/** @throws AppError not_found */
export async function getTaskOf(c: Context<V2Env>, id: string): Promise<TaskOf> {
  const { deps: { sql }, principal } = c.var;
  const task = await findOpenTask(sql, id, principal.kind === "user" ? principal.email : null);
  if (!task) throw noTask(id);
  return { ...task, ...readRights(principal, task) };
}

export const noTask = (id: string): AppError => new AppError("not_found", `no task '${id.slice(0, 100)}'`);

export const noCell = (cell: string | number): AppError =>
  new AppError("not_found", `no cell '${String(cell).slice(0, 100)}' in this task`);

/** @throws AppError not_found for what is no place */
export function readCell(text: string): number {
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(text)) throw noCell(text);
  return Number(text);
}

/** @throws AppError forbidden where neither its submitter nor an admin asks */
export function requireChange({ mayChange, id }: TaskOf): void {
  if (!mayChange) throw new AppError("forbidden", `changing task '${id}': it is somebody else's`);
}
