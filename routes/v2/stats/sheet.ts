/** A task's matrix with what raters said of it, as the calls of statistics need it. */
import type { Context } from "hono";
import { findStatsTask, readIndices, readSheet, type StatsTask } from "../../../db/views/stats.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { AppError } from "../../../errors.ts";
import type { V2Env } from "../kit/context.ts";
import { type Matrix, readMatrix } from "../tasks/matrix.ts";
import { type Axis, placeByIndices, type Places, placeWhole, readAxes } from "../../../statistics/axes.ts";
import { type Sheet, unpackSheet } from "../../../statistics/sheet.ts";
import { getTaskOf, noTask } from "../tasks/tasks_of.ts";

export interface TaskSheet {
  task: StatsTask;
  axes: Axis[];
  places: Places;
  sheet: Sheet;
}

/** Places where cells were added later: those stand behind the others. */
function placeGrown(axes: readonly Axis[], matrix: Matrix | undefined): Places | undefined {
  if (!matrix) return undefined;
  const { total: cells } = matrix;
  const at = axes.map(({ key }) => matrix.axes.indexOf(key));
  const levels = axes.map(() => new Int32Array(cells));
  for (let cell = 0; cell < cells; cell++) {
    const places = matrix.placesOf(cell);
    axes.forEach(({ levelOf }, a) => levels[a]![cell] = levelOf[places[at[a]!]!] ?? -1);
  }
  return { cells, levels };
}

/**
 * Reads a task for its statistics.
 *
 * @param ratings false where they are not asked for: a blind task shows the rest to anyone who may read it
 * @throws AppError not_found; forbidden where others' ratings are hidden from who asks: means and agreement would tell
 * of images that they have yet to rate
 */
export async function loadSheet(
  c: Context<V2Env>,
  id: string,
  { ratings }: { ratings: boolean },
): Promise<TaskSheet> {
  const { hidesOthers } = await getTaskOf(c, id);
  if (hidesOthers && ratings) {
    throw new AppError(
      "forbidden",
      `reading what raters of task '${id}' say: it is rated blind, its owner alone sees that`,
    );
  }
  const { sql } = c.var.deps;
  const [task, packed] = await Promise.all([findStatsTask(sql, id), readSheet(sql, id, { ratings })]);
  if (!task) throw noTask(id);
  const axes = readAxes(task);
  const whole = task.has_grown
    ? placeGrown(axes, readMatrix(await readShape(sql, id)))
    : placeWhole(axes, task.subtasks_total);
  const places = whole ??
    placeByIndices(axes, task.subtasks_total, await readIndices(sql, id));
  return { task, axes, places, sheet: unpackSheet(packed, places.cells) };
}
