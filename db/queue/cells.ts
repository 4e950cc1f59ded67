/** The state of one cell and of its queue, for diagnosis. */
import type { TaskStatus } from "./task_fields.ts";
import type { Sql } from "../pg/connect.ts";
import { type CellRef, type Hold, matchesCell } from "./control.ts";
import type { Queue } from "./subtasks.ts";

/** A cell with its task and its worker. Times and ages are those of the database's clock. */
export interface CellState {
  id: string;
  task_id: string;
  cell: number | null;
  queue: Queue;
  status: TaskStatus;
  task_status: TaskStatus;
  is_deleted: boolean;
  hold: Hold | null;
  hold_reason: string | null;
  attempt: number;
  retry_count: number;
  losses: number;
  error: string | null;
  remote_id: string | null;
  /** Earliest start of the next attempt; null if it is due. */
  run_after: Date | null;
  intent_at: Date | null;
  started_at: Date | null;
  completed_at: Date | null;
  worker_id: string | null;
  host: string | null;
  pid: number | null;
  /** Milliseconds since the worker's last heartbeat; null if the worker is not registered. */
  silent_ms: number | null;
}

/** Finds a cell by its number or its subtask's id; undefined if the task has no such cell. */
export async function findCell(sql: Sql, taskId: string, cell: CellRef): Promise<CellState | undefined> {
  const [row] = await sql<CellState[]>`
    select s.id, t.id as task_id, s.cell, s.queue, s.status, t.status as task_status, t.is_deleted, t.hold, t.hold_reason,
      s.attempt, s.retry_count, s.losses, s.error, s.remote_id, s.intent_at, s.started_at, s.completed_at,
      case when s.run_after > now() then s.run_after end as run_after, s.worker_id, w.host, w.pid,
      (extract(epoch from now() - w.heartbeat_at) * 1000)::float8 as silent_ms
    from tasks t
    join subtasks s on s.parent_task_id = t.id
    left join workers w on w.id = s.worker_id
    where t.id = ${taskId} and ${matchesCell(sql, cell)}
    limit 1`;
  return row;
}

/** The present capacity of a queue. */
export interface QueueCapacity {
  /** Number of live workers that serve the queue. */
  workers: number;
  /** Slots that those workers hold. */
  worker_slots: number;
  running: number;
  /** Slots over all workers, as the scaler last decided; null if it never did. */
  slots: number | null;
  /** A worker holds the leader lease. */
  has_leader: boolean;
}

/**
 * Reads the capacity of a queue.
 *
 * @param deadAfterMs age of the last heartbeat from which a worker counts as dead
 */
export async function readQueueCapacity(
  sql: Sql,
  queue: Queue,
  deadAfterMs: number,
): Promise<QueueCapacity> {
  const [row] = await sql<QueueCapacity[]>`
    with alive as (
      select coalesce((slots ->> ${queue})::int, 0) as slots
      from workers
      where ${queue} = any(queues) and heartbeat_at >= now() - ${deadAfterMs}::int * interval '1 ms'
    )
    select (select count(*) from alive)::int as workers,
      (select coalesce(sum(slots), 0) from alive)::int as worker_slots,
      (
        select count(*) from subtasks where status = 'processing' and lease_id is not null and queue = ${queue}
      )::int as running,
      (select slots from queue_slots where queue = ${queue}) as slots,
      exists (select from leaders where role = 'queue' and lease_until >= now()) as has_leader`;
  return row!;
}
