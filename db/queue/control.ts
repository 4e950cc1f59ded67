/** Changes that people make to an existing task: pause, resume, retry failed cells, re-run one cell. */
import type { TaskStatus } from "./task_fields.ts";
import { matchesCause } from "./attempts.ts";
import { findChangeableTask, type Refusal, type TaskRef } from "../people/task_access.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { raiseRevisions } from "./revisions.ts";
import { channels } from "./tasks.ts";
import { transact } from "../pg/transaction.ts";

export type Hold = "import" | "pause" | "canary";

/** A task whose row is locked. */
interface LockedTask {
  id: string;
  status: TaskStatus;
  hold: Hold | null;
  subtasks_total: number;
  revision: string;
}

const isOpen = ({ status }: LockedTask): boolean => status === "pending" || status === "processing";

/**
 * Runs `move` while the row of the task is locked. The lock waits for claims in progress, which hold a key
 * share of the row. Settlements that arrive later wait for the lock. Statements after the lock see everything
 * committed before it.
 */
export async function withLockedTask<T>(
  pool: Pool,
  ref: TaskRef,
  move: (sql: Sql, task: LockedTask) => Promise<T>,
): Promise<T | Refusal> {
  return await transact<T | Refusal>(pool, async (sql) => {
    const columns = sql`id, status, hold, subtasks_total, revision::text`;
    const task = await findChangeableTask<LockedTask>(sql, ref, { columns, lock: "update" });
    return typeof task === "string" ? task : await move(sql, task);
  });
}

/** Holds an open task. After the commit none of its cells is claimed; running cells finish. */
export async function pauseTaskRow(
  pool: Pool,
  ref: TaskRef,
  reason: string,
): Promise<"paused" | "already_paused" | "already_ended" | Refusal> {
  return await withLockedTask(pool, ref, async (sql, task) => {
    if (!isOpen(task)) return "already_ended";
    if (task.hold !== null) return "already_paused";
    await sql`
      update tasks
      set hold = 'pause', hold_reason = ${reason}, updated_at = now(), revision = revision + 1
      where id = ${task.id}`;
    return "paused";
  });
}

/**
 * Removes the hold of an open task, whatever its kind. Cells that the old backend left as `processing` have
 * no worker here and become pending. A task without open cells ends.
 */
export async function resumeTaskRow(
  pool: Pool,
  ref: TaskRef,
): Promise<"resumed" | "not_paused" | "already_ended" | Refusal> {
  return await withLockedTask(pool, ref, async (sql, task) => {
    if (!isOpen(task)) return "already_ended";
    if (task.hold === null) return "not_paused";
    await sql`
      update tasks
      set hold = null, hold_reason = null, canary_lifted = canary_lifted or hold = 'canary', updated_at = now(),
        revision = revision + 1
      where id = ${task.id}`;
    if (task.hold === "import") {
      await releaseUnleased(sql, task.id);
      await closeFinishedTask(sql, task.id);
    }
    await sql`select pg_notify(${channels.submitted}, '')`;
    return "resumed";
  });
}

/** Makes cells pending that are processing without a lease. @returns the number of cells */
export async function releaseUnleased(sql: Sql, id: string): Promise<number> {
  const rows = await sql`
    with ${raiseRevisions(sql, sql`select ${id}::uuid`)}
    update subtasks s
    set status = 'pending', updated_at = now()
    from locked
    where s.parent_task_id = locked.id and s.status = 'processing' and s.lease_id is null and s.worker_id is null
    returning 1`;
  return rows.length;
}

/**
 * Ends an open task if all its cells have ended, counts its cells anew and adds the notice of its end. The
 * row of the task must be locked.
 *
 * @returns whether the task ended
 */
