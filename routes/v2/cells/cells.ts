/** Cells: some by their numbers, and one with all that led to it. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { listAttempts } from "../../../db/queue/attempts.ts";
import {
  findWholeCell,
  listCells,
  listVoices,
  type VersionVoices,
  type WholeCell,
} from "../../../db/views/cells.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { AppError } from "../../../errors.ts";
import { type Json, type JsonObject, parseJson, stringifyJson } from "../../../json.ts";
import { cellFields, cellOut, toCell, toVoices, voicesOut } from "./cell_shapes.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { batchAxis, readMatrix } from "../tasks/matrix.ts";
import { cellParams, defineRoute, jsonAnswer, taskParams, time } from "../kit/route.ts";
import { answerHeld, answerTagged, tagText } from "../kit/tag.ts";
import { toJson } from "../tasks/task_detail.ts";
import { getTaskOf, noCell, readCell, type TaskOf } from "../tasks/tasks_of.ts";

const idsMax = 500;

const getCells = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells",
  who: "reader",
  tags: ["cells"],
  summary: "Cells by their numbers",
  request: {
    params: taskParams,
    query: z.object({
      ids: z.string().regex(/^\d{1,5}(?:,\d{1,5})*$/, "wanted numbers of cells by commas").openapi({
        param: { name: "ids", in: "query" },
        description: `Numbers of cells by commas, ${idsMax} at most`,
        example: "0,5,9",
      }),
    }),
  },
  responses: {
    200: jsonAnswer(
      z.object({ items: z.array(cellOut) }).openapi("Cells"),
      "In the order that was asked for; numbers of no cell are left out",
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
  ratings: voicesOut,
  evaluations: z.int().nullable().openapi({ description: "How many; null while others are hidden" }),
});

const wholeOut = z.object({
  ...cellFields,
  id: z.uuid(),
  places: z.array(z.object({ axis: z.string(), place: z.int(), value: z.unknown() })).nullable()
    .openapi({
      description: "On each axis, from 0, with the axis' value; null where cells do not fill the axes",
    }),
  request: z.object({
    prompts: z.unknown(),
    ratio: z.string().nullable(),
    seed: z.string().nullable(),
    use_polish: z.boolean(),
    client_args: z.unknown(),
    queue: z.string(),
  }).openapi({ description: "What the image API is asked for; client JSON as it came" }),
  result: z.unknown().openapi({ description: "What was kept of the image API's answer" }),
  cause: z.string().nullable().openapi({ description: "Of the last failure, equal for equal causes" }),
  retries: z.int(),
  not_before: time.nullable().openapi({ description: "When a further attempt may begin" }),
  remote_job: z.string().nullable(),
  created_at: time,
  started_at: time.nullable(),
  completed_at: time.nullable(),
  attempts: z.array(attemptOut).openapi({ description: "Those that ended, oldest first" }),
  versions: z.array(versionOut).openapi({
    description: "Its images, oldest first; ratings stay with theirs",
  }),
}).openapi("WholeCell");

const getCell = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}",
  who: "reader",
  tags: ["cells"],
  summary: "One cell: what was asked for, every attempt, every image with its ratings",
  request: { params: cellParams },
  responses: { 200: jsonAnswer(wholeOut, "The cell") },
});

const iso = (at: Date | null) => at?.toISOString() ?? null;
const raw = (text: string | null): Json => text === null ? null : parseJson(text);

async function readPlaces(c: Context<V2Env>, task: TaskOf, { cell, variables }: WholeCell) {
  const matrix = readMatrix(await readShape(c.var.deps.sql, task.id));
  if (!matrix || cell >= matrix.total) return null;
  const known = parseJson(variables) as JsonObject;
  return matrix.placesOf(cell).map((place, i) => {
    const axis = matrix.axes[i]!;
    const variable = known.get(axis);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    return { axis, place, value: axis !== batchAxis && Array.isArray(values) ? values[place] ?? null : null };
  });
}

const silent: Omit<VersionVoices, "version"> = {
  rating_n: 0,
  rating_sum: 0,
  own_stars: null,
  own_skipped: null,
  evaluations: 0,
};

async function readHistory(c: Context<V2Env>, task: TaskOf, row: WholeCell) {
  const { deps: { sql }, principal } = c.var;
  const [attempts, voices] = await Promise.all([
    listAttempts(sql, task.id, row.id),
    listVoices(sql, { taskId: task.id, raterId: principal.id, subtaskId: row.id }),
  ]);
  // The end of an attempt that others failed before is noted without its image, which the cell itself has.
  const isCurrent = (attempt: number) => row.status === "completed" && attempt === row.version;
  const imageOf = ({ attempt, image_url }: typeof attempts[number]) =>
    isCurrent(attempt) ? row.image_url : image_url;
  const versions = attempts.filter((one) => imageOf(one) !== null).map((one) => {
    const { attempt, ended_at } = one;
    const said = voices.find(({ version }) => version === attempt) ?? silent;
    const ratings = toVoices(said, task.hidesOthers);
    return {
      version: attempt,
      url: imageOf(one),
      current: isCurrent(attempt),
      made_at: iso(ended_at),
      ratings,
      evaluations: ratings.n === null ? null : said.evaluations,
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

async function readWhole(c: Context<V2Env>, task: TaskOf, cell: number): Promise<Json> {
  const { deps: { sql }, principal } = c.var;
  const row = await findWholeCell(sql, { taskId: task.id, raterId: principal.id, cell });
  if (!row) throw noCell(cell);
  const [places, history] = await Promise.all([readPlaces(c, task, row), readHistory(c, task, row)]);
  const { id, ratio, seed, use_polish, queue, cause, created_at, started_at, completed_at, run_after } = row;
  return toJson({
    ...toCell(row, task.hidesOthers),
    id,
    places,
    request: { prompts: raw(row.prompts), ratio, seed, use_polish, client_args: raw(row.client_args), queue },
    result: raw(row.result),
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
    const task = await getTaskOf(c, id);
    const cells = [...new Set(c.req.valid("query").ids.split(",").map(Number))];
    if (cells.length > idsMax) {
      throw new AppError("invalid_request", "reading the request: faulty query.ids", {
        fields: [{ field: "query.ids", value: String(cells.length), wanted: `at most ${idsMax} numbers` }],
      });
    }
    const { deps: { sql }, principal } = c.var;
    const rows = new Map(
      (await listCells(sql, { taskId: id, raterId: principal.id, cells })).map((row) => [row.cell, row]),
    );
    const items = cells.map((cell) => rows.get(cell)).filter((row) => row !== undefined);
    return await answerTagged(c, { items: items.map((row) => toCell(row, task.hidesOthers)) }) as never;
  });
  app.openapi(getCell, async (c) => {
    const { id, cell } = c.req.valid("param");
    const text = stringifyJson(await readWhole(c, await getTaskOf(c, id), readCell(cell)));
    return (answerHeld(c, await tagText(text)) ??
      c.body(text, 200, { "content-type": "application/json" })) as never;
  });
}
