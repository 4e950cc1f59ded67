/** One cell, and what its start depends on. */
import type { TaskStatus } from "./task_fields.ts";
import type { Sql } from "../pg/connect.ts";
import { cellFits, type CellName, type Hold } from "./control.ts";
import type { Queue } from "./subtasks.ts";

/** A cell with its task and its worker; times by the database's clock, ages against its `now()`. */
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
  /** Null: not waiting, or its time has come. */
  run_after: Date | null;
  intent_at: Date | null;
  started_at: Date | null;
  completed_at: Date | null;
  worker_id: string | null;
  host: string | null;
  pid: number | null;
  /** Since the worker's last sign of life; null where it is not signed in. */
  silent_ms: number | null;
}

/** Finds a cell by its place in the matrix or its subtask's id; undefined where the task has none such. */
export async function findCell(sql: Sql, taskId: string, cell: CellName): Promise<CellState | undefined> {
  const [row] = await sql<CellState[]>`
    select s.id, t.id as task_id, s.cell, s.queue, s.status, t.status as task_status, t.is_deleted, t.hold, t.hold_reason,
      s.attempt, s.retry_count, s.losses, s.error, s.remote_id, s.intent_at, s.started_at, s.completed_at,
      case when s.run_after > now() then s.run_after end as run_after, s.worker_id, w.host, w.pid,
      (extract(epoch from now() - w.heartbeat_at) * 1000)::float8 as silent_ms
    from tasks t
    join subtasks s on s.parent_task_id = t.id
    left join workers w on w.id = s.worker_id
    where t.id = ${taskId} and ${cellFits(sql, cell)}
    limit 1`;
  return row;
}

/** What serves a queue just now. */
export interface QueueState {
  /** Living workers that serve it. */
  workers: number;
  /** Room for attempts in them. */
  room: number;
  running: number;
  /** As the scaler last decided, over all workers; null where it never did. */
  slots: number | null;
  /** Somebody leads. */
  led: boolean;
}

/** @param deadAfterMs without a sign of life */
export async function readQueueState(sql: Sql, queue: Queue, deadAfterMs: number): Promise<QueueState> {
  const [row] = await sql<QueueState[]>`
    with alive as (
      select coalesce((slots ->> ${queue})::int, 0) as room
      from workers
      where ${queue} = any(queues) and heartbeat_at >= now() - ${deadAfterMs}::int * interval '1 ms'
    )
    select (select count(*) from alive)::int as workers, (select coalesce(sum(room), 0) from alive)::int as room,
      (
        select count(*) from subtasks where status = 'processing' and lease_id is not null and queue = ${queue}
      )::int as running,
      (select slots from queue_slots where queue = ${queue}) as slots,
      exists (select from leaders where role = 'queue' and lease_until >= now()) as led`;
  return row!;
}
