/** What of the subtasks is to be dispatched, and what lost its worker. */
import { noteLosses } from "./attempts.ts";
import type { Sql } from "../pg/connect.ts";
import type { Held, Queue, Ref } from "./subtasks.ts";
import { channels } from "./tasks.ts";

/**
 * What should run next in a queue, fairest first: equal running work a user, then a task of that user, then the
 * spread order inside the task.
 */
export async function listDispatchable(sql: Sql, queue: Queue, limit: number): Promise<Ref[]> {
  return await sql<Ref[]>`
    with open as materialized (
      select id, coalesce(owner_id::text, username) as owner, priority, created_at
      from tasks
      where status in ('pending', 'processing') and hold is null and not is_deleted
      order by priority desc, created_at
      limit 1000
    ), running as materialized (
      select parent_task_id, count(*) as cells from subtasks where status = 'processing' group by 1
    ), within_task as (
      select
        open.id as task_id, s.id, open.owner, open.priority, open.created_at, coalesce(r.cells, 0) as task_running,
        coalesce(r.cells, 0) + row_number() over (partition by open.id order by s.spread, s.id) as task_place
      from open
      cross join lateral (
        select s.id, s.spread
        from subtasks s
        where s.parent_task_id = open.id and s.queue = ${queue} and s.status = 'pending'
          and (s.run_after is null or s.run_after <= now())
        order by s.spread
        limit least(${limit}::int, greatest(8, 4 * ${limit}::int / (select count(*) from open)))
      ) s
      left join running r on r.parent_task_id = open.id
    ), owners as (
      select open.owner, sum(r.cells) as running
      from open join running r on r.parent_task_id = open.id
      group by 1
    ), within_owner as (
      select
        w.*,
        coalesce(o.running, 0) + row_number() over (
          partition by w.owner order by w.priority desc, w.task_place, w.created_at, w.task_id
        ) as owner_place
      from within_task w
      left join owners o using (owner)
    )
    select task_id, id
    from within_owner
    order by priority desc, owner_place, created_at, task_id
    limit ${limit}::int`;
}

/** Pending cells of open tasks in a queue, counted up to `limit`. */
export async function countBacklog(sql: Sql, queue: Queue, limit: number): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count
    from (
      select 1
      from tasks t
      join subtasks s on s.parent_task_id = t.id and s.queue = ${queue} and s.status = 'pending'
      where t.status in ('pending', 'processing') and t.hold is null and not t.is_deleted
      limit ${limit}::int
    ) as found`;
  return row!.count;
}

/** Tells workers that cannot wait in Redis that there is something to read. */
export async function announceFed(sql: Sql, queues: Queue[]): Promise<void> {
  await sql`select pg_notify(${channels.fed}, ${queues.join(",")})`;
}

/** Cells under way by queue, whoever works on them. */
export async function countRunning(sql: Sql): Promise<Map<Queue, number>> {
  const rows = await sql<{ queue: Queue; cells: number }[]>`
    select queue, count(*)::int as cells
    from subtasks
    where status = 'processing' and worker_id is not null
    group by 1`;
  return new Map(rows.map(({ queue, cells }) => [queue, cells]));
}

/** Leases that a worker holds by the rows. */
export async function listHeld(sql: Sql, worker: string): Promise<Held[]> {
  return await sql<Held[]>`
    select parent_task_id as task_id, id, lease_id::text
    from subtasks
    where worker_id = ${worker} and status = 'processing' and lease_id is not null`;
}

/** A subtask that lost its worker. */
export interface Orphan extends Ref {
  remote_id: string | null;
  intent_at: Date | null;
}

/**
 * Makes what dead workers held pending again; a new worker polls on where a remote job's id was saved. Rows of tasks
 * that were brought over are left as they came. What another leader has released meanwhile, and somebody has claimed,
 * is no longer the orphan that was found: its lease is another.
 *
 * @param overdueMs an attempt that has run for so long lost its worker too: whoever takes it over ends it
 */
export async function releaseOrphans(sql: Sql, overdueMs: number): Promise<Orphan[]> {
  return await sql<Orphan[]>`
    with gone as materialized (
      select s.parent_task_id, s.id, s.worker_id, s.lease_id, s.attempt, s.intent_at, s.remote_id
      from subtasks s
      where s.status = 'processing' and s.worker_id is not null
        and (
          not exists (select from workers w where w.id = s.worker_id)
          or s.intent_at < now() - ${overdueMs}::float8 * interval '1 ms'
        )
    ), released as (
      update subtasks s
      set status = 'pending', lease_id = null, worker_id = null, updated_at = now(),
        losses = least(s.losses + 1, 1000)
      from gone
      where s.parent_task_id = gone.parent_task_id and s.id = gone.id and s.status = 'processing'
        and s.worker_id = gone.worker_id and s.lease_id is not distinct from gone.lease_id
      returning s.parent_task_id as task_id, s.id, s.remote_id, s.intent_at
    )${noteLosses(sql)}
    select task_id, id, remote_id, intent_at from released`;
}
