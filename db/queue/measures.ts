/** Figures of the whole queue for monitoring. */
import type { Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";

/** The state of the queue at one moment. */
export interface Measures {
  queues: { queue: Queue; pending: number; age_seconds: number }[];
  held: { hold: "import" | "pause" | "canary"; tasks: number }[];
  workers: number;
  notice_late_seconds: number;
}

/**
 * Measures the queue in one statement. The indexes subtasks_pending_idx and tasks_open_idx serve it.
 *
 * @param pendingMax counting stops there, so that a large backlog costs no more
 */
export async function measureQueue(sql: Sql, deadAfterMs: number, pendingMax = 10_000): Promise<Measures> {
  const [row] = await sql<[Measures]>`
    with open_tasks as (
      select id, created_at from tasks
      where status in ('pending', 'processing') and hold is null and not is_deleted
    ), queues as (
      select queue,
        (
          select count(*)::int from (
            select 1
            from open_tasks t
            join subtasks s on s.parent_task_id = t.id and s.queue = known.queue and s.status = 'pending'
            limit ${pendingMax}::int
          ) as counted
        ) as pending,
        coalesce((
          select extract(epoch from now() - t.created_at)::float8
          from open_tasks t
          where exists (
            select 1 from subtasks s
            where s.parent_task_id = t.id and s.queue = known.queue and s.status = 'pending'
          )
          order by t.created_at
          limit 1
        ), 0) as age_seconds
      from unnest('{high,standard,lumina}'::text[]) as known (queue)
    ), held as (
      select known.hold, count(t.id)::int as tasks
      from unnest('{import,pause,canary}'::text[]) as known (hold)
      left join tasks t
        on t.hold = known.hold and t.status in ('pending', 'processing') and not t.is_deleted
      group by known.hold
    )
    select
      (select json_agg(q) from queues q) as queues,
      (select json_agg(h) from held h) as held,
      (
        select count(*)::int from workers
        where heartbeat_at >= now() - ${deadAfterMs}::int * interval '1 ms'
      ) as workers,
      coalesce((
        select extract(epoch from now() - min(due_at))::float8
        from outbox where closed_at is null and due_at <= now()
      ), 0) as notice_late_seconds`;
  return row;
}
