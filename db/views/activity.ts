/** What happens in the runs: the state of open and new tasks, and who rates. */
import type { Sql } from "../pg/connect.ts";
import { runningByTask, type TaskState } from "./events.ts";

/** The state of a task in the list of runs. */
export type ActiveTask = Omit<TaskState, "blind" | "ended"> & {
  /** Seconds since its first cell was claimed; null before. */
  started_seconds: number | null;
};

/**
 * Lists the states of all open tasks, of the `newest` newest ones, and of those with the given ids. Deleted tasks are
 * missing.
 */
export async function listActiveTasks(
  sql: Sql,
  { newest, ids }: { newest: number; ids: string[] },
): Promise<ActiveTask[]> {
  return await sql<ActiveTask[]>`
    select t.id, t.revision::float8 as revision, t.status, t.hold, t.subtasks_total as total,
      t.subtasks_completed as completed, t.subtasks_failed as failed, t.subtasks_cancelled as cancelled,
      coalesce(r.running, 0) as running, extract(epoch from now() - t.started_at)::float8 as started_seconds
    from (
      (select id from tasks where not is_deleted order by created_at desc, id desc limit ${newest}::int)
      union
      select id from tasks where status in ('pending', 'processing') and not is_deleted
      union
      select unnest(${ids}::uuid[])
    ) as chosen
    join tasks t on t.id = chosen.id
    left join (${runningByTask(sql)}) r on r.parent_task_id = t.id
    where not t.is_deleted`;
}

/** A person who rated cells of a task recently. */
export interface RecentRater {
  task_id: string;
  /** Full name or e-mail address; null for the holder of a share's link. */
  name: string | null;
  /** Number of ratings within the time. */
  ratings: number;
}

/** Lists who rated within the last seconds, most active first. */
export async function listRecentRaters(sql: Sql, seconds: number): Promise<RecentRater[]> {
  return await sql<RecentRater[]>`
    select r.task_id, coalesce(nullif(u.fullname, ''), u.email) as name, count(*)::int as ratings
    from ratings r
    left join users u on u.id = r.rater_id
    where r.updated_at > now() - ${seconds}::int * interval '1 s'
    group by r.task_id, r.rater_id, 2
    order by 3 desc, 2`;
}
