/** Routes that show cells: several by number, and one with its history. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { listAttempts } from "../../../db/queue/attempts.ts";
import {
  type CellDetail,
  findCellDetail,
  listCells,
  listVersionFeedback,
  type VersionFeedback,
} from "../../../db/views/cells.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { type Json, type JsonObject, parseJson, stringifyJson } from "../../../json.ts";
import { cellFields, cellOut, ratingSummaryOut, toCell, toRatingSummary } from "./cell_shapes.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { batchAxis, createMatrix } from "../tasks/matrix.ts";
import { cellParams, defineRoute, jsonResponse, taskParams, time } from "../kit/route.ts";
import { etagOf, respondJsonTagged, respondTagged } from "../kit/etag.ts";
import { toJson } from "../tasks/task_detail.ts";
import { cellNotFound, getReadableTask, parseCellNumber, type ReadableTask } from "../tasks/task_access.ts";

const idsMax = 500;
const idsPattern = new RegExp(`^[0-9]{1,5}(?:,[0-9]{1,5}){0,${idsMax - 1}}$`);

const getCells = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells",
  access: "reader",
  tags: ["cells"],
  summary: "Get cells by number",
  request: {
    params: taskParams,
    query: z.object({
      ids: z.string().regex(idsPattern, `1 to ${idsMax} numbers of cells by commas`).openapi({
        param: { name: "ids", in: "query" },
        description: `Comma-separated cell numbers, at most ${idsMax}`,
        example: "0,5,9",
      }),
    }),
  },
  responses: {
    200: jsonResponse(
      z.object({ items: z.array(cellOut) }).openapi("Cells"),
      "The cells in the requested order. Unknown numbers are left out",
    ),
  },
});

const attemptOut = z.object({
  attempt: z.int(),
  outcome: z.enum(["done", "timeout", "illegal", "error", "lost"]),
  reason: z.string().nullable(),
  started_at: time.nullable(),
  ended_at: time.nullable(),
  seconds: z.number().nullable(),
  remote_job: z.string().nullable(),
});

const versionOut = z.object({
  version: z.int(),
  url: z.string(),
  current: z.boolean(),
  made_at: time.nullable(),
  ratings: ratingSummaryOut,
  evaluations: z.int().nullable().openapi({
    description: "Number of evaluations; null while others' are hidden",
  }),
});

const cellDetailOut = z.object({
  ...cellFields,
  id: z.uuid(),
  old_id: z.string().nullable().openapi({
    description: "Id of a migrated subtask in the old backend; null if it is the same",
  }),
  places: z.array(z.object({ axis: z.string(), place: z.int(), value: z.unknown() })).nullable()
    .openapi({
      description: "Index (from 0) and value on each axis; null if cells do not fill the axes",
    }),
  request: z.object({
    prompts: z.unknown(),
    ratio: z.string().nullable(),
    seed: z.string().nullable(),
    use_polish: z.boolean(),
    client_args: z.unknown(),
    queue: z.string(),
  }).openapi({ description: "The request to the image API. Client JSON is unchanged" }),
  result: z.unknown().openapi({ description: "The stored part of the image API's response" }),
  cause: z.string().nullable().openapi({ description: "Normalised cause of the last failure" }),
  retries: z.int(),
  not_before: time.nullable().openapi({ description: "Earliest time of the next attempt" }),
  remote_job: z.string().nullable(),
  created_at: time,
  started_at: time.nullable(),
  completed_at: time.nullable(),
  attempts: z.array(attemptOut).openapi({ description: "Ended attempts, oldest first" }),
  versions: z.array(versionOut).openapi({
    description: "Images of the cell, oldest first, each with its own ratings",
  }),
}).openapi("CellDetail");

const getCell = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}",
  access: "reader",
  tags: ["cells"],
  summary: "Get a cell with its request, all attempts, and all images with their ratings",
  request: { params: cellParams },
  responses: { 200: jsonResponse(cellDetailOut, "The cell") },
});

const iso = (at: Date | null) => at?.toISOString() ?? null;
const parseNullable = (text: string | null): Json => text === null ? null : parseJson(text);

/** Returns the index and value of a cell on each axis; null if cells do not fill the axes. */
async function readPlaces(c: Context<V2Env>, task: ReadableTask, { cell, variables }: CellDetail) {
  const matrix = createMatrix(await readShape(c.var.deps.sql, task.id));
  if (!matrix || cell >= matrix.total) return null;
  const known = parseJson(variables) as JsonObject;
  return matrix.indicesOf(cell).map((index, i) => {
    const axis = matrix.axes[i]!;
    const variable = known.get(axis);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    const value = axis !== batchAxis && Array.isArray(values) ? values[index] ?? null : null;
    return { axis, place: index, value };
  });
}

