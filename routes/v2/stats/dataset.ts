/** Reads a task's matrix and ratings for the statistics routes. */
import type { Context } from "hono";
import { findStatsTask, readIndices, type StatsTask } from "../../../db/views/stats.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { AppError } from "../../../errors.ts";
import type { V2Deps, V2Env } from "../kit/context.ts";
import { createMatrix, type Matrix } from "../tasks/matrix.ts";
import {
  type Axis,
  type CellLevels,
  levelsFromIndices,
  levelsOfFullMatrix,
  parseAxes,
} from "../../../statistics/axes.ts";
import { type Dataset, toDataset } from "../../../statistics/dataset.ts";
import { getReadableTask, taskNotFound } from "../tasks/task_access.ts";
import type { CellSnapshot, DatasetCache } from "./dataset_cache.ts";

/** A task with the levels of its cells and its ratings. */
export interface TaskDataset {
  task: StatsTask;
  axes: Axis[];
  cellLevels: CellLevels;
  snapshot: CellSnapshot;
  /** Revision of the snapshot. */
  revision: string;
  ratings: Dataset;
}

/** Computes the levels of a matrix that was extended; added cells are numbered after the others. */
function levelsOfExtendedMatrix(axes: readonly Axis[], matrix: Matrix | undefined): CellLevels | undefined {
  if (!matrix) return undefined;
  const { total: cells } = matrix;
  const positions = axes.map(({ key }) => matrix.axes.indexOf(key));
  const levels = axes.map(() => new Int32Array(cells));
  for (let cell = 0; cell < cells; cell++) {
    const indices = matrix.indicesOf(cell);
    axes.forEach(({ levelOf }, a) => levels[a]![cell] = levelOf[indices[positions[a]!]!] ?? -1);
  }
  return { cells, levels };
}

/**
 * Checks that the principal may read the statistics of a task.
 *
 * @param ratings false for statistics without ratings; anyone who may read a blind task may read those
 * @throws AppError not_found; forbidden if others' ratings are hidden from the principal, because means and
 * agreement would reveal the ratings of images that the principal has yet to rate
 */
export async function checkDataset(
  c: Context<V2Env>,
  id: string,
  { ratings }: { ratings: boolean },
): Promise<void> {
  const { hidesOthers } = await getReadableTask(c, id);
  if (hidesOthers && ratings) {
    throw new AppError(
      "forbidden",
      `reading what raters of task '${id}' say: it is rated blind, its owner alone sees that`,
    );
  }
}

/** Where datasets come from. */
export interface DatasetSource extends Pick<V2Deps, "sql"> {
  datasets: DatasetCache;
}

/**
 * Reads a task for its statistics, after the caller has checked the right to.
 *
 * @param ratings false to skip ratings
 * @throws AppError not_found
 */
export async function readTaskDataset(
  { sql, datasets }: DatasetSource,
  id: string,
  { ratings }: { ratings: boolean },
): Promise<TaskDataset> {
  const finding = findStatsTask(sql, id).then((task) => task && readCellLevels(sql, id, task));
  const [found, snapshot] = await Promise.all([
    finding,
    datasets.read(sql, id, { ratings, countCells: finding.then((one) => one?.cellLevels.cells) }),
  ]);
  if (!found || !snapshot) throw taskNotFound(id);
  const revision = String(snapshot.revision);
  return { ...found, snapshot, revision, ratings: toDataset(snapshot.table) };
}

/** Reads the levels of a task's cells. */
async function readCellLevels(sql: V2Deps["sql"], id: string, task: StatsTask) {
  const axes = parseAxes(task);
  const levels = task.has_grown
    ? levelsOfExtendedMatrix(axes, createMatrix(await readShape(sql, id)))
    : levelsOfFullMatrix(axes, task.subtasks_total);
  const cellLevels = levels ??
    levelsFromIndices(axes, task.subtasks_total, await readIndices(sql, id));
  return { task, axes, cellLevels };
}

/** Checks the right to read a task with its ratings, and reads it. @throws AppError as {@link checkDataset} */
export async function loadTaskDataset(
  c: Context<V2Env>,
  datasets: DatasetCache,
  id: string,
): Promise<TaskDataset> {
  await checkDataset(c, id, { ratings: true });
  return await readTaskDataset({ sql: c.var.deps.sql, datasets }, id, { ratings: true });
}