export async function closeFinishedTask(sql: Sql, id: string): Promise<boolean> {
  const rows = await sql`
    with counted as (
      select count(*) as total, count(*) filter (where status = 'completed') as completed,
        count(*) filter (where status = 'failed') as failed,
        count(*) filter (where status = 'cancelled') as cancelled
      from subtasks
      where parent_task_id = ${id}
    ), closed as (
      update tasks t
      set subtasks_total = c.total, subtasks_completed = c.completed, subtasks_failed = c.failed,
        subtasks_cancelled = c.cancelled, all_subtasks_completed = true, completed_at = now(), updated_at = now(),
        revision = t.revision + 1, hold = null, hold_reason = null,
        status = case
          when c.total = 0 or c.completed > 0 then 'completed'
          when c.failed = c.total then 'failed'
          when c.cancelled = c.total then 'cancelled'
          else 'completed'
        end
      from counted c
      where t.id = ${id} and t.status in ('pending', 'processing')
        and c.completed + c.failed + c.cancelled = c.total
      returning t.id, c.total, c.completed, c.failed, c.cancelled
    ), notices as (
      insert into outbox (task_id, kind)
      select id, case when completed = total then 'completed' when completed > 0 then 'partial' else 'failed' end
      from closed
      where cancelled < total or total = 0
      on conflict on constraint outbox_task_id_kind_key do nothing
    )
    select id from closed`;
  return rows.length > 0;
}

/**
 * Reopens a task for cells that have become pending, and subtracts their earlier ends from its counters. The
 * task will end a second time and sends its notice then. Therefore the notices of the first end are deleted,
 * sent or not.
 */
export async function reopenTask(
  sql: Sql,
  id: string,
  ends: { completed: number; failed: number },
): Promise<void> {
  await sql`
    update tasks
    set subtasks_completed = subtasks_completed - ${ends.completed}::int,
      subtasks_failed = subtasks_failed - ${ends.failed}::int,
      status = case when status in ('completed', 'failed') then 'processing' else status end,
      completed_at = null, all_subtasks_completed = false, updated_at = now(), revision = revision + 1
    where id = ${id}`;
  await sql`delete from outbox where task_id = ${id} and kind in ('completed', 'partial', 'failed')`;
  await sql`select pg_notify(${channels.submitted}, '')`;
}

/** Maximum number of earlier attempts that a subtask keeps when it is drawn again. */
const attemptsKept = 50;

/** Selects failed cells of a task. An empty filter selects all of them. */
export interface FailedFilter {
  /** Part of the cause, in any case. */
  cause?: string;
  /** Earliest time of the failure. */
  since?: Date;
  /** Cell numbers. */
  cells?: number[];
}

/**
 * Maximum cells of one transaction. Claims and settlements of the task's other cells wait for it, at most 0.2
 * s.
 */
const chunkCells = 2_000;

/** The result of retrying failed cells. */
export interface RetryResult {
  /** Number of cells that are pending again; 0 if none had failed, as on a repeated call. */
  cells: number;
  /** The hold that still keeps the task from being dispatched; null if there is none. */
  hold: Hold | null;
}

/** @param until cells that failed later stay as they are */
async function retryChunk(
  sql: Sql,
  task: LockedTask,
  { cause, since, cells, until, cellsMax }: FailedFilter & { until: string; cellsMax: number },
): Promise<number> {
  const failedSince = since === undefined ? sql`true` : sql`s.completed_at >= ${since}`;
  const inCells = cells === undefined ? sql`true` : sql`s.cell = any(${cells}::int[])`;
  const withCause = matchesCause(sql, cause === undefined ? {} : { cause });
  const rows = await sql`
    with chosen as materialized (
      select s.id
      from subtasks s
      where s.parent_task_id = ${task.id} and s.status = 'failed' and s.completed_at <= ${until}::timestamptz
        and ${failedSince} and ${inCells} and ${withCause}
      limit ${cellsMax}::int
    ), again as (
      update subtasks s
      set status = 'pending', completed_at = null, remote_id = null, intent_at = null, retry_count = 0,
        run_after = null, losses = 0, lease_id = null, worker_id = null, updated_at = now(),
        revision = ${task.revision}::bigint + 1
      from chosen
      where s.parent_task_id = ${task.id} and s.id = chosen.id
      returning s.id, s.attempt
    ), old_attempts as (
      delete from attempts a using again
      where a.task_id = ${task.id} and a.subtask_id = again.id and a.attempt <= again.attempt - ${attemptsKept}::int
    )
    select 1 from again`;
  if (rows.length > 0) await reopenTask(sql, task.id, { completed: 0, failed: rows.length });
  return rows.length;
}

