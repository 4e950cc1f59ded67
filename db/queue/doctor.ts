/** What must hold of the rows and does not: each query finds, and the repair beside it puts one finding right. */
import { closeFinished } from "./control.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";
import { sweepCancelled } from "./tasks.ts";
import { transact } from "../pg/transaction.ts";

/** How far back ended tasks are looked at; open ones always are. Null: all. */
export type Days = number | null;

const findingsMax = 100;

const inScope = (sql: Sql, days: Days) =>
  days === null
    ? sql`true`
    : sql`(t.status in ('pending', 'processing') or t.cancelling or t.updated_at > now() - ${days}::int * interval '1 day')`;

const countRows = (sql: Sql) =>
  sql`(
    select count(*)::int as total, count(*) filter (where status = 'completed')::int as completed,
      count(*) filter (where status = 'failed')::int as failed,
      count(*) filter (where status = 'cancelled')::int as cancelled
    from subtasks s
    where s.parent_task_id = t.id
  )`;

export interface CountersOff {
  task_id: string;
  /** `total, completed, failed, cancelled` as the task says, and as its rows are. */
  said: number[];
  are: number[];
}

export async function findCountersOff(sql: Sql, days: Days): Promise<CountersOff[]> {
  return await sql<CountersOff[]>`
    select t.id as task_id, array[c.total, c.completed, c.failed, c.cancelled] as are,
      array[t.subtasks_total, t.subtasks_completed, t.subtasks_failed, t.subtasks_cancelled] as said
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

/** Counts a task's rows again; a task that proves to be finished ends. */
export async function recountTask(pool: Pool, id: string): Promise<void> {
  await transact(pool, async (sql) => {
    await lockTask(sql, id);
    await recount(sql, id);
    await closeFinished(sql, id);
  });
}

/** Open tasks all of whose cells have ended; those that were brought over wait to be resumed. */
export async function findUnclosed(sql: Sql): Promise<{ task_id: string }[]> {
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
    await closeFinished(sql, id);
  });
}

export interface OpenCells {
  task_id: string;
  status: string;
  cells: number;
}

/** Ended tasks with cells that have not; documents of the old backend may say so, and are left as they came. */
export async function findOpenCells(sql: Sql, days: Days): Promise<OpenCells[]> {
  return await sql<OpenCells[]>`
    select t.id as task_id, t.status, (
      select count(*)::int from subtasks s where s.parent_task_id = t.id and s.status in ('pending', 'processing')
    ) as cells
    from tasks t
    where t.status in ('completed', 'failed', 'cancelled') and not t.cancelling and t.generation is null
      and ${inScope(sql, days)}
      and exists (select from subtasks s where s.parent_task_id = t.id and s.status in ('pending', 'processing'))
    limit ${findingsMax}::int`;
}

/** Opens a task again that ended too early; of a cancelled one the rest is cancelled. */
export async function settleOpenCells(pool: Pool, id: string): Promise<void> {
  await transact(pool, async (sql) => {
    await lockTask(sql, id);
    await sql`
      update subtasks
      set status = 'cancelled', completed_at = now(), updated_at = now(), lease_id = null, worker_id = null
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

/** Tasks that are still being cancelled. */
export async function findSweeping(sql: Sql): Promise<{ task_id: string }[]> {
  return await sql<{ task_id: string }[]>`
    select id as task_id from tasks where cancelling limit ${findingsMax}::int`;
}

export interface WrongEnd {
  task_id: string;
  status: string;
  completed_at: Date | null;
  all_subtasks_completed: boolean;
}

/** Tasks born here whose end is not told alike by its three columns. */
export async function findWrongEnds(sql: Sql, days: Days): Promise<WrongEnd[]> {
  return await sql<WrongEnd[]>`
    select t.id as task_id, t.status, t.completed_at, t.all_subtasks_completed
    from tasks t
    where t.generation is null and ${inScope(sql, days)} and (
      (t.completed_at is null) = (t.status in ('completed', 'failed', 'cancelled'))
      or t.all_subtasks_completed <> (t.status in ('completed', 'failed', 'cancelled') and not t.cancelling)
    )
    limit ${findingsMax}::int`;
}

/** The status is right: the other two columns follow it. */
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

export interface LostCell {
  task_id: string;
  id: string;
  cell: number | null;
  queue: Queue;
  worker_id: string | null;
  why: "no such worker" | "silent" | "overdue" | "no worker";
}

/** Cells under way that nobody works on. */
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

export interface StuckNotice {
  id: string;
  task_id: string;
  kind: string;
  tries: number;
  error: string | null;
  /** How long it has been due. */
  late_s: number;
}

/** Notices that should have gone out. */
export async function findStuckNotices(sql: Sql, lateMs: number): Promise<StuckNotice[]> {
  return await sql<StuckNotice[]>`
    select id::text, task_id, kind, tries, error, extract(epoch from now() - due_at)::int as late_s
    from outbox
    where closed_at is null and due_at < now() - ${lateMs}::int * interval '1 ms'
    order by due_at
    limit ${findingsMax}::int`;
}

/** Notices given up in the last day. */
export async function countGivenUp(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from outbox
    where closed_at > now() - interval '1 day' and error is not null`;
  return row!.count;
}

/** Tasks born here that ended by themselves, and of whose end nothing is to be sent. */
export async function findUntold(sql: Sql, days: Days): Promise<{ task_id: string }[]> {
  return await sql<{ task_id: string }[]>`
    select t.id as task_id
    from tasks t
    where t.generation is null and t.status in ('completed', 'failed') and ${inScope(sql, days)}
      and not exists (
        select from outbox o where o.task_id = t.id and o.kind in ('completed', 'partial', 'failed')
      )
    limit ${findingsMax}::int`;
}

/** Writes the notice of a task's end, by its counters. */
export async function insertEndNotice(sql: Sql, id: string): Promise<void> {
  await sql`
    insert into outbox (task_id, kind)
    select id, case when subtasks_completed = subtasks_total then 'completed' when subtasks_completed > 0 then 'partial'
      else 'failed' end
    from tasks
    where id = ${id} and status in ('completed', 'failed')
    on conflict on constraint outbox_task_id_kind_key do nothing`;
}