const noFeedback: Omit<VersionFeedback, "version"> = {
  rating_n: 0,
  rating_sum: 0,
  own_stars: null,
  own_skipped: null,
  evaluations: 0,
};

/** Reads the attempts of a cell and its images with their feedback. */
async function readHistory(c: Context<V2Env>, task: ReadableTask, row: CellDetail) {
  const { deps: { sql }, principal } = c.var;
  const [attempts, feedback] = await Promise.all([
    listAttempts(sql, task.id, row.id),
    listVersionFeedback(sql, { taskId: task.id, raterId: principal.id, subtaskId: row.id }),
  ]);
  // The row of a successful attempt after failed ones has no image; the cell's own row has it.
  const isCurrent = (attempt: number) => row.status === "completed" && attempt === row.version;
  const imageOf = ({ attempt, image_url }: typeof attempts[number]) =>
    isCurrent(attempt) ? row.image_url : image_url;
  const versions = attempts.filter((one) => imageOf(one) !== null).map((one) => {
    const { attempt, ended_at } = one;
    const { evaluations, ...versionRatings } = feedback.find(({ version }) => version === attempt) ??
      noFeedback;
    const ratings = toRatingSummary(versionRatings, task.hidesOthers);
    return {
      version: attempt,
      url: imageOf(one),
      current: isCurrent(attempt),
      made_at: iso(ended_at),
      ratings,
      evaluations: ratings.n === null ? null : evaluations,
    };
  });
  return {
    attempts: attempts.map(({ attempt, outcome, reason, started_at, ended_at, remote_id }) => ({
      attempt,
      outcome,
      reason,
      started_at: iso(started_at),
      ended_at: iso(ended_at),
      seconds: started_at && ended_at ? (ended_at.getTime() - started_at.getTime()) / 1000 : null,
      remote_job: remote_id,
    })),
    versions,
  };
}

/** Reads the response for one cell. @throws AppError not_found */
async function readCellDetail(c: Context<V2Env>, task: ReadableTask, cell: number): Promise<Json> {
  const { deps: { sql }, principal } = c.var;
  const row = await findCellDetail(sql, { taskId: task.id, raterId: principal.id, cell });
  if (!row) throw cellNotFound(cell);
  const [places, history] = await Promise.all([readPlaces(c, task, row), readHistory(c, task, row)]);
  const {
    id,
    old_id,
    ratio,
    seed,
    use_polish,
    queue,
    cause,
    created_at,
    started_at,
    completed_at,
    run_after,
  } = row;
  return toJson({
    ...toCell(row, task.hidesOthers),
    id,
    old_id,
    places,
    request: {
      prompts: parseNullable(row.prompts),
      ratio,
      seed,
      use_polish,
      client_args: parseNullable(row.client_args),
      queue,
    },
    result: parseNullable(row.result),
    cause,
    retries: row.retry_count,
    not_before: iso(run_after),
    remote_job: row.remote_id,
    created_at: iso(created_at),
    started_at: iso(started_at),
    completed_at: iso(completed_at),
    ...history,
  });
}

export function addCells(app: V2App): void {
  app.openapi(getCells, async (c) => {
    const { id } = c.req.valid("param");
    const task = await getReadableTask(c, id);
    const cells = [...new Set(c.req.valid("query").ids.split(",").map(Number))];
    const { deps: { sql }, principal } = c.var;
    const rows = new Map(
      (await listCells(sql, { taskId: id, raterId: principal.id, cells })).map((row) => [row.cell, row]),
    );
    const items = cells.map((cell) => rows.get(cell)).filter((row) => row !== undefined);
    return await respondTagged(c, { items: items.map((row) => toCell(row, task.hidesOthers)) });
  });
  app.openapi(getCell, async (c) => {
    const { id, cell } = c.req.valid("param");
    const text = stringifyJson(await readCellDetail(c, await getReadableTask(c, id), parseCellNumber(cell)));
    return respondJsonTagged(c, text, await etagOf(text));
  });
}
