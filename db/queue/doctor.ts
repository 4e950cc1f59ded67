/** Violated invariants of the rows: each query finds violations, and the function after it repairs one. */
import { closeFinishedTask } from "./control.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";
import { sweepCancelled } from "./tasks.ts";
import { transact } from "../pg/transaction.ts";

/**
 * Days since their last change for which ended tasks are checked; null for all. Open tasks are always
 * checked.
 */
export type Days = number | null;

const findingsMax = 100;

const inScope = (sql: Sql, days: Days) =>
  days === null ? sql`true` : sql`(
      t.status in ('pending', 'processing') or t.cancelling
      or t.updated_at > now() - ${days}::int * interval '1 day'
    )`;

const countRows = (sql: Sql) =>
  sql`(
    select count(*)::int as total, count(*) filter (where status = 'completed')::int as completed,
      count(*) filter (where status = 'failed')::int as failed,
      count(*) filter (where status = 'cancelled')::int as cancelled
    from subtasks s
    where s.parent_task_id = t.id
  )`;

/** A task whose counters differ from its rows. */
export interface CounterMismatch {
  task_id: string;
  /** Total, completed, failed and cancelled cells, as the task stores them. */
  stored: number[];
  /** The same numbers, counted from the rows. */
  actual: number[];
}

/** Finds tasks whose counters differ from their rows. */
export async function findCounterMismatches(sql: Sql, days: Days): Promise<CounterMismatch[]> {
  return await sql<CounterMismatch[]>`
    select t.id as task_id, array[c.total, c.completed, c.failed, c.cancelled] as actual,
      array[t.subtasks_total, t.subtasks_completed, t.subtasks_failed, t.subtasks_cancelled] as stored
    from tasks t cross join lateral ${countRows(sql)} c
    where ${inScope(sql, days)}
      and (t.subtasks_total, t.subtasks_completed, t.subtasks_failed, t.subtasks_cancelled)
        <> (c.total, c.completed, c.failed, c.cancelled)
    limit ${findingsMax}::int`;
}

const lockTask = (sql: Sql, id: string) => sql`select from tasks where id = ${id} for update`;

const recount = (sql: Sql, id: string) =>
  sql`
    update tasks t
    set subtasks_total = c.total, subtasks_completed = c.completed, subtasks_failed = c.failed,
      subtasks_cancelled = c.cancelled, updated_at = now(), revision = t.revision + 1
    from (
      select count(*)::int as total, count(*) filter (where status = 'completed')::int as completed,
        count(*) filter (where status = 'failed')::int as failed,
        count(*) filter (where status = 'cancelled')::int as cancelled
      from subtasks
      where parent_task_id = ${id}
    ) c
    where t.id = ${id}`;

/** Sets the counters of a task from its rows, and ends the task if all its cells have ended. */
export async function recountTask(pool: Pool, id: string): Promise<void> {
  await transact(pool, async (sql) => {
    await lockTask(sql, id);
    await recount(sql, id);
    await closeFinishedTask(sql, id);
  });
}

/**
 * Finds open tasks whose cells have all ended. Migrated tasks are left out, because they wait to be resumed.
 */
export async function findUnclosedTasks(sql: Sql): Promise<{ task_id: string }[]> {
  return await sql<{ task_id: string }[]>`
    select t.id as task_id
    from tasks t
    where t.status in ('pending', 'processing') and t.hold is distinct from 'import'
      and not exists (
        select from subtasks s where s.parent_task_id = t.id and s.status in ('pending', 'processing')
      )
    limit ${findingsMax}::int`;
}

/** Ends a task whose cells have all ended. */
export async function closeTask(pool: Pool, id: string): Promise<void> {
  await transact(pool, async (sql) => {
    await lockTask(sql, id);
    await closeFinishedTask(sql, id);
  });
}

/** An ended task with open cells. */
export interface OpenCellsFinding {
  task_id: string;
  status: string;
  cells: number;
}

/**
 * Finds ended tasks with open cells. Migrated tasks are left out: their documents may have been in that
 * state.
 */
export async function findTasksWithOpenCells(sql: Sql, days: Days): Promise<OpenCellsFinding[]> {
  return await sql<OpenCellsFinding[]>`
    select t.id as task_id, t.status, (
      select count(*)::int from subtasks s where s.parent_task_id = t.id and s.status in ('pending', 'processing')
    ) as cells
    from tasks t
    where t.status in ('completed', 'failed', 'cancelled') and not t.cancelling and t.generation is null
      and ${inScope(sql, days)}
      and exists (select from subtasks s where s.parent_task_id = t.id and s.status in ('pending', 'processing'))
    limit ${findingsMax}::int`;
}

/** Reopens a task that ended too early; if it was cancelled, its open cells are cancelled instead. */
export async function repairOpenCells(pool: Pool, id: string): Promise<void> {
  await transact(pool, async (sql) => {
    await lockTask(sql, id);
    await sql`
      update subtasks
      set status = 'cancelled', completed_at = now(), updated_at = now(), lease_id = null, worker_id = null,
        revision = (select revision + 1 from tasks where id = ${id})
      where parent_task_id = ${id} and status = 'processing'
        and exists (select from tasks where id = ${id} and status = 'cancelled')`;
    await sql`
      update tasks
      set status = case when status = 'cancelled' then status else 'processing' end,
        completed_at = case when status = 'cancelled' then completed_at end,
        cancelling = status = 'cancelled', all_subtasks_completed = false
      where id = ${id} and status in ('completed', 'failed', 'cancelled')`;
    await recount(sql, id);
    await sql`
      delete from outbox
      where task_id = ${id} and kind in ('completed', 'partial', 'failed')
        and exists (select from tasks where id = ${id} and status = 'processing')`;
  });
  while (await sweepCancelled(pool, id, 5_000));
}

