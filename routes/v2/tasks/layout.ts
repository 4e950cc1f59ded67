/** How a task's cells lie on its axes, kept for as long as that does not change. */
import type { Context } from "hono";
import type { Pool } from "../../../db/pg/connect.ts";
import { findMatrixMark } from "../../../db/judging/rating_queue.ts";
import { findStatsTask, readIndices } from "../../../db/views/stats.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import type { V2Env } from "../kit/context.ts";
import { readMatrix } from "./matrix.ts";
import { type Axis, placeByIndices, readAxes } from "../../../statistics/axes.ts";
import { noTask } from "./tasks_of.ts";

export interface Layout {
  /** How many there are. */
  cells: number;
  axes: Pick<Axis, "key" | "role" | "levels">[];
  /** A cell's level on each axis; −1 where it has none. */
  levelsOf(cell: number): number[];
  /** `{v0: 2}`: the place of its value on each axis. */
  atOf(cell: number): Record<string, number>;
}

/** Tasks whose layout is kept. */
const keptMax = 32;
const kept = new Map<string, { mark: string; layout: Layout }>();

/** Where values and cells do not add up, as in some tasks that were brought over, each cell says where it is. */
async function readLevels(sql: Pool, id: string, axes: Axis[]): Promise<Pick<Layout, "cells" | "levelsOf">> {
  const shape = await readShape(sql, id);
  const matrix = readMatrix(shape);
  if (matrix) {
    const levelsOf = (cell: number) => {
      const places = matrix.placesOf(cell);
      return axes.map(({ levelOf }, i) => levelOf[places[i]!] ?? -1);
    };
    return { cells: matrix.total, levelsOf };
  }
  const { cells, levels } = placeByIndices(axes, shape.total, await readIndices(sql, id));
  return { cells, levelsOf: (cell) => levels.map((of) => of[cell] ?? -1) };
}

async function readLayout(sql: Pool, id: string): Promise<Layout> {
  const task = await findStatsTask(sql, id);
  if (!task) throw noTask(id);
  const axes = readAxes(task);
  const { cells, levelsOf } = await readLevels(sql, id, axes);
  return {
    cells,
    axes: axes.map(({ key, role, levels }) => ({ key, role, levels })),
    levelsOf,
    atOf: (cell) =>
      Object.fromEntries(
        levelsOf(cell).flatMap((level, i) => {
          const place = axes[i]!.levels[level]?.place;
          return place === undefined ? [] : [[axes[i]!.key, place]];
        }),
      ),
  };
}

/** @throws AppError not_found where the task has gone meanwhile */
export async function loadLayout(c: Context<V2Env>, id: string): Promise<Layout> {
  const { sql } = c.var.deps;
  const mark = await findMatrixMark(sql, id);
  if (mark === undefined) throw noTask(id);
  const known = kept.get(id);
  kept.delete(id);
  const layout = known?.mark === mark ? known.layout : await readLayout(sql, id);
  kept.set(id, { mark, layout });
  for (const oldest of kept.keys()) {
    if (kept.size <= keptMax) break;
    kept.delete(oldest);
  }
  return layout;
}
