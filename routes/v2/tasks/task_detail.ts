/** Response schemas of a task: as an item of a list, and in detail with its progress. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  listFailureCauses,
  type Progress,
  readProgress,
  readShape,
  type TaskInputRow,
} from "../../../db/views/task_detail.ts";
import type { TaskItem } from "../../../db/views/task_list.ts";
import { axisRoles, seedPolicies, taskStatuses } from "../../../db/queue/task_fields.ts";
import { int, type Json, JsonNumber, type JsonObject, parseJson } from "../../../json.ts";
import type { V2Env } from "../kit/context.ts";
import { batchAxis, createMatrix } from "./matrix.ts";
import { time } from "../kit/route.ts";

const hold = z.enum(["import", "pause", "canary"]);
const itemFields = {
  id: z.uuid(),
  old_id: z.string().nullable().openapi({
    description: "Id of a migrated task in the old backend, which v1 shows; null if it is the same",
  }),
  name: z.string(),
  owner: z.string().nullable().openapi({
    description: "E-mail address of the owner; null for requests with a share",
  }),
  mine: z.boolean(),
  status: z.enum(taskStatuses),
  hold: hold.nullable().openapi({ description: "Why its cells are not drawn now" }),
  hold_reason: z.string().nullable(),
  error: z.string().nullable(),
  priority: z.int(),
  blind: z.boolean(),
  seed_policy: z.enum(seedPolicies),
  revision: z.int().openapi({ description: "Increases with each change" }),
  created_at: time,
  updated_at: time,
  started_at: time.nullable(),
  completed_at: time.nullable(),
};
const counts = {
  total: z.int(),
  open: z.int().openapi({ description: "Pending or processing" }),
  completed: z.int(),
  failed: z.int(),
  cancelled: z.int(),
};
export const taskOut = z.object({ ...itemFields, cells: z.object(counts) }).openapi("Task");

export const detailOut = z.object({
  ...itemFields,
  cells: z.object({ ...counts, pending: z.int(), processing: z.int() }),
  rate: z.object({
    cells: z.int().openapi({ description: "Cells that ended within the window" }),
    window_seconds: z.number(),
    per_minute: z.number(),
  }).nullable().openapi({ description: "Null for a task that has not started or has ended" }),
  eta: z.object({ seconds_low: z.int(), seconds_high: z.int().nullable() }).nullable()
    .openapi({
      description:
        "Time until the last cell ends at the current rate; null without a rate and while the task is held",
    }),
  errors: z.array(z.object({ cause: z.string(), cells: z.int() }))
    .openapi({ description: "Failed cells by cause, most frequent first, at most 50 causes" }),
  axes: z.array(z.object({
    axis: z.string().openapi({ example: "v0", description: "`v0` to `v5`, or `batch` for repeats" }),
    name: z.string(),
    types: z.array(z.string()).openapi({ description: "Types of the tags that use the variable" }),
    role: z.enum(axisRoles).nullable(),
    length: z.int(),
    values: z.array(z.unknown()).nullable().openapi({ description: "Values as given; null for `batch`" }),
  })).openapi({ description: "Slowest first" }),
  blocks: z.array(z.object({
    first: z.int().openapi({ description: "Number of the first cell" }),
    from: z.array(z.int()).openapi({ description: "First index on each of `axes`" }),
    lengths: z.array(z.int()),
  })).nullable().openapi({
    description:
      "Boxes of the matrix, each with its cells in row-major order: one, and one more for each extension of " +
      "an axis. Null if cells do not fill the axes",
  }),
}).openapi("TaskDetail");

/** Converts a row to the response. @param email e-mail address of the principal; null for a share */
export function toTaskSummary(row: TaskItem, email: string | null): z.infer<typeof taskOut> {
  const { subtasks_total: total, subtasks_completed: completed } = row;
  const { subtasks_failed: failed, subtasks_cancelled: cancelled } = row;
  const iso = (at: Date | null) => at?.toISOString() ?? null;
  const { id, old_id, status, hold, hold_reason, error, priority, blind, seed_policy } = row;
  return {
    id,
    old_id,
    name: row.task_name,
    owner: email === null ? null : row.username,
    mine: row.username === email,
    status,
    hold,
    hold_reason,
    error,
    priority,
    blind,
    seed_policy,
    revision: Number(row.revision),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    started_at: iso(row.started_at),
    completed_at: iso(row.completed_at),
    cells: { total, open: total - completed - failed - cancelled, completed, failed, cancelled },
  };
}

