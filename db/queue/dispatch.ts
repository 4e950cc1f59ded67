/** Dispatch of pending subtasks, and recovery of subtasks whose worker died. */
import { recordLosses } from "./attempts.ts";
import type { Sql } from "../pg/connect.ts";
import { raiseRevisions } from "./revisions.ts";
import type { LeasedSubtask, Queue, SubtaskRef } from "./subtasks.ts";
import { channels } from "./tasks.ts";

/**
 * Lists the subtasks of a queue that should run next, in fair order: users with less running work first, then
 * tasks of the user with less running work, then the spread order within the task.
 */
export async function listDispatchable(sql: Sql, queue: Queue, limit: number): Promise<SubtaskRef[]> {
  return await sql<SubtaskRef[]>`
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
        coalesce(r.cells, 0) + row_number() over (partition by open.id order by s.spread, s.id) as task_rank
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
          partition by w.owner order by w.priority desc, w.task_rank, w.created_at, w.task_id
        ) as owner_rank
      from within_task w
      left join owners o using (owner)
    )
    select task_id, id
    from within_owner
    order by priority desc, owner_rank, created_at, task_id
    limit ${limit}::int`;
}

/** Counts pending cells of open tasks in a queue, up to `limit`. */
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

/** Notifies workers that cannot block on Redis that the streams of these queues have new entries. */
export async function announceFed(sql: Sql, queues: Queue[]): Promise<void> {
  await sql`select pg_notify(${channels.fed}, ${queues.join(",")})`;
}

/**
 * Reports to all workers whether the leader can add entries to the streams.
 *
 * @param failure the text of the failure; empty when the feed works
 */
export async function announceFeed(sql: Sql, failure: string): Promise<void> {
  await sql`select pg_notify(${channels.feed}, ${failure})`;
}

/** Counts running cells by queue, over all workers. */
export async function countRunning(sql: Sql): Promise<Map<Queue, number>> {
  const rows = await sql<{ queue: Queue; cells: number }[]>`
    select queue, count(*)::int as cells
    from subtasks
    where status = 'processing' and worker_id is not null
    group by 1`;
  return new Map(rows.map(({ queue, cells }) => [queue, cells]));
}

/** Lists the leases of a worker. */
export async function listLeases(sql: Sql, worker: string): Promise<LeasedSubtask[]> {
  return await sql<LeasedSubtask[]>`
    select parent_task_id as task_id, id, lease_id::text
    from subtasks
    where worker_id = ${worker} and status = 'processing' and lease_id is not null`;
}

/** A subtask whose worker died or is silent. */
export interface Orphan extends SubtaskRef {
  remote_id: string | null;
  intent_at: Date | null;
}

/**
 * Makes the subtasks of dead workers pending again. If the id of a remote job was saved, the next worker
 * continues to poll that job. Rows of migrated tasks, which have no worker, stay as they are. A subtask that
 * another leader has released meanwhile and that was claimed again has a new lease and is left alone.
 *
 * A silent worker may live. Only what costs nothing is taken from it: jobs whose id is saved, and attempts that
 * wait to be repeated. A subtask whose POST may be under way keeps its lease, also if that began meanwhile.
 *
 * @param overdueMs running time from which an attempt counts as orphaned too; the next worker ends it
 * @param takeOverAfterMs age of the last heartbeat from which a worker is silent; null spares silent workers
 */
export async function releaseOrphans(
  sql: Sql,
  overdueMs: number,
  takeOverAfterMs: number | null = null,
): Promise<Orphan[]> {
  return await sql<Orphan[]>`
    with orphans as materialized (
      select s.parent_task_id, s.id, s.worker_id, s.lease_id, s.attempt, s.intent_at, s.remote_id
      from subtasks s
      left join workers w on w.id = s.worker_id
      where s.status = 'processing' and s.worker_id is not null
        and (
          w.id is null
          or s.intent_at < now() - ${overdueMs}::float8 * interval '1 ms'
          or (s.remote_id is not null or s.intent_at is null)
            and w.heartbeat_at < now() - ${takeOverAfterMs}::float8 * interval '1 ms'
        )
    ), ${raiseRevisions(sql, sql`select parent_task_id from orphans`)}, released as (
      update subtasks s
      set status = 'pending', lease_id = null, worker_id = null, updated_at = now(),
        losses = least(s.losses + 1, 1000)
      from orphans o
      join locked on locked.id = o.parent_task_id
      where s.parent_task_id = o.parent_task_id and s.id = o.id and s.status = 'processing'
        and s.worker_id = o.worker_id and s.lease_id is not distinct from o.lease_id
        and s.remote_id is not distinct from o.remote_id and s.intent_at is not distinct from o.intent_at
      returning s.parent_task_id as task_id, s.id, s.remote_id, s.intent_at
    )${recordLosses(sql)}
    select task_id, id, remote_id, intent_at from released`;
}
