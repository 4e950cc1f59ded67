/** Dead letters: cells that failed for good; listed, looked into, and drawn again by filter. */
import {
  type AttemptRow,
  countCauses,
  type DeadFilter,
  type DeadLetter,
  listAttempts,
  listDeadLetters,
  listDeadTasks,
} from "../../db/queue/attempts.ts";
import type { Sql } from "../../db/pg/connect.ts";
import { findCell } from "../../db/queue/cells.ts";
import type { CellName } from "../../db/queue/control.ts";
import { type ControlDeps, operator, retryFailed } from "./control.ts";

export interface DeadPage {
  /** Newest first. */
  letters: DeadLetter[];
  /** Of all that fit the filter, the most frequent first; at most a hundred. */
  causes: { cause: string; cells: number }[];
}

const lettersMax = 1_000;

/** What failed for good, and of what. @param limit of the letters; at most 1,000 */
export async function listDead(sql: Sql, filter: DeadFilter, limit = 50): Promise<DeadPage> {
  const letters = await listDeadLetters(sql, filter, Math.min(limit, lettersMax));
  return { letters, causes: await countCauses(sql, filter) };
}

/** All attempts of one cell, oldest first; undefined where there is no such cell. */
export async function inspectCell(
  sql: Sql,
  taskId: string,
  cell: CellName,
): Promise<AttemptRow[] | undefined> {
  const found = await findCell(sql, taskId, cell);
  return found && await listAttempts(sql, taskId, found.id);
}

const tasksAtOnce = 200;

/**
 * Draws again whatever failed and fits the filter, as an operator; tasks that were cancelled or deleted stay as they
 * are.
 *
 * @returns tasks and cells that are pending again, and how many of these tasks are held
 */
export async function replayDead(
  deps: ControlDeps,
  filter: DeadFilter,
): Promise<{ tasks: number; cells: number; held: number }> {
  const done = { tasks: 0, cells: 0, held: 0 };
  for (;;) {
    const ids = await listDeadTasks(deps.sql, filter, tasksAtOnce);
    let cells = 0;
    for (const taskId of ids) {
      const answer = await retryFailed(deps, { ...filter, taskId, userId: operator });
      if (typeof answer === "string" || answer.cells === 0) continue;
      cells += answer.cells;
      done.tasks++;
      if (answer.hold !== null) done.held++;
    }
    done.cells += cells;
    // What fails again meanwhile is left to another call.
    if (ids.length < tasksAtOnce || cells === 0) return done;
  }
}