/**
 * Makes failed cells pending again and resets their retries. The attempt number continues, and `error` stays
 * until it is overwritten. Many cells take several transactions, each complete in itself; after an
 * interruption, call again. Cells that fail during the call stay as they are.
 */
export async function retryFailedRows(
  pool: Pool,
  ref: TaskRef,
  filter: FailedFilter = {},
  cellsMax = chunkCells,
): Promise<RetryResult | "cancelled" | Refusal> {
  let cells = 0;
  let until: string | undefined;
  for (;;) {
    const answer = await withLockedTask(pool, ref, async (sql, task) => {
      if (task.status === "cancelled") return "cancelled";
      // `completed_at` is rounded to milliseconds: one more millisecond includes every earlier failure.
      until ??= (await sql<{ at: string }[]>`select (now() + interval '1 ms')::text as at`)[0]!.at;
      return { chunk: await retryChunk(sql, task, { ...filter, until, cellsMax }), hold: task.hold };
    });
    // The task was cancelled or deleted meanwhile: the cells of earlier chunks ended with it.
    if (typeof answer === "string") return cells === 0 ? answer : { cells, hold: null };
    cells += answer.chunk;
    if (answer.chunk < cellsMax) return { cells, hold: answer.hold };
  }
}

/** The number of a cell, or the id of its subtask if it has no number. */
export type CellRef = number | string;

/** Returns the SQL condition that `s` is the referenced subtask. */
export const matchesCell = (sql: Sql, cell: CellRef) =>
  typeof cell === "number" ? sql`s.cell = ${cell}::int` : sql`s.id = ${cell}::uuid`;

/**
 * Makes an ended cell pending again. Its present image moves to the cell's history together with its ratings
 * and evaluations.
 *
 * @returns `running`: a worker is drawing it; `already_pending`: it will be drawn anyway
 */
export async function rerunCellRow(
  pool: Pool,
  ref: TaskRef,
  cell: CellRef,
): Promise<"rerun" | "running" | "already_pending" | "cancelled" | "no_such_cell" | Refusal> {
  return await withLockedTask(pool, ref, async (sql, task) => {
    if (task.status === "cancelled") return "cancelled";
    const [found] = await sql<{ id: string; status: TaskStatus }[]>`
      select s.id, s.status
      from subtasks s
      where s.parent_task_id = ${task.id} and ${matchesCell(sql, cell)}
      limit 1
      for update`;
    if (!found) return "no_such_cell";
    const { id, status } = found;
    if (status === "processing") return "running";
    if (status === "pending") return "already_pending";
    if (status === "cancelled") return "cancelled";
    await archiveImage(sql, task.id, id);
    await sql`
      update subtasks
      set status = 'pending', completed_at = null, remote_id = null, intent_at = null, retry_count = 0,
        run_after = null, losses = 0, lease_id = null, worker_id = null, updated_at = now(),
        result = null, image_url = null, rating = null, rating_n = 0, rating_sum = 0, evaluate = null,
        revision = ${task.revision}::bigint + 1
      where parent_task_id = ${task.id} and id = ${id}`;
    await reopenTask(sql, task.id, {
      completed: Number(status === "completed"),
      failed: Number(status === "failed"),
    });
    return "rerun";
  });
}

/** Copies the image of a completed subtask into its history. */
async function archiveImage(sql: Sql, taskId: string, id: string): Promise<void> {
  await sql`
    insert into attempts (task_id, subtask_id, attempt, started_at, ended_at, outcome, remote_id, image_url, rating, evaluate)
    select parent_task_id, id, attempt, intent_at, completed_at, 'done', remote_id, image_url, rating, evaluate
    from subtasks
    where parent_task_id = ${taskId} and id = ${id} and status = 'completed'
    on conflict on constraint attempts_pkey do update
    set image_url = excluded.image_url, rating = excluded.rating, evaluate = excluded.evaluate`;
}
