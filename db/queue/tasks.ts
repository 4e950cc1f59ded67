/** Tasks: born with all their subtasks, cancelled, deleted. */
import type { SeedPolicy, TaskStatus } from "./task_fields.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { insertCells, type NewCells } from "./new_cells.ts";
import { transact } from "../pg/transaction.ts";

/** A task as the queue knows it; its JSON columns stay in the database. */
export interface TaskRow {
  id: string;
  legacy_id: string;
  task_name: string;
  username: string;
  owner_id: string | null;
  status: TaskStatus;
  error: string | null;
  total_images: number;
  priority: number;
  is_deleted: boolean;
  created_at: Date;
  updated_at: Date;
  started_at: Date | null;
  completed_at: Date | null;
  subtasks_total: number;
  subtasks_completed: number;
  subtasks_failed: number;
  subtasks_cancelled: number;
}

/** Channels that wake processes; a payload is a task's id for `cancelled`, queues for `fed`, else empty. */
export const channels = {
  submitted: "contactsheet_submitted",
  settled: "contactsheet_settled",
  cancelled: "contactsheet_cancelled",
  slots: "contactsheet_slots",
  fed: "contactsheet_fed",
} as const;

/** A task to be, with its cells. */
export interface NewTask extends NewCells {
  task_name: string;
  username: string;
  owner_id: string;
  tags: string;
  variables: string;
  settings: string;
  priority: number;
  blind: boolean;
  seed_policy: SeedPolicy;
  /** JSON text. */
  axis_roles: string | null;
  images_expected: number;
}

const taskColumns = (sql: Sql) =>
  sql`id, legacy_id, task_name, username, owner_id, status, error, total_images, priority, is_deleted, created_at,
    updated_at, started_at, completed_at, subtasks_total, subtasks_completed, subtasks_failed, subtasks_cancelled`;

/** Task, subtasks, notice and wake-up in one statement: all of it is there, or nothing. */
export async function insertTask(sql: Sql, task: NewTask): Promise<TaskRow> {
  const [row] = await sql<TaskRow[]>`
    with task as (
      insert into tasks
        (task_name, username, owner_id, tags, variables, settings, priority, total_images, subtasks_total, blind,
          seed_policy, axis_roles)
      values (
        ${task.task_name}, ${task.username}, ${task.owner_id},
        ${task.tags}::text::json, ${task.variables}::text::json, ${task.settings}::text::json,
        ${task.priority}, ${task.total}, ${task.total}, ${task.blind}, ${task.seed_policy},
        ${task.axis_roles}::text::json
      )
      returning ${taskColumns(sql)}, 0 as first, 0 as cell_revision
    ), cells as (
      ${insertCells(sql, task, sql`(c.place - 1)`)}
    ), notice as (
      insert into outbox (task_id, kind, images_expected) select id, 'submitted', ${task.images_expected}::int from task
    )
    select ${taskColumns(sql)}, pg_notify(${channels.submitted}, '') from task`;
  return row!;
}

/** What decides over cancelling and deleting; undefined for an id that no task has. */
export async function findTask(sql: Sql, id: string): Promise<TaskRow | undefined> {
  const [row] = await sql<TaskRow[]>`select ${taskColumns(sql)} from tasks where id = ${id}`;
  return row;
}

/** Tasks whose first cell was claimed. */
export async function startTasks(sql: Sql, ids: string[]): Promise<void> {
  await sql`
    update tasks
    set status = 'processing', started_at = coalesce(started_at, now()), updated_at = now(), revision = revision + 1
    where id = any(${ids}::uuid[]) and status = 'pending'`;
}

/**
 * Ends an open task: from this commit on none of its cells can be claimed. Cells under way and up to `cellsMax`
 * pending ones are cancelled at once, the rest by `sweepCancelled`.
 *
 * @returns how many cells were under way; undefined where the task had ended before
 */
export async function cancelTaskRow(pool: Pool, id: string, cellsMax = 1000): Promise<number | undefined> {
  return await transact(pool, async (sql) => {
    // The lock that waits for claims under way, as no update of its own would: claims hold a key share.
    await sql`select from tasks where id = ${id} for update`;
    const ended = await sql<{ revision: string }[]>`
      update tasks
      set status = 'cancelled', cancelling = true, completed_at = now(), updated_at = now(), revision = revision + 1,
        hold = null, hold_reason = null
      where id = ${id} and status in ('pending', 'processing')
      returning revision`;
    if (ended.length === 0) return undefined;
    const [cut] = await sql<{ cells: number }[]>`
      with cut as (
        update subtasks
        set status = 'cancelled', completed_at = now(), updated_at = now(), lease_id = null, worker_id = null,
          revision = ${ended[0]!.revision}
        where parent_task_id = ${id} and status = 'processing'
        returning 1
      )
      update tasks set subtasks_cancelled = subtasks_cancelled + (select count(*) from cut)
      where id = ${id}
      returning (select count(*) from cut)::int as cells`;
    await sweepCancelled(sql, id, cellsMax);
    await sql`select pg_notify(${channels.cancelled}, ${id})`;
    return cut!.cells;
  });
}

/**
 * Cancels up to `cellsMax` pending cells of a cancelled task.
 *
 * @returns whether there may be more
 */
export async function sweepCancelled(sql: Sql, id: string, cellsMax: number): Promise<boolean> {
  const [row] = await sql<{ cancelling: boolean }[]>`
    with task as (
      select id, revision from tasks where id = ${id} and cancelling for no key update
    ), found as materialized (
      select array(
        select s.ctid
        from task
        join subtasks s on s.parent_task_id = task.id and s.status = 'pending'
        limit ${cellsMax}::int
        for update of s
      ) as cells
    ), cut as (
      update subtasks s
      set status = 'cancelled', completed_at = now(), updated_at = now(), revision = task.revision + 1
      from task
      where s.ctid = any((select cells from found)::tid[]) and s.status = 'pending'
      returning 1
    ), counted as (
      select (select count(*) from cut)::int as cut, (select cardinality(cells) from found) as found
    )
    update tasks t
    set subtasks_cancelled = t.subtasks_cancelled + c.cut,
      -- A row that was changed under our eyes is found again by the next sweep.
      cancelling = c.found >= ${cellsMax}::int or c.cut < c.found,
      all_subtasks_completed = c.found < ${cellsMax}::int and c.cut = c.found,
      revision = t.revision + 1
    from counted c
    where t.id = ${id} and t.cancelling
    returning t.cancelling`;
  return row?.cancelling ?? false;
}

/** Cancelled tasks that still have pending cells. */
export async function listCancelling(sql: Sql): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`select id from tasks where cancelling limit 100`;
  return rows.map(({ id }) => id);
}

/** Hides a task. */
export async function deleteTaskRow(sql: Sql, id: string): Promise<void> {
  await sql`
    update tasks set is_deleted = true, updated_at = now(), revision = revision + 1
    where id = ${id} and not is_deleted`;
}
