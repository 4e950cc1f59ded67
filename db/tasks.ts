/** Tasks: born with all their subtasks, cancelled, deleted. */
import type postgres from "postgres";
import type { Pool, Sql } from "./connect.ts";
import { transact } from "./transaction.ts";

/** A task as the queue knows it; its JSON columns stay in the database. */
export interface TaskRow {
  id: string;
  legacy_id: string;
  task_name: string;
  username: string;
  owner_id: string | null;
  status: "pending" | "processing" | "completed" | "failed" | "cancelled";
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

/** Parts of a joined column: a character that JSON text never holds unescaped. */
export const cellSeparator = "\x1e";

/** The values of all cells joined, or the one that all of them share. */
export type Column = { joined: string } | { same: string };

/** A task to be; the columns of its cells are joined by `cellSeparator`, JSON ones as text. */
export interface NewTask {
  task_name: string;
  username: string;
  owner_id: string;
  tags: string;
  variables: string;
  settings: string;
  priority: number;
  total: number;
  images_expected: number;
  /** Same for all cells. */
  variable_types_map: string;
  type_to_variable: string;
  /** First 18 hex digits of the cells' legacy ids: seconds and five random bytes. */
  legacy_prefix: string;
  /** Counter of the first cell: its last 6 hex digits. */
  legacy_counter: number;
  columns: {
    /** `{0,null,…}` as PostgreSQL writes arrays. */
    variable_indices: Column;
    ratio: Column;
    seed: Column;
    use_polish: Column;
    queue: Column;
    /** Empty: none. */
    client_args: Column;
    spread: Column;
  };
  /**
   * The cells' `prompts`, factored: each adds the text at place `floor(cell ÷ stride) mod texts.length`, joined by
   * commas into a list; sent whole they would be most of the statement.
   */
  promptParts: { texts: string[]; stride: number }[];
  /** The list of a cell for which all of them are empty. */
  promptsWithoutAny: string;
}

const taskColumns = (sql: Sql) =>
  sql`id, legacy_id, task_name, username, owner_id, status, error, total_images, priority, is_deleted, created_at,
    updated_at, started_at, completed_at, subtasks_total, subtasks_completed, subtasks_failed, subtasks_cancelled`;

const splitText = (sql: Sql, joined: string) => sql`string_to_array(${joined}::text, ${cellSeparator}::text)`;

/** PostgreSQL takes a hundred arguments; a group of empty texts counts as one. */
const argumentsMax = 50;

type Fragment = postgres.PendingQuery<postgres.Row[]>;

function joinTexts(sql: Sql, texts: Fragment[]): Fragment {
  if (texts.length > argumentsMax) {
    const groups = Array.from(
      { length: Math.ceil(texts.length / argumentsMax) },
      (_, i) => joinTexts(sql, texts.slice(i * argumentsMax, (i + 1) * argumentsMax)),
    );
    return joinTexts(sql, groups);
  }
  const list = texts.reduce((all, text) => sql`${all}, ${text}`, sql`, null`);
  return sql`nullif(concat_ws(','${list}), '')`;
}

function promptsOf(sql: Sql, { promptParts, promptsWithoutAny }: NewTask) {
  const texts = promptParts.map(({ texts, stride }) =>
    texts.length === 1
      ? sql`nullif(${texts[0]!}::text, '')`
      // Within a select of its own the list is split once, not for each cell.
      : sql`nullif((select ${splitText(sql, texts.join(cellSeparator))})[
          1 + (((c.place - 1) / ${stride}::int) % ${texts.length}::int)], '')`
  );
  return sql`coalesce('[' || ${joinTexts(sql, texts)} || ']', ${promptsWithoutAny}::text)::json`;
}

/** Task, subtasks, notice and wake-up in one statement: all of it is there, or nothing. */
export async function insertTask(sql: Sql, task: NewTask): Promise<TaskRow> {
  const { columns: c } = task;
  const parts = (column: Column) => splitText(sql, "joined" in column ? column.joined : "");
  const shared = (column: Column) => "same" in column ? column.same : null;
  const [row] = await sql<TaskRow[]>`
    with task as (
      insert into tasks
        (task_name, username, owner_id, tags, variables, settings, priority, total_images, subtasks_total)
      values (
        ${task.task_name}, ${task.username}, ${task.owner_id},
        ${task.tags}::text::json, ${task.variables}::text::json, ${task.settings}::text::json,
        ${task.priority}, ${task.total}, ${task.total}
      )
      returning ${taskColumns(sql)}
    ), cells as (
      insert into subtasks (
        parent_task_id, legacy_id, cell, variable_indices, variable_types_map, type_to_variable, prompts, ratio,
        seed, use_polish, queue, client_args, spread
      )
      select
        task.id, ${task.legacy_prefix}::text || lpad(to_hex(${task.legacy_counter}::int + (c.place - 1)::int), 6, '0'),
        c.place - 1, coalesce(c.variable_indices, ${shared(c.variable_indices)}::text)::int[],
        ${task.variable_types_map}::text::json, ${task.type_to_variable}::text::json, ${promptsOf(sql, task)},
        coalesce(c.ratio, ${shared(c.ratio)}::text), coalesce(c.seed, ${shared(c.seed)}::text)::bigint,
        coalesce(c.use_polish, ${shared(c.use_polish)}::text)::boolean, coalesce(c.queue, ${
    shared(c.queue)
  }::text),
        nullif(coalesce(c.client_args, ${shared(c.client_args)}::text), '')::json,
        coalesce(c.spread, ${shared(c.spread)}::text)::int
      from task, rows from (
        generate_series(1, ${task.total}::int), unnest(${parts(c.variable_indices)}), unnest(${
    parts(c.ratio)
  }),
        unnest(${parts(c.seed)}), unnest(${parts(c.use_polish)}), unnest(${parts(c.queue)}),
        unnest(${parts(c.client_args)}), unnest(${parts(c.spread)})
      ) as c (place, variable_indices, ratio, seed, use_polish, queue, client_args, spread)
    ), notice as (
      insert into outbox (task_id, kind, images_expected) select id, 'submitted', ${task.images_expected}::int from task
    )
    select task.*, pg_notify(${channels.submitted}, '') from task`;
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
 * @returns false where the task had ended before
 */
export async function cancelTaskRow(pool: Pool, id: string, cellsMax = 1000): Promise<boolean> {
  return await transact(pool, async (sql) => {
    // The lock that waits for claims under way, as no update of its own would: claims hold a key share.
    await sql`select from tasks where id = ${id} for update`;
    const ended = await sql<{ revision: string }[]>`
      update tasks
      set status = 'cancelled', cancelling = true, completed_at = now(), updated_at = now(), revision = revision + 1
      where id = ${id} and status in ('pending', 'processing')
      returning revision`;
    if (ended.length === 0) return false;
    await sql`
      with cut as (
        update subtasks
        set status = 'cancelled', completed_at = now(), updated_at = now(), lease_id = null, worker_id = null,
          revision = ${ended[0]!.revision}
        where parent_task_id = ${id} and status = 'processing'
        returning 1
      )
      update tasks set subtasks_cancelled = subtasks_cancelled + (select count(*) from cut) where id = ${id}`;
    await sweepCancelled(sql, id, cellsMax);
    await sql`select pg_notify(${channels.cancelled}, ${id})`;
    return true;
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
