/** The layout of a task: the level of each cell on each axis, cached until the matrix changes. */
import type { Pool } from "../../../db/pg/connect.ts";
import { findLayoutVersion } from "../../../db/judging/rating_queue.ts";
import { findStatsTask, readIndices } from "../../../db/views/stats.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { createMatrix } from "./matrix.ts";
import { type Axis, levelsFromIndices, parseAxes } from "../../../statistics/axes.ts";
import { taskNotFound } from "./task_access.ts";

/** Layout of a task. */
export interface Layout {
  /** Number of cells. */
  cells: number;
  axes: Pick<Axis, "key" | "role" | "levels">[];
  /** Returns a cell's level on each axis; −1 where it has none. */
  levelsOf(cell: number): number[];
  /** Returns the index of a cell's value on each axis, such as `{v0: 2}`. */
  indicesOf(cell: number): Record<string, number>;
}

/** Maximum number of cached layouts. */
const cachedMax = 32;

/**
 * Reads levels: computed from the matrix or, if cells do not fill it, from the indices that each cell stores.
 */
async function readLevels(sql: Pool, id: string, axes: Axis[]): Promise<Pick<Layout, "cells" | "levelsOf">> {
  const shape = await readShape(sql, id);
  const matrix = createMatrix(shape);
  if (matrix) {
    const levelsOf = (cell: number) => {
      const indices = matrix.indicesOf(cell);
      return axes.map(({ levelOf }, i) => levelOf[indices[i]!] ?? -1);
    };
    return { cells: matrix.total, levelsOf };
  }
  const { cells, levels } = levelsFromIndices(axes, shape.total, await readIndices(sql, id));
  return { cells, levelsOf: (cell) => levels.map((column) => column[cell] ?? -1) };
}

async function readLayout(sql: Pool, id: string): Promise<Layout> {
  const task = await findStatsTask(sql, id);
  if (!task) throw taskNotFound(id);
  const axes = parseAxes(task);
  const { cells, levelsOf } = await readLevels(sql, id, axes);
  return {
    cells,
    axes: axes.map(({ key, role, levels }) => ({ key, role, levels })),
    levelsOf,
    indicesOf: (cell) =>
      Object.fromEntries(
        levelsOf(cell).flatMap((level, i) => {
          const index = axes[i]!.levels[level]?.index;
          return index === undefined ? [] : [[axes[i]!.key, index]];
        }),
      ),
  };
}

/** Layouts of tasks. The most recently used are cached. */
export interface Layouts {
  /** Returns the layout of a task. @throws AppError not_found */
  load(id: string): Promise<Layout>;
}

export function createLayouts(sql: Pool): Layouts {
  const cached = new Map<string, { version: string; layout: Layout }>();
  return {
    async load(id) {
      const version = await findLayoutVersion(sql, id);
      if (version === undefined) throw taskNotFound(id);
      const known = cached.get(id);
      cached.delete(id);
      const layout = known?.version === version ? known.layout : await readLayout(sql, id);
      cached.set(id, { version, layout });
      for (const oldest of cached.keys()) {
        if (cached.size <= cachedMax) break;
        cached.delete(oldest);
      }
      return layout;
    },
  };
}
