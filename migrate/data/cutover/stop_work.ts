/** Stops the workers' work for the way back, and lets it go on when the way back is given up. */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { raiseRevisions } from "../../../db/queue/revisions.ts";
import { channels } from "../../../db/queue/tasks.ts";

/**
 * Holds all unfinished tasks, and takes their running cells from the workers, whose results are then discarded. The
 * revision of each task that changes is raised, also of one that was held before.
 *
 * @returns the tasks that were not held before
 */
export async function stopWork(sql: Sql): Promise<{ tasks: string[]; cells: number }> {
  const tasks = await sql<{ id: string }[]>`
    update tasks
    set hold = 'import', revision = revision + 1
    where hold is null and status in ('pending', 'processing')
    returning id`;
  const [stopped] = await sql<{ cells: number }[]>`
    with running as materialized (
      select parent_task_id, id from subtasks where status = 'processing' and lease_id is not null
    ), ${raiseRevisions(sql, sql`select parent_task_id from running`)}, released as (
      update subtasks s
      set status = 'pending', lease_id = null, worker_id = null, started_at = null, updated_at = now()
      from running r
      join locked on locked.id = r.parent_task_id
      where s.parent_task_id = r.parent_task_id and s.id = r.id and s.status = 'processing'
        and s.lease_id is not null
      returning s.id
    )
    select count(*)::int as cells from released`;
  return { tasks: tasks.map(({ id }) => id), cells: stopped!.cells };
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
