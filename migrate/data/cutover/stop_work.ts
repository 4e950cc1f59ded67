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

/** A cell that the old executor has under way: it may be drawn and paid for a second time. */
export interface CellUnderWay {
  task: string;
  subtask: string;
  /** Since its last change. */
  seconds: number;
}

/** Lists cells that the old executor has under way, the last ones first, and counts all of them. */
export async function listUnderWay(
  sql: Sql,
  limit: number,
): Promise<{ cells: CellUnderWay[]; total: number }> {
  const rows = await sql<(CellUnderWay & { total: number })[]>`
    select t.legacy_id as task, s.legacy_id as subtask,
      round(extract(epoch from now() - s.updated_at))::float8 as seconds, (count(*) over ())::float8 as total
    from subtasks s
    join tasks t on t.id = s.parent_task_id
    where s.status = 'processing' and s.lease_id is null
    order by s.updated_at desc
    limit ${limit}`;
  const cells = rows.map(({ task, subtask, seconds }) => ({ task, subtask, seconds }));
  return { cells, total: rows[0]?.total ?? 0 };
}
