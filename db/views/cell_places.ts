/** Places of cells in the matrix, by which v2 names them. */
import type { Pool } from "../pg/connect.ts";

/**
 * Gives the cells of a task that was brought over their places: the order they were made in, which is row-major.
 *
 * @returns whether there was anything to do
 */
export async function numberCells(pool: Pool, taskId: string): Promise<boolean> {
  return await pool.begin(async (sql) => {
    const [task] = await sql`
      select 1 from tasks where id = ${taskId} and generation is not null and not cells_numbered for no key update`;
    if (!task) return false;
    await sql`
      with placed as (
        select id, row_number() over (order by legacy_id, id) - 1 as place from subtasks where parent_task_id = ${taskId}
      )
      update subtasks s set cell = p.place from placed p where s.parent_task_id = ${taskId} and s.id = p.id`;
    await sql`update tasks set cells_numbered = true where id = ${taskId}`;
    return true;
  }) as boolean;
}
