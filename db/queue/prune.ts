/** Giving up cells of a task before they are drawn. */
import type { Pool } from "../pg/connect.ts";
import { closeFinished, type Place, type Refusal, withTask } from "./control.ts";

/** Cancelled in one transaction: claims and ends of the task's other cells wait for it, 0.2 s at most. */
const chunkCells = 2_000;

export interface Pruned {
  cells: number;
  /** Nothing was left to draw: the task has ended. */
  ended: boolean;
}

/**
 * Cancels those of the cells that are pending; what is under way or has ended stays as it is. With the task's last cell
 * it ends. Many cells take several transactions, each whole in itself.
 */
export async function pruneRows(
  pool: Pool,
  place: Place,
  cells: number[],
): Promise<Pruned | "already_ended" | Refusal> {
  let pruned = 0;
  for (let first = 0;; first += chunkCells) {
    const chunk = cells.slice(first, first + chunkCells);
    const answer = await withTask<Pruned | "already_ended">(
      pool,
      place,
      async (sql, { id, status, revision }) => {
        if (status !== "pending" && status !== "processing") return "already_ended";
        const [row] = await sql<{ cut: number; left: number }[]>`
        with chosen as materialized (
          select id from subtasks where parent_task_id = ${id} and cell = any(${chunk}::int[]) and status = 'pending'
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
        return { cells: cut, ended: left === 0 && await closeFinished(sql, id) };
      },
    );
    // Ended, cancelled or deleted meanwhile: what was given up by then is.
    if (typeof answer === "string") return pruned === 0 ? answer : { cells: pruned, ended: true };
    pruned += answer.cells;
    if (answer.ended || first + chunkCells >= cells.length) return { cells: pruned, ended: answer.ended };
  }
}
