/** GET /tasks/{id}/slice: a two-dimensional cut of the matrix, with fixed indices on the other axes. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { listCells } from "../../../db/views/cells.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { AppError } from "../../../errors.ts";
import { cellOut, toCell } from "./cell_shapes.ts";
import { invalidField } from "../kit/faults.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { createMatrix, type Matrix } from "../tasks/matrix.ts";
import { defineRoute, jsonResponse, taskParams } from "../kit/route.ts";
import { respondTagged } from "../kit/etag.ts";
import { wantedAxis, wantedIndex, wantedOtherAxis } from "../tasks/axis_faults.ts";
import { getReadableTask } from "../tasks/task_access.ts";

/** Maximum number of cells of a slice. */
const cellsMax = 10_000;

const axisName = z.string().regex(/^(?:v[0-5]|batch)$/, "v0 to v5, or batch");
const sliceQuery = z.object({
  x: axisName.openapi({ param: { name: "x", in: "query" }, description: "Axis of the task for the columns" }),
  y: axisName.optional().openapi({
    param: { name: "y", in: "query" },
    description: "Axis of the task for the rows, another one than `x`; without it the slice has one row. " +
      "A slice has at most 10,000 cells",
  }),
  at: z.string().regex(
    /^(?:v[0-5]|batch):\d{1,5}(?:,(?:v[0-5]|batch):\d{1,5})*$/,
    "axis:index by commas, such as v1:3,v3:0",
  )
    .optional().openapi({
      param: { name: "at", in: "query" },
      description: "Indices (from 0) on axes of the task other than `x` and `y`; 0 by default",
      example: "v1:3,v3:0",
    }),
});

const axisOut = z.object({ axis: z.string(), length: z.int() });
const sliceOut = z.object({
  x: axisOut,
  y: axisOut.nullable(),
  at: z.record(z.string(), z.int()),
  rows: z.array(z.array(cellOut.nullable())).openapi({
    description: "One row per index on y, with one cell per index on x",
  }),
}).openapi("Slice");

const getSlice = defineRoute({
  method: "get",
  path: "/tasks/{id}/slice",
  access: "reader",
  tags: ["cells"],
  summary: "Get a two-dimensional slice of the matrix",
  request: { params: taskParams, query: sliceQuery },
  responses: { 200: jsonResponse(sliceOut, "Rows of cells") },
  problems: ["conflict"],
});

const fault = (name: string, value: string | undefined, wanted: string) =>
  invalidField(`query.${name}`, value, wanted);

/** Positions of a slice's axes. */
interface SliceAxes {
  x: number;
  /** Undefined for a single row. */
  y: number | undefined;
  /** Index on each axis; those of x and y vary. */
  at: number[];
}

/** Resolves the query to positions of axes. @throws AppError invalid_request */
function resolveSlice(matrix: Matrix, { x, y, at = "" }: z.infer<typeof sliceQuery>): SliceAxes {
  const find = (name: "x" | "y" | "at", axis: string): number => {
    const found = matrix.axes.indexOf(axis);
    if (found < 0) throw fault(name, axis, wantedAxis(matrix.axes));
    return found;
  };
  const slice: SliceAxes = {
    x: find("x", x),
    y: y === undefined ? undefined : find("y", y),
    at: matrix.axes.map(() => 0),
  };
  if (slice.x === slice.y) throw fault("y", y, wantedOtherAxis(matrix.axes, x));
  for (const part of at.split(",").filter((text) => text !== "")) {
    const [axis = "", index = ""] = part.split(":");
    const found = find("at", axis);
    if (found === slice.x || found === slice.y) throw fault("at", part, "axes other than x and y");
    if (Number(index) >= matrix.lengths[found]!) {
      throw fault("at", part, `${axis} with an index: ${wantedIndex(matrix.lengths[found]!)}`);
    }
    slice.at[found] = Number(index);
  }
  const size = matrix.lengths[slice.x]! * (slice.y === undefined ? 1 : matrix.lengths[slice.y]!);
  if (size > cellsMax) throw fault("x", x, `axes with at most ${cellsMax} cells in all; these have ${size}`);
  return slice;
}

/** Lists the numbers of a slice's cells, row by row. */
function listRows(matrix: Matrix, { x, y, at }: SliceAxes): number[][] {
  const columns = [...Array(matrix.lengths[x]!).keys()];
  const rows = y === undefined ? [0] : [...Array(matrix.lengths[y]!).keys()];
  return rows.map((row) => {
    const base = y === undefined ? at : at.with(y, row);
    return columns.map((column) => matrix.cellAt(base.with(x, column)));
  });
}

async function readSlice(c: Context<V2Env>, id: string, query: z.infer<typeof sliceQuery>) {
  const task = await getReadableTask(c, id);
  const { deps: { sql }, principal } = c.var;
  const matrix = createMatrix(await readShape(sql, id));
  if (!matrix) throw new AppError("conflict", `slicing task '${id}': its cells do not fill its axes`);
  const slice = resolveSlice(matrix, query);
  const numbers = listRows(matrix, slice);
  const found = await listCells(sql, { taskId: id, raterId: principal.id, cells: numbers.flat() });
  const cells = new Map(found.map((row) => [row.cell, toCell(row, task.hidesOthers)]));
  const toAxis = (position: number) => ({ axis: matrix.axes[position]!, length: matrix.lengths[position]! });
  const fixed = matrix.axes.flatMap((axis, i) =>
    i === slice.x || i === slice.y ? [] : [[axis, slice.at[i]!] as const]
  );
  return {
    x: toAxis(slice.x),
    y: slice.y === undefined ? null : toAxis(slice.y),
    at: Object.fromEntries(fixed),
    rows: numbers.map((row) => row.map((cell) => cells.get(cell) ?? null)),
  };
}

export function addSlices(app: V2App): void {
  app.openapi(
    getSlice,
    async (c) => await respondTagged(c, await readSlice(c, c.req.valid("param").id, c.req.valid("query"))),
  );
}
