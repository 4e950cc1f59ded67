/** Cancels single cells of a task before they are drawn. */
import type { Refusal, TaskRef } from "../people/task_access.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { closeFinishedTask, withLockedTask } from "./control.ts";

/**
 * Maximum cells of one transaction. Claims and settlements of the task's other cells wait for it, at most 0.2
 * s.
 */
const chunkCells = 2_000;

export interface PruneResult {
  /** Number of cells that were cancelled. */
  cells: number;
  /** The task has ended because no cell was left to draw. */
  ended: boolean;
}

async function pruneChunk(
  sql: Sql,
  { id, revision }: { id: string; revision: string },
  cells: number[],
): Promise<PruneResult> {
  const [row] = await sql<{ cut: number; left: number }[]>`
    with chosen as materialized (
      select id from subtasks where parent_task_id = ${id} and cell = any(${cells}::int[]) and status = 'pending'
    ), cut as (
      update subtasks s
      set status = 'cancelled', completed_at = now(), updated_at = now(), run_after = null,
        revision = ${revision}::bigint + 1
      from chosen
      where s.parent_task_id = ${id} and s.id = chosen.id
      returning 1
    )
    update tasks
    set subtasks_cancelled = subtasks_cancelled + (select count(*) from cut), updated_at = now(),
      revision = revision + 1
    where id = ${id} and exists (select from cut)
    returning (select count(*) from cut)::int as cut,
      subtasks_total - subtasks_completed - subtasks_failed - subtasks_cancelled as left`;
  const { cut = 0, left = 1 } = row ?? {};
  return { cells: cut, ended: left === 0 && await closeFinishedTask(sql, id) };
}

/**
 * Cancels the pending ones of the given cells; running and ended cells stay as they are. The task ends with
 * its last open cell. Many cells take several transactions, each complete in itself.
 */
export async function pruneRows(
  pool: Pool,
  ref: TaskRef,
  cells: number[],
): Promise<PruneResult | "already_ended" | Refusal> {
  let pruned = 0;
  for (let first = 0;; first += chunkCells) {
    const chunk = cells.slice(first, first + chunkCells);
    const answer = await withLockedTask<PruneResult | "already_ended">(pool, ref, async (sql, task) => {
      if (task.status !== "pending" && task.status !== "processing") return "already_ended";
      return await pruneChunk(sql, task, chunk);
    });
    // The task ended, was cancelled or was deleted meanwhile: report the cells of earlier chunks.
    if (typeof answer === "string") return pruned === 0 ? answer : { cells: pruned, ended: true };
    pruned += answer.cells;
    if (answer.ended || first + chunkCells >= cells.length) return { cells: pruned, ended: answer.ended };
  }
}
