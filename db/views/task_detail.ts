/** One task as v2 shows it: its input, its progress, and the causes of failed cells. */
import type { Sql } from "../pg/connect.ts";
import type { AxisRole } from "../queue/task_fields.ts";
import { itemColumns, type TaskItem } from "./task_list.ts";

/** An extension of an axis: it added the levels from index `known` up to `length`. */
export interface Growth {
  slot: number;
  known: number;
  length: number;
}

/** A task with its input; JSON as text. */
export interface TaskInputRow extends TaskItem {
  tags: string;
  variables: string;
  settings: string;
  axis_roles: Record<string, AxisRole> | null;
  /** Seed of the first cell. */
  first_seed: string | null;
}

/** Finds a task with its input, unless it is deleted. */
export async function findTaskInput(sql: Sql, id: string): Promise<TaskInputRow | undefined> {
  const [row] = await sql<TaskInputRow[]>`
    select ${itemColumns(sql)}, t.tags::text, t.variables::text, t.settings::text, t.axis_roles,
      (select s.seed::text from subtasks s where s.parent_task_id = t.id and s.cell = 0) as first_seed
    from tasks t
    where t.id = ${id} and not t.is_deleted`;
  return row;
}

/** The shape of a task's matrix. */
export interface Shape {
  /** Numbers of levels of `v0` to `v5`; 0 for a variable without values. */
  lengths: number[];
  grown: Growth[];
  total: number;
}

/** Reads the shape of a task's matrix. @throws Error if no task has the id */
export async function readShape(sql: Sql, id: string): Promise<Shape> {
  const [row] = await sql<Shape[]>`
    select t.subtasks_total as total, coalesce(t.grown, '[]') as grown, array(
      select case json_typeof(t.variables -> ('v' || slot) -> 'values')
        when 'array' then json_array_length(t.variables -> ('v' || slot) -> 'values') else 0 end
      from generate_series(0, 5) as slot
      order by slot
    ) as lengths
    from tasks t
    where t.id = ${id}`;
  if (!row) throw new Error(`reading task '${id}': it is not there`);
  return row;
}

export interface Progress {
  pending: number;
  processing: number;
  /** Cells that ended within the window. */
  recent: number;
  /** Length of the window in seconds, at most the time since the start of the task. */
  window_seconds: number;
}

/** Reads how many cells of an open task wait, run, and ended recently. */
export async function readProgress(sql: Sql, id: string, secondsMax: number): Promise<Progress> {
  const [row] = await sql<Progress[]>`
    select count(*) filter (where s.status = 'pending')::int as pending,
      count(*) filter (where s.status = 'processing')::int as processing,
      count(*) filter (
        where s.status in ('completed', 'failed') and s.completed_at > now() - ${secondsMax}::int * interval '1 s'
      )::int as recent,
      coalesce((
        select least(${secondsMax}::int, extract(epoch from now() - started_at))::float8
        from tasks
        where id = ${id}
      ), 0) as window_seconds
    from subtasks s
    where s.parent_task_id = ${id}`;
  return row!;
}

/** Lists the causes of a task's failed cells, most frequent first. */
export async function listFailureCauses(
  sql: Sql,
  id: string,
  limit: number,
): Promise<{ cause: string; cells: number }[]> {
  return await sql<{ cause: string; cells: number }[]>`
    select failure_cause(f.error) as cause, sum(f.cells)::int as cells
    from (
      -- failure_cause() runs once per distinct text.
      select error, count(*) as cells
      from subtasks
      where parent_task_id = ${id} and status = 'failed'
      group by error
    ) as f
    group by 1
    order by 2 desc, 1
    limit ${limit}::int`;
}
