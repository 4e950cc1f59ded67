/** Cell numbers, by which v2 names the cells of a task. */
import type { Pool } from "../pg/connect.ts";

/**
 * Numbers the cells of a migrated task in their order of creation, which is row-major.
 *
 * @returns whether the cells had no numbers before
 */
export async function numberCells(pool: Pool, taskId: string): Promise<boolean> {
  return await pool.begin(async (sql) => {
    const [task] = await sql`
      select 1
      from tasks
      where id = ${taskId} and generation is not null and not cells_numbered
      for no key update`;
    if (!task) return false;
    await sql`
      with numbered as (
        select id, row_number() over (order by legacy_id, id) - 1 as cell
        from subtasks
        where parent_task_id = ${taskId}
      )
      update subtasks s
      set cell = n.cell
      from numbered n
      where s.parent_task_id = ${taskId} and s.id = n.id`;
    await sql`update tasks set cells_numbered = true where id = ${taskId}`;
    return true;
  }) as boolean;
}
