/** What people do to a task that is there: pause, resume, draw again what failed, or one cell. */
import type { TaskStatus } from "./task_fields.ts";
import { causeFits } from "./attempts.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { channels } from "./tasks.ts";
import { transact } from "../pg/transaction.ts";

export type Hold = "import" | "pause" | "canary";

/** Whose task it must be; null where an operator asks, to whom all are open. */
export type Owner = string | null;

/** Why a move was not made. */
export type Refusal = "not_found" | "forbidden";

interface Locked {
  id: string;
  status: TaskStatus;
  hold: Hold | null;
  subtasks_total: number;
  revision: string;
}

const isOpen = ({ status }: Locked): boolean => status === "pending" || status === "processing";

/**
 * Runs `move` with the task's row locked: claims under way, which hold a key share of it, are waited for, and what ends
 * meanwhile waits for us. A statement after the lock sees what was committed before it.
 */
export async function withTask<T>(
  pool: Pool,
  { id, owner }: { id: string; owner: Owner },
  move: (sql: Sql, task: Locked) => Promise<T>,
): Promise<T | Refusal> {
  return await transact<T | Refusal>(pool, async (sql) => {
    const [task] = await sql<(Locked & { owned: boolean })[]>`
      select id, status, hold, subtasks_total, revision::text,
        -- A task is its submitter's by e-mail, as it always was: also one that came over before its user did.
        ${owner}::uuid is null or username = (select email from users where id = ${owner}) is true as owned
      from tasks
      where id = ${id} and not is_deleted
      for update`;
    if (!task) return "not_found";
    return task.owned ? await move(sql, task) : "forbidden";
  });
}

export type Place = { id: string; owner: Owner };

