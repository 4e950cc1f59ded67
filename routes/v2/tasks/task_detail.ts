/** A task as v2 answers it: in lists, and alone with its progress. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  listFailureCauses,
  type Progress,
  readProgress,
  readShape,
  type TaskOrderRow,
} from "../../../db/views/task_detail.ts";
import type { TaskItem } from "../../../db/views/task_list.ts";
import { axisRoles, seedPolicies, taskStatuses } from "../../../db/queue/task_fields.ts";
import { int, type Json, JsonNumber, type JsonObject, parseJson } from "../../../json.ts";
import type { V2Env } from "../kit/context.ts";
import { batchAxis, readMatrix } from "./matrix.ts";
import { time } from "../kit/route.ts";

const hold = z.enum(["import", "pause", "canary"]);
const itemFields = {
  id: z.uuid(),
  name: z.string(),
  owner: z.string().nullable().openapi({
    description: "E-mail of who submitted it; null to who comes by a link",
  }),
  mine: z.boolean(),
  status: z.enum(taskStatuses),
  hold: hold.nullable().openapi({ description: "What keeps its cells from being drawn" }),
  hold_reason: z.string().nullable(),
  error: z.string().nullable(),
  priority: z.int(),
  blind: z.boolean(),
  seed_policy: z.enum(seedPolicies),
  revision: z.int().openapi({ description: "Grows with each batch of changes" }),
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
    cells: z.int().openapi({ description: "Ended within the window" }),
    window_seconds: z.number(),
    per_minute: z.number(),
  }).nullable().openapi({ description: "Null for a task that has ended or not begun" }),
  eta: z.object({ seconds_low: z.int(), seconds_high: z.int().nullable() }).nullable()
    .openapi({
      description: "Until the last cell has ended, at the present rate; null where there is none, or a hold",
    }),
  errors: z.array(z.object({ cause: z.string(), cells: z.int() }))
    .openapi({ description: "Failed cells by cause, the most frequent first; 50 at most" }),
  axes: z.array(z.object({
    axis: z.string().openapi({ example: "v0", description: "Or `batch`: repeats of each combination" }),
    name: z.string(),
    types: z.array(z.string()).openapi({ description: "Of the tags that it gives values to" }),
    role: z.enum(axisRoles).nullable(),
    length: z.int(),
    values: z.array(z.unknown()).nullable().openapi({ description: "As they were given; null for `batch`" }),
  })).openapi({ description: "Slowest first" }),
}).openapi("TaskDetail");

/** @param email of who asks; null for a share */
export function toItem(row: TaskItem, email: string | null): z.infer<typeof taskOut> {
  const { subtasks_total: total, subtasks_completed: completed } = row;
  const { subtasks_failed: failed, subtasks_cancelled: cancelled } = row;
  const iso = (at: Date | null) => at?.toISOString() ?? null;
  const { id, status, hold, hold_reason, error, priority, blind, seed_policy } = row;
  return {
    id,
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

/** Any value as JSON of ours, which keeps client JSON within it as it is. */
export function toJson(value: unknown): Json {
  if (value instanceof JsonNumber || value instanceof Map) return value as Json;
  if (typeof value === "number") return Number.isInteger(value) ? int(value) : new JsonNumber(String(value));
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value as Json;
  return new Map(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
}

/** Seconds that are looked back for the rate. */
const rateSeconds = 300;
/** Of a normal deviate: one end in ten lies beyond. */
const spread = 1.28;

function estimate({ pending, processing, recent, window_seconds }: Progress) {
  const left = pending + processing;
  if (left === 0 || recent === 0) return null;
  const perSecond = recent / Math.max(window_seconds, 1);
  const doubt = spread / Math.sqrt(recent);
  return {
    seconds_low: Math.floor(left / (perSecond * (1 + doubt))),
    seconds_high: doubt < 1 ? Math.ceil(left / (perSecond * (1 - doubt))) : null,
  };
}

const listOf = (value: Json | undefined): Json[] => Array.isArray(value) ? value : [];

function readAxes(row: TaskOrderRow, lengths: { axis: string; length: number }[]) {
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

/** The whole of a task but its cells, as JSON of ours. */
export async function readDetail(c: Context<V2Env>, row: TaskOrderRow): Promise<Json> {
  const { sql } = c.var.deps;
  const { principal } = c.var;
  const item = toItem(row, principal.kind === "user" ? principal.email : null);
  const isOpen = row.status === "pending" || row.status === "processing";
  const [progress, errors, shape] = await Promise.all([
    isOpen ? readProgress(sql, row.id, rateSeconds) : undefined,
    row.subtasks_failed > 0 ? listFailureCauses(sql, row.id, 50) : [],
    readShape(sql, row.id),
  ]);
  const { pending = item.cells.open, processing = 0 } = progress ?? {};
  const matrix = readMatrix(shape);
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
    eta: progress && row.hold === null ? estimate(progress) : null,
    errors,
    axes: readAxes(row, lengths),
  });
}
