/** The state of the installation for administrators and for monitoring: schema, queues, workers. */
import type { Sql } from "../pg/connect.ts";
import type { SlotOverride } from "./slots.ts";
import type { Queue } from "./subtasks.ts";

/** Finds the last applied step of the schema. */
export async function findSchemaStep(sql: Sql): Promise<{ number: number; name: string } | undefined> {
  const [row] = await sql<{ number: number; name: string }[]>`
    select number, name from migration.schema_steps order by number desc limit 1`;
  return row;
}

export interface QueueState {
  queue: Queue;
  slots: number;
  wanted: number;
  reason: string;
  changed_at: Date;
  override: (Omit<SlotOverride, "queue" | "expires_at"> & { made_at: string; expires_at: string }) | null;
}

/** Lists all queues that have slots, with their unexpired slot overrides. */
export async function listQueueStates(sql: Sql): Promise<QueueState[]> {
  return await sql<QueueState[]>`
    select q.queue, q.slots, q.wanted, q.reason, q.changed_at,
      case when o.queue is not null then json_build_object(
        'slots', o.slots, 'reason', o.reason, 'made_by', o.made_by, 'made_at', o.made_at, 'expires_at', o.expires_at
      ) end as override
    from unnest('{high,standard,lumina}'::text[]) with ordinality as known (queue, ordinal)
    join queue_slots q using (queue)
    left join slot_overrides o on o.queue = q.queue and o.expires_at > now()
    order by known.ordinal`;
}

export interface WorkerState {
  id: string;
  host: string;
  pid: number;
  queues: Queue[];
  slots: Record<string, number>;
  running: number;
  started_at: Date;
  heartbeat_at: Date;
  alive: boolean;
}

/** Lists the registered workers in order of registration; `alive` by the database's clock. */
export async function listWorkers(sql: Sql, deadAfterMs: number): Promise<WorkerState[]> {
  return await sql<WorkerState[]>`
    select w.id, w.host, w.pid, w.queues, w.slots, w.started_at, w.heartbeat_at,
      (select count(*)::int from subtasks s where s.worker_id = w.id and s.status = 'processing') as running,
      w.heartbeat_at >= now() - ${deadAfterMs}::int * interval '1 ms' as alive
    from workers w
    order by w.started_at, w.id`;
}

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