/** Holds an open task: after this commit none of its cells is claimed; those under way go on. */
export async function pauseTaskRow(
  pool: Pool,
  place: Place,
  reason: string,
): Promise<"paused" | "already_paused" | "already_ended" | Refusal> {
  return await withTask(pool, place, async (sql, task) => {
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
 * Lets an open task go on, whatever held it. What the old backend left as processing belongs to nobody here: it is drawn
 * anew; a task that has nothing left to draw ends.
 */
export async function resumeTaskRow(
  pool: Pool,
  place: Place,
): Promise<"resumed" | "not_paused" | "already_ended" | Refusal> {
  return await withTask(pool, place, async (sql, task) => {
    if (!isOpen(task)) return "already_ended";
    if (task.hold === null) return "not_paused";
    await sql`
      update tasks
      set hold = null, hold_reason = null, canary_lifted = canary_lifted or hold = 'canary', updated_at = now(),
        revision = revision + 1
      where id = ${task.id}`;
    if (task.hold === "import") {
      await releaseUnheld(sql, task.id);
      await closeFinished(sql, task.id);
    }
    await sql`select pg_notify(${channels.submitted}, '')`;
    return "resumed";
  });
}

/** Makes cells pending that are processing without a lease. @returns how many */
export async function releaseUnheld(sql: Sql, id: string): Promise<number> {
  const rows = await sql`
    update subtasks
    set status = 'pending', updated_at = now()
    where parent_task_id = ${id} and status = 'processing' and lease_id is null and worker_id is null
    returning 1`;
  return rows.length;
}

/**
 * Ends an open task all of whose cells have ended, by its rows, and has it told of; nothing where some have not.
 * Its row must be locked.
 */
export async function closeFinished(sql: Sql, id: string): Promise<boolean> {
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
    ), told as (
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
 * Opens a task again for cells that are pending now: of those that had ended, the ends are taken out of its counters.
 * It will end a second time, and must be told of then: the notices of its first end go, also one that was never sent, since
 * what it would tell is no longer so.
 */
export async function reopen(
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

/** Older attempts of a subtask than these are forgotten when it is drawn again. */
const attemptsKept = 50;

/** Which failed cells of a task; all without a filter. */
export interface FailedFilter {
  /** A part of the cause, in any case. */
  cause?: string;
  since?: Date;
  /** Places in the matrix. */
  cells?: number[];
}

/** Made pending in one transaction: claims and ends of the task's other cells wait for it, 0.2 s at most. */
const chunkCells = 2_000;

export interface RetriedRows {
  cells: number;
  /** What keeps the task from being dispatched all the same. */
  hold: Hold | null;
}

/** @param until what failed later is left alone */
async function retryChunk(
  sql: Sql,
  task: Locked,
  { cause, since, cells, until, cellsMax }: FailedFilter & { until: string; cellsMax: number },
): Promise<number> {
  const rows = await sql`
    with chosen as materialized (
      select s.id
      from subtasks s
      where s.parent_task_id = ${task.id} and s.status = 'failed' and s.completed_at <= ${until}::timestamptz
        and ${since === undefined ? sql`true` : sql`s.completed_at >= ${since}`}
        and ${cells === undefined ? sql`true` : sql`s.cell = any(${cells}::int[])`}
        and ${causeFits(sql, cause === undefined ? {} : { cause })}
      limit ${cellsMax}::int
    ), again as (
      update subtasks s
      set status = 'pending', completed_at = null, remote_id = null, intent_at = null, retry_count = 0,
        run_after = null, losses = 0, lease_id = null, worker_id = null, updated_at = now(),
        revision = ${task.revision}::bigint + 1
      from chosen
      where s.parent_task_id = ${task.id} and s.id = chosen.id
      returning s.id, s.attempt
    ), forgotten as (
      delete from attempts a using again
      where a.task_id = ${task.id} and a.subtask_id = again.id and a.attempt <= again.attempt - ${attemptsKept}::int
    )
    select 1 from again`;
  if (rows.length > 0) await reopen(sql, task.id, { completed: 0, failed: rows.length });
  return rows.length;
}

/**
 * Makes failed cells pending again, as if they had not been tried; the number of the attempt goes on, and `error` stays
 * until another takes its place. Many cells take several transactions, each whole in itself; who is interrupted asks
 * again. What fails while this goes on is left alone.
 */
export async function retryFailedRows(
  pool: Pool,
  place: Place,
  filter: FailedFilter = {},
  cellsMax = chunkCells,
): Promise<RetriedRows | "cancelled" | Refusal> {
  let cells = 0;
  let until: string | undefined;
  for (;;) {
    const answer = await withTask(pool, place, async (sql, task) => {
      if (task.status === "cancelled") return "cancelled";
      // Of a millisecond, to which the ends of cells are rounded, nothing is left out.
      until ??= (await sql<{ at: string }[]>`select (now() + interval '1 ms')::text as at`)[0]!.at;
      return { chunk: await retryChunk(sql, task, { ...filter, until, cellsMax }), hold: task.hold };
    });
    // Cancelled or deleted meanwhile: what was made pending goes with the task.
    if (typeof answer === "string") return cells === 0 ? answer : { cells, hold: null };
    cells += answer.chunk;
    if (answer.chunk < cellsMax) return { cells, hold: answer.hold };
  }
}

/** A cell is named by its place in the matrix, or by its subtask's id where it has none. */
export type CellName = number | string;

export const cellFits = (sql: Sql, cell: CellName) =>
  typeof cell === "number" ? sql`s.cell = ${cell}::int` : sql`s.id = ${cell}::uuid`;

/**
 * Draws a cell again that has ended. The image it has goes into its history with what people said of it.
 *
 * @returns `running`: it is under way; `already_pending`: it will be drawn anyway
 */
export async function rerunCellRow(
  pool: Pool,
  place: Place,
  cell: CellName,
): Promise<"rerun" | "running" | "already_pending" | "cancelled" | "no_such_cell" | Refusal> {
  return await withTask(pool, place, async (sql, task) => {
    if (task.status === "cancelled") return "cancelled";
    const [found] = await sql<{ id: string; status: Locked["status"] }[]>`
      select s.id, s.status from subtasks s where s.parent_task_id = ${task.id} and ${cellFits(sql, cell)}
      limit 1
      for update`;
    if (!found) return "no_such_cell";
    const { id, status } = found;
    if (status === "processing") return "running";
    if (status === "pending") return "already_pending";
    if (status === "cancelled") return "cancelled";
    await putAway(sql, task.id, id);
    await sql`
      update subtasks
      set status = 'pending', completed_at = null, remote_id = null, intent_at = null, retry_count = 0,
        run_after = null, losses = 0, lease_id = null, worker_id = null, updated_at = now(),
        result = null, image_url = null, rating = null, rating_n = 0, rating_sum = 0, evaluate = null,
        revision = ${task.revision}::bigint + 1
      where parent_task_id = ${task.id} and id = ${id}`;
    await reopen(sql, task.id, {
      completed: Number(status === "completed"),
      failed: Number(status === "failed"),
    });
    return "rerun";
  });
}

/** Keeps the image of a subtask in its history. */
async function putAway(sql: Sql, taskId: string, id: string): Promise<void> {
  await sql`
    insert into attempts (task_id, subtask_id, attempt, started_at, ended_at, outcome, remote_id, image_url, rating, evaluate)
    select parent_task_id, id, attempt, intent_at, completed_at, 'done', remote_id, image_url, rating, evaluate
    from subtasks
    where parent_task_id = ${taskId} and id = ${id} and status = 'completed'
    on conflict on constraint attempts_pkey do update
    set image_url = excluded.image_url, rating = excluded.rating, evaluate = excluded.evaluate`;
}