/** Converts any value to a JSON tree. Client JSON inside it stays as it is. */
export function toJson(value: unknown): Json {
  if (value instanceof JsonNumber || value instanceof Map) return value as Json;
  if (typeof value === "number") return Number.isInteger(value) ? int(value) : new JsonNumber(String(value));
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value as Json;
  return new Map(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
}

/** Window of the rate in seconds. */
export const rateSeconds = 300;
/** z-score of an 80 % interval: 10 % of a normal distribution lie beyond each end. */
const zScore = 1.28;

/** Estimates the remaining seconds from the rate and its Poisson error. */
export function estimateRemaining({ pending, processing, recent, window_seconds }: Progress) {
  const remaining = pending + processing;
  if (remaining === 0 || recent === 0) return null;
  const perSecond = recent / Math.max(window_seconds, 1);
  const relativeError = zScore / Math.sqrt(recent);
  return {
    seconds_low: Math.floor(remaining / (perSecond * (1 + relativeError))),
    seconds_high: relativeError < 1 ? Math.ceil(remaining / (perSecond * (1 - relativeError))) : null,
  };
}

const listOf = (value: Json | undefined): Json[] => Array.isArray(value) ? value : [];

/** Describes the axes with their values and the tags that use them. */
function describeAxes(row: TaskInputRow, lengths: { axis: string; length: number }[]) {
  const variables = parseJson(row.variables) as JsonObject;
  const tags = listOf(parseJson(row.tags)).filter((tag) => tag instanceof Map);
  return lengths.map(({ axis, length }) => {
    if (axis === batchAxis) {
      return { axis, name: batchAxis, types: [batchAxis], role: "replicate", length, values: null };
    }
    const variable = variables.get(axis) as JsonObject;
    const name = variable.get("name");
    const types = tags.filter((tag) => tag.get("isVariable") && tag.get("name") === name)
      .map((tag) => tag.get("type")).filter((type) => typeof type === "string");
    return {
      axis,
      name: typeof name === "string" ? name : "",
      types: [...new Set(types)],
      role: row.axis_roles?.[axis] ?? null,
      length,
      values: listOf(variable.get("values")),
    };
  });
}

/** Reads everything about a task except its cells. */
export async function readDetail(c: Context<V2Env>, row: TaskInputRow): Promise<Json> {
  const { sql } = c.var.deps;
  const { principal } = c.var;
  const item = toTaskSummary(row, principal.kind === "user" ? principal.email : null);
  const isOpen = row.status === "pending" || row.status === "processing";
  const [progress, errors, shape] = await Promise.all([
    isOpen ? readProgress(sql, row.id, rateSeconds) : undefined,
    row.subtasks_failed > 0 ? listFailureCauses(sql, row.id, 50) : [],
    readShape(sql, row.id),
  ]);
  const { pending = item.cells.open, processing = 0 } = progress ?? {};
  const matrix = createMatrix(shape);
  const lengths = matrix
    ? matrix.axes.map((axis, i) => ({ axis, length: matrix.lengths[i]! }))
    : shape.lengths.map((length, i) => ({ axis: `v${i}`, length })).filter(({ length }) => length > 0);
  return toJson({
    ...item,
    cells: { ...item.cells, pending, processing },
    rate: progress && row.started_at
      ? {
        cells: progress.recent,
        window_seconds: Math.round(progress.window_seconds),
        per_minute: Math.round(600 * progress.recent / Math.max(progress.window_seconds, 1)) / 10,
      }
      : null,
    eta: progress && row.hold === null ? estimateRemaining(progress) : null,
    errors,
    axes: describeAxes(row, lengths),
    blocks: matrix?.blocks.map(({ first, from, lengths }) => ({ first, from, lengths })) ?? null,
  });
}
