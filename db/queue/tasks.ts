/** Tasks: inserted with all their subtasks, started, cancelled, deleted. */
import type { SeedPolicy, TaskStatus } from "./task_fields.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { insertCells, type NewCells } from "./new_cells.ts";
import { transact } from "../pg/transaction.ts";

/** A task without its JSON columns. */
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

/**
 * NOTIFY channels. The payload is a task's id for `cancelled`, a list of queues for `fed`, the text of
 * a failure or nothing for `feed`, and empty otherwise.
 */
export const channels = {
  submitted: "contactsheet_submitted",
  settled: "contactsheet_settled",
  cancelled: "contactsheet_cancelled",
  slots: "contactsheet_slots",
  fed: "contactsheet_fed",
  feed: "contactsheet_feed",
} as const;

/** A task to insert, with its cells. */
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

/** Inserts a task, its subtasks and its notice, and wakes the feed, in one statement. */
export async function insertTask(sql: Sql, task: NewTask): Promise<TaskRow> {
  const [row] = await sql<(TaskRow & { pg_notify: string })[]>`
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
      ${insertCells(sql, task, sql`(c.ordinal - 1)`)}
    ), notice as (
      insert into outbox (task_id, kind, images_expected)
      select id, 'submitted', ${task.images_expected}::int from task
    )
    select ${taskColumns(sql)}, pg_notify(${channels.submitted}, '') from task`;
  const { pg_notify: _, ...stored } = row!;
  return stored;
}

/** Marks pending tasks as processing, after the claim of their first cell. */
export async function startTasks(sql: Sql, ids: string[]): Promise<void> {
  await sql`
    update tasks
    set status = 'processing', started_at = coalesce(started_at, now()), updated_at = now(), revision = revision + 1
    where id = any(${ids}::uuid[]) and status = 'pending'`;
}

/**
 * Cancels an open task. After the commit none of its cells can be claimed. Running cells and up to `cellsMax`
 * pending ones are cancelled in this transaction, the others later by `sweepCancelled`.
 *
 * @returns the number of running cells; undefined if the task had ended before
 */
export async function cancelTaskRow(pool: Pool, id: string, cellsMax = 1000): Promise<number | undefined> {
  return await transact(pool, async (sql) => {
    // This lock waits for claims in progress, which hold a key share; a plain update does not.
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
 * @returns whether more may be left
 */
export async function sweepCancelled(sql: Sql, id: string, cellsMax: number): Promise<boolean> {
  const [row] = await sql<{ cancelling: boolean }[]>`
    with task as (
      select id, revision from tasks where id = ${id} and cancelling for no key update
    ), found as materialized (
      select array(
        select s.id
        from task
        join subtasks s on s.parent_task_id = ${id} and s.status = 'pending'
        limit ${cellsMax}::int
        for update of s
      ) as cells
    ), cut as (
      update subtasks s
      set status = 'cancelled', completed_at = now(), updated_at = now(), revision = task.revision + 1
      from task
      where s.parent_task_id = ${id} and s.id = any((select cells from found)::uuid[]) and s.status = 'pending'
      returning 1
    ), counted as (
      select (select count(*) from cut)::int as cut, (select cardinality(cells) from found) as found
    )
    update tasks t
    set subtasks_cancelled = t.subtasks_cancelled + c.cut,
      -- The next sweep finds a row that changed concurrently.
      cancelling = c.found >= ${cellsMax}::int or c.cut < c.found,
      all_subtasks_completed = c.found < ${cellsMax}::int and c.cut = c.found,
      revision = t.revision + 1
    from counted c
    where t.id = ${id} and t.cancelling
    returning t.cancelling`;
  return row?.cancelling ?? false;
}

/** Lists cancelled tasks that still have pending cells. */
export async function listCancelling(sql: Sql): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`select id from tasks where cancelling limit 100`;
  return rows.map(({ id }) => id);
}

/** Marks a task as deleted. */
export async function deleteTaskRow(sql: Sql, id: string): Promise<void> {
  await sql`
    update tasks set is_deleted = true, updated_at = now(), revision = revision + 1
    where id = ${id} and not is_deleted`;
}
