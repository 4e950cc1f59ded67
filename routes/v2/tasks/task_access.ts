/** Access to the task and the cell in a path: lookup, permissions of the principal, and errors. */
import { cellNumberPattern } from "../kit/route.ts";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { cellNumberMax } from "../../../db/queue/task_fields.ts";
import type { Viewer } from "../../../db/judging/ratings.ts";
import { findOpenTask, type OpenTask } from "../../../db/views/tasks.ts";
import { AppError } from "../../../errors.ts";
import { isAdmin } from "../kit/principal.ts";
import type { Principal, V2Env } from "../kit/context.ts";

/** A task that the principal may read. */
export interface ReadableTask extends OpenTask {
  /** Whether the principal is the owner or an admin. */
  mayChange: boolean;
  /** Whether others' ratings of an image are hidden until the principal has rated it. */
  hidesOthers: boolean;
}

/** Returns whether a principal may change a task, and whether others' ratings are hidden from them. */
export function accessOf(
  principal: Principal,
  { owned, blind }: Pick<OpenTask, "owned" | "blind">,
): Pick<ReadableTask, "mayChange" | "hidesOthers"> {
  const mayChange = owned || isAdmin(principal);
  return {
    mayChange,
    hidesOthers: principal.kind === "share" ? principal.blind || blind : blind && !mayChange,
  };
}

/** Returns a task that the principal may read. @throws AppError not_found */
export async function getReadableTask(c: Context<V2Env>, id: string): Promise<ReadableTask> {
  const { deps: { sql }, principal } = c.var;
  const task = await findOpenTask(sql, id, principal.kind === "user" ? principal.email : null);
  if (!task) throw taskNotFound(id);
  return { ...task, ...accessOf(principal, task) };
}

/** A number of a cell, also of a migrated task, which can be larger than a new one. */
export const anyCellNumber = z.int().min(0).max(cellNumberMax);

/** Largest index of a level: an axis has no more levels than its task can have cells. */
export const levelIndexMax = cellNumberMax;

export const taskNotFound = (id: string): AppError =>
  new AppError("not_found", `no task '${id.slice(0, 100)}'`);

export const cellNotFound = (cell: string | number): AppError =>
  new AppError("not_found", `no cell '${String(cell).slice(0, 100)}' in this task`);

/** Returns the error for a user who may not change a task. */
export const notTaskOwner = (id: string, action = "changing"): AppError =>
  new AppError("forbidden", `${action} task '${id}': it is somebody else's`);

/** Parses a cell number in a path. @throws AppError not_found */
export function parseCellNumber(text: string): number {
  if (!cellNumberPattern.test(text)) throw cellNotFound(text);
  return Number(text);
}

/** Returns the principal as a viewer of the task's ratings. */
export const viewerOf = (c: Context<V2Env>, { hidesOthers }: Pick<ReadableTask, "hidesOthers">): Viewer => ({
  id: c.var.principal.id,
  hidesOthers,
});

/** Requires that the principal is the owner or an admin. @throws AppError forbidden */
export function requireMayChange({ mayChange, id }: ReadableTask): void {
  if (!mayChange) throw notTaskOwner(id);
}
