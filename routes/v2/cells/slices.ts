/** A plane of a task's matrix: rows and columns of cells, the other axes held at a place. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { listCells } from "../../../db/views/cells.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { AppError } from "../../../errors.ts";
import { cellOut, toCell } from "./cell_shapes.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { type Matrix, readMatrix } from "../tasks/matrix.ts";
import { defineRoute, jsonAnswer, taskParams } from "../kit/route.ts";
import { answerTagged } from "../kit/tag.ts";
import { getTaskOf } from "../tasks/tasks_of.ts";

/** Cells of a slice at most. */
const cellsMax = 10_000;

const axisName = z.string().regex(/^(?:v[0-5]|batch)$/, "wanted v0 to v5, or batch");
const sliceQuery = z.object({
  x: axisName.openapi({ param: { name: "x", in: "query" }, description: "The axis of the columns" }),
  y: axisName.optional().openapi({
    param: { name: "y", in: "query" },
    description: "The axis of the rows; without it there is one",
  }),
  at: z.string().regex(
    /^(?:v[0-5]|batch):\d{1,5}(?:,(?:v[0-5]|batch):\d{1,5})*$/,
    "wanted axis:place by commas",
  )
    .optional().openapi({
      param: { name: "at", in: "query" },
      description: "Places on other axes, from 0; 0 where nothing is said",
      example: "v1:3,v3:0",
    }),
});

const axisOut = z.object({ axis: z.string(), length: z.int() });
const sliceOut = z.object({
  x: axisOut,
  y: axisOut.nullable(),
  at: z.record(z.string(), z.int()),
  rows: z.array(z.array(cellOut.nullable())).openapi({
    description: "One for each place on y, of a cell for each on x",
  }),
}).openapi("Slice");

const getSlice = defineRoute({
  method: "get",
  path: "/tasks/{id}/slice",
  who: "reader",
  tags: ["cells"],
  summary: "A plane of the matrix",
  request: { params: taskParams, query: sliceQuery },
  responses: { 200: jsonAnswer(sliceOut, "Rows of cells") },
  problems: ["conflict"],
});

const fault = (name: string, value: string, wanted: string) =>
  new AppError("invalid_request", `reading the request: faulty query.${name}`, {
    fields: [{ field: `query.${name}`, value, wanted }],
  });

interface Plane {
  x: number;
  /** Undefined: one row. */
  y: number | undefined;
  /** Place on each axis; those of x and y vary. */
  at: number[];
}

function readPlane(matrix: Matrix, { x, y, at = "" }: z.infer<typeof sliceQuery>): Plane {
  const find = (name: "x" | "y" | "at", axis: string): number => {
    const found = matrix.axes.indexOf(axis);
    if (found < 0) throw fault(name, axis, `one of ${matrix.axes.join(", ")}`);
    return found;
  };
  const plane: Plane = {
    x: find("x", x),
    y: y === undefined ? undefined : find("y", y),
    at: matrix.axes.map(() => 0),
  };
  if (plane.x === plane.y) throw fault("y", x, "another axis than x");
  for (const part of at.split(",").filter((text) => text !== "")) {
    const [axis = "", place = ""] = part.split(":");
    const found = find("at", axis);
    if (found === plane.x || found === plane.y) throw fault("at", part, "axes other than x and y");
    if (Number(place) >= matrix.lengths[found]!) {
      throw fault("at", part, `${axis}:0 to ${axis}:${matrix.lengths[found]! - 1}`);
    }
    plane.at[found] = Number(place);
  }
  const size = matrix.lengths[plane.x]! * (plane.y === undefined ? 1 : matrix.lengths[plane.y]!);
  if (size > cellsMax) throw fault("x", `${size} cells`, `at most ${cellsMax} cells in a slice`);
  return plane;
}

/** Numbers of the plane's cells, row by row. */
function findRows(matrix: Matrix, { x, y, at }: Plane): number[][] {
  const columns = [...Array(matrix.lengths[x]!).keys()];
  const rows = y === undefined ? [0] : [...Array(matrix.lengths[y]!).keys()];
  return rows.map((row) => {
    const base = y === undefined ? at : at.with(y, row);
    return columns.map((column) => matrix.cellAt(base.with(x, column)));
  });
}

async function readSlice(c: Context<V2Env>, id: string, query: z.infer<typeof sliceQuery>) {
  const task = await getTaskOf(c, id);
  const { deps: { sql }, principal } = c.var;
  const matrix = readMatrix(await readShape(sql, id));
  if (!matrix) throw new AppError("conflict", `slicing task '${id}': its cells do not fill its axes`);
  const plane = readPlane(matrix, query);
  const numbers = findRows(matrix, plane);
  const found = await listCells(sql, { taskId: id, raterId: principal.id, cells: numbers.flat() });
  const cells = new Map(found.map((row) => [row.cell, toCell(row, task.hidesOthers)]));
  const axisAt = (at: number) => ({ axis: matrix.axes[at]!, length: matrix.lengths[at]! });
  const held = matrix.axes.flatMap((axis, i) =>
    i === plane.x || i === plane.y ? [] : [[axis, plane.at[i]!] as const]
  );
  return {
    x: axisAt(plane.x),
    y: plane.y === undefined ? null : axisAt(plane.y),
    at: Object.fromEntries(held),
    rows: numbers.map((row) => row.map((cell) => cells.get(cell) ?? null)),
  };
}

export function addSlices(app: V2App): void {
  app.openapi(
    getSlice,
    async (c) =>
      await answerTagged(c, await readSlice(c, c.req.valid("param").id, c.req.valid("query"))) as never,
  );
}
