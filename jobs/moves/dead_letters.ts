/**
 * Dead letters: cells that failed for good. Lists them, shows their attempts, and draws them again by filter.
 */
import {
  type AttemptRow,
  countCauses,
  type DeadLetter,
  type DeadLetterFilter,
  listAttempts,
  listDeadLetters,
  listDeadLetterTasks,
} from "../../db/queue/attempts.ts";
import type { Sql } from "../../db/pg/connect.ts";
import { findCell } from "../../db/queue/cells.ts";
import type { CellRef, FailedFilter } from "../../db/queue/control.ts";
import { type ControlDeps, operator, retryFailed } from "./control.ts";

export interface DeadLetterPage {
  /** Dead letters, newest first. */
  letters: DeadLetter[];
  /** Causes of all matching dead letters, most frequent first; at most 100. */
  causes: { cause: string; cells: number }[];
}

const lettersMax = 1_000;

/** Reads the matching dead letters and their causes. @param limit maximum dead letters, up to 1,000 */
export async function readDeadLetters(
  sql: Sql,
  filter: DeadLetterFilter,
  limit = 50,
): Promise<DeadLetterPage> {
  const letters = await listDeadLetters(sql, filter, { limit: Math.min(limit, lettersMax) });
  return { letters, causes: await countCauses(sql, filter) };
}

/** Lists all attempts of one cell, oldest first; undefined if the task has no such cell. */
export async function inspectCell(
  sql: Sql,
  taskId: string,
  cell: CellRef,
): Promise<AttemptRow[] | undefined> {
  const found = await findCell(sql, taskId, cell);
  return found && await listAttempts(sql, taskId, found.id);
}

/** What a replay has done: tasks and cells that are pending again, and those of the tasks that are held. */
export interface Replay {
  tasks: number;
  cells: number;
  held: number;
}

async function replayTask(deps: ControlDeps, replay: Replay, filter: DeadLetterFilter & FailedFilter) {
  const answer = await retryFailed(deps, { ...filter, taskId: filter.taskId!, userId: operator });
  if (typeof answer === "string" || answer.cells === 0) return;
  replay.cells += answer.cells;
  replay.tasks++;
  if (answer.hold !== null) replay.held++;
}

/**
 * Draws the failed ones of these cells again that match a filter, as an operator. Cancelled and deleted tasks stay as
 * they are.
 */
export async function replayCells(
  deps: ControlDeps,
  cells: readonly { taskId: string; cell: number }[],
  filter: DeadLetterFilter = {},
): Promise<Replay> {
  const replay: Replay = { tasks: 0, cells: 0, held: 0 };
  for (const [taskId, chosen] of Map.groupBy(cells, ({ taskId }) => taskId)) {
    if (filter.taskId !== undefined && filter.taskId !== taskId) continue;
    await replayTask(deps, replay, { ...filter, taskId, cells: chosen.map(({ cell }) => cell) });
  }
  return replay;
}

/** Maximum tasks per query. */
const tasksMax = 200;

/**
 * Draws all matching dead letters again, as an operator. Cancelled and deleted tasks stay as they are.
 */
export async function replayDeadLetters(deps: ControlDeps, filter: DeadLetterFilter): Promise<Replay> {
  const replay: Replay = { tasks: 0, cells: 0, held: 0 };
  for (;;) {
    const ids = await listDeadLetterTasks(deps.sql, filter, tasksMax);
    const before = replay.cells;
    for (const taskId of ids) await replayTask(deps, replay, { ...filter, taskId });
    // Cells that fail again meanwhile are left to another call.
    if (ids.length < tasksMax || replay.cells === before) return replay;
  }
}
