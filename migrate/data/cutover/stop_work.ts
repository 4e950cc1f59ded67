/** Stops the workers' work for the way back, and lets it go on when the way back is given up. */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { channels } from "../../../db/queue/tasks.ts";

/**
 * Keeps all unfinished tasks from being drawn, and takes their running cells from the workers, whose results are then
 * discarded.
 *
 * @returns the tasks that were not kept before
 */
export async function stopWork(sql: Sql): Promise<{ tasks: string[]; cells: number }> {
  const tasks = await sql<{ id: string }[]>`
    update tasks
    set hold = 'import', revision = revision + 1
    where hold is null and status in ('pending', 'processing')
    returning id`;
  const cells = await sql`
    update subtasks
    set status = 'pending', lease_id = null, worker_id = null, started_at = null, updated_at = now()
    where status = 'processing' and lease_id is not null`;
  return { tasks: tasks.map(({ id }) => id), cells: cells.count };
}

/** Lets tasks be drawn again. */
export async function resumeWork(pool: Pool, tasks: readonly string[]): Promise<void> {
  await pool`
    update tasks
    set hold = null, revision = revision + 1
    where id = any (${[...tasks]}::uuid[]) and hold = 'import'`;
  await pool`select pg_notify(${channels.submitted}, '')`;
}

/** Lists cells that the old executor has under way, which may be drawn a second time. */
export async function listUnderWay(sql: Sql, limit: number) {
  return await sql<{ task: string; subtask: string; seconds: number }[]>`
    select t.legacy_id as task, s.legacy_id as subtask,
      round(extract(epoch from now() - s.updated_at))::float8 as seconds
    from subtasks s
    join tasks t on t.id = s.parent_task_id
    where s.status = 'processing' and s.lease_id is null
    order by s.updated_at desc
    limit ${limit}`;
}
