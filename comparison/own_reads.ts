/**
 * What the old backend changes when it reads a task. If all subtasks have completed or failed, it stores the task as
 * completed, with a new time. The first answer still has the earlier time. Lists show more images and progress for a
 * completed task than for a failed one.
 */
import { type Json, JsonNumber, type JsonObject } from "../json.ts";
import type { Difference } from "./compare.ts";
import { type Exchange, fieldOf, isOn, queryOf } from "./exchange.ts";
import { valueAt } from "./answer.ts";

/** The fields that a read changes in a list. */
const listFields = ["status", "updated_at", "processed_images", "progress"];
/** The fields that a read changes in the task itself, whose counts come from the subtasks. */
const detailFields = ["status", "updated_at"];

/** The values of these fields at one time. */
export type TaskState = ReadonlyMap<string, Json>;

/** The state of a task before and after the old backend read it. */
export interface OwnChange {
  before: TaskState;
  after: TaskState;
}

/** Returns the state of a task in an answer. */
export const stateOf = (task: JsonObject): TaskState =>
  new Map(listFields.map((field) => [field, task.get(field) ?? null]));

/** Reports whether two JSON scalars are equal. */
const isEqual = (one: Json | undefined, other: Json | undefined): boolean =>
  one instanceof JsonNumber && other instanceof JsonNumber ? one.text === other.text : one === other;

/**
 * Reports whether a task changed as the old backend's reads change it: it became completed, or it was completed and got
 * a later time.
 */
export function isOwnChange({ before, after }: OwnChange): boolean {
  const isLater = String(after.get("updated_at")) > String(before.get("updated_at"));
  return after.get("status") === "completed" && (before.get("status") !== "completed" || isLater);
}

/** Reports whether every subtask of a task has completed or failed. Then the old backend's reads complete the task. */
export function hasEnded(task: Json | undefined): boolean {
  const subtasks = fieldOf(task, "dramatiq_tasks");
  return Array.isArray(subtasks) && subtasks.length > 0 &&
    subtasks.every((one) => ["completed", "failed"].includes(String(fieldOf(one, "status"))));
}

/** Reports whether a read can change a field in the answer. */
const isChangeable = (field: string, exchange: Exchange): boolean =>
  (isOn(exchange, "GET /api/v1/tasks") ? listFields : detailFields).includes(field);

/** Returns a task's object in both answers and the field that a path names, if the path names a field of a task. */
export function taskAt(
  path: string,
  exchange: Exchange,
): { field: string; old: Json | undefined; new: Json | undefined } | undefined {
  const at = isOn(exchange, "GET /api/v1/tasks/{id}")
    ? "/data"
    : isOn(exchange, "GET /api/v1/tasks")
    ? /^\/data\/tasks\/\d+/.exec(path)?.[0]
    : undefined;
  if (at === undefined || !path.startsWith(`${at}/`)) return undefined;
  const field = path.slice(at.length + 1);
  return { field, old: valueAt(exchange.old, at), new: valueAt(exchange.new, at) };
}

/**
 * Reports whether the old backend's own read explains a difference in a field of a task: the new backend shows what
 * the old one showed before the read.
 */
export function isExplainedByRead(
  { path }: Difference,
  exchange: Exchange,
  changes: ReadonlyMap<string, OwnChange>,
): boolean {
  const task = taskAt(path, exchange);
  const id = fieldOf(task?.new, "id");
  const change = typeof id === "string" && fieldOf(task?.old, "id") === id ? changes.get(id) : undefined;
  return change !== undefined && isChangeable(task!.field, exchange) &&
    isEqual(change.before.get(task!.field), fieldOf(task!.new, task!.field));
}

/** Returns the status filter of a list request. */
export const statusFilter = (exchange: Exchange): string[] | undefined =>
  isOn(exchange, "GET /api/v1/tasks") ? queryOf(exchange.step, "status")?.split(",") : undefined;

/**
 * Reports whether a difference of two filtered lists is a shift: at most `movedMax` tasks are in one list and not in
 * the other, so that later tasks have other positions. A task at the same position in both lists is not shifted.
 */
export function isShift({ kind, path }: Difference, exchange: Exchange, movedMax: number): boolean {
  if (movedMax === 0) return false;
  const both = [exchange.old, exchange.new];
  const isNear = ([one, other]: number[]) => Math.abs(one! - other!) <= movedMax;
  if (path === "/data/total") {
    const totals = both.map((answer) => valueAt(answer, path));
    return isNear(totals.map((total) => total instanceof JsonNumber ? total.value : NaN));
  }
  if (path === "/data/tasks" && kind === "length") {
    const lists = both.map((answer) => valueAt(answer, path));
    return isNear(lists.map((list) => Array.isArray(list) ? list.length : NaN));
  }
  const task = taskAt(path, exchange);
  return task !== undefined && fieldOf(task.old, "id") !== fieldOf(task.new, "id");
}

/**
 * Returns the ids of the tasks whose state must be known to explain a difference: the task's own id, or `any` for
 * the length of a list that is filtered by status.
 */
export function suspectsOf({ kind, path }: Difference, exchange: Exchange): string[] | "any" {
  if (kind === "status" || kind === "header") return [];
  if (statusFilter(exchange) && /^\/data\/t/.test(path)) return "any";
  const task = taskAt(path, exchange);
  const id = fieldOf(task?.old, "id");
  return typeof id === "string" && isChangeable(task!.field, exchange) ? [id] : [];
}