/** Finds cancelled tasks with pending cells that are not cancelled yet. */
export async function findCancellingTasks(sql: Sql): Promise<{ task_id: string }[]> {
  return await sql<{ task_id: string }[]>`
    select id as task_id from tasks where cancelling limit ${findingsMax}::int`;
}

/** A task whose end columns contradict each other. */
export interface EndMismatch {
  task_id: string;
  status: string;
  completed_at: Date | null;
  all_subtasks_completed: boolean;
}

/**
 * Finds tasks created here whose `status`, `completed_at` and `all_subtasks_completed` contradict each other.
 */
export async function findEndMismatches(sql: Sql, days: Days): Promise<EndMismatch[]> {
  return await sql<EndMismatch[]>`
    select t.id as task_id, t.status, t.completed_at, t.all_subtasks_completed
    from tasks t
    where t.generation is null and ${inScope(sql, days)} and (
      (t.completed_at is null) = (t.status in ('completed', 'failed', 'cancelled'))
      or t.all_subtasks_completed <> (t.status in ('completed', 'failed', 'cancelled') and not t.cancelling)
    )
    limit ${findingsMax}::int`;
}

/** Sets `completed_at` and `all_subtasks_completed` from the status. */
export async function correctEnd(sql: Sql, id: string): Promise<void> {
  await sql`
    update tasks t
    set all_subtasks_completed = t.status in ('completed', 'failed', 'cancelled') and not t.cancelling,
      completed_at = case when t.status in ('completed', 'failed', 'cancelled') then coalesce(
        t.completed_at,
        (select max(s.completed_at) from subtasks s where s.parent_task_id = t.id),
        now()
      ) end,
      revision = t.revision + 1
    where t.id = ${id}`;
}

/** A running cell without a worker. */
export interface LostCell {
  task_id: string;
  id: string;
  cell: number | null;
  queue: Queue;
  worker_id: string | null;
  why: "no such worker" | "silent" | "overdue" | "no worker";
}

/** Finds running cells that no live worker works on. */
export async function findLostCells(
  sql: Sql,
  { deadAfterMs, overdueMs }: { deadAfterMs: number; overdueMs: number },
): Promise<LostCell[]> {
  return await sql<LostCell[]>`
    select *
    from (
      select s.parent_task_id as task_id, s.id, s.cell, s.queue, s.worker_id, case
        when s.worker_id is null then 'no worker'
        when w.id is null then 'no such worker'
        when w.heartbeat_at < now() - ${deadAfterMs}::int * interval '1 ms' then 'silent'
        when s.intent_at < now() - ${overdueMs}::int * interval '1 ms' then 'overdue'
      end as why
      from subtasks s
      join tasks t on t.id = s.parent_task_id
      left join workers w on w.id = s.worker_id
      where s.status = 'processing' and t.status in ('pending', 'processing')
        and (s.worker_id is not null or t.hold is distinct from 'import')
    ) as found
    where why is not null
    limit ${findingsMax}::int`;
}

/** A notice that is due and not sent. */
export interface StuckNotice {
  id: string;
  task_id: string;
  kind: string;
  tries: number;
  error: string | null;
  /** Seconds since it became due. */
  late_s: number;
}

/** Finds notices that have been due for more than `lateMs`. */
export async function findStuckNotices(sql: Sql, lateMs: number): Promise<StuckNotice[]> {
  return await sql<StuckNotice[]>`
    select id::text, task_id, kind, tries, error, extract(epoch from now() - due_at)::int as late_s
    from outbox
    where closed_at is null and due_at < now() - ${lateMs}::int * interval '1 ms'
    order by due_at
    limit ${findingsMax}::int`;
}

/** Counts notices that were abandoned within the last day. */
export async function countAbandonedNotices(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count
    from outbox
    where closed_at > now() - interval '1 day' and error is not null`;
  return row!.count;
}

/** Finds tasks created here that completed or failed and have no notice of it. */
export async function findMissingEndNotices(sql: Sql, days: Days): Promise<{ task_id: string }[]> {
  return await sql<{ task_id: string }[]>`
    select t.id as task_id
    from tasks t
    where t.generation is null and t.status in ('completed', 'failed') and ${inScope(sql, days)}
      and not exists (
        select from outbox o where o.task_id = t.id and o.kind in ('completed', 'partial', 'failed')
      )
    limit ${findingsMax}::int`;
}

/** Inserts the notice of a task's end. Its kind follows from the counters. */
export async function insertEndNotice(sql: Sql, id: string): Promise<void> {
  await sql`
    insert into outbox (task_id, kind)
    select id, case
      when subtasks_completed = subtasks_total then 'completed'
      when subtasks_completed > 0 then 'partial'
      else 'failed'
    end
    from tasks
    where id = ${id} and status in ('completed', 'failed')
    on conflict on constraint outbox_task_id_kind_key do nothing`;
}
