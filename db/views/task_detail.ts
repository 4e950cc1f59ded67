/** One task as v2 shows it: its order as it was given, how far it is, and why cells failed. */
import type { Sql } from "../pg/connect.ts";
import type { AxisRole } from "../queue/task_fields.ts";
import { itemColumns, type TaskItem } from "./task_list.ts";

/** An axis got further values: those from `known` on, up to `length`. */
export interface Growth {
  slot: number;
  known: number;
  length: number;
}

/** What a task was made from; JSON as text. */
export interface TaskOrderRow extends TaskItem {
  tags: string;
  variables: string;
  settings: string;
  axis_roles: Record<string, AxisRole> | null;
  /** Of its first cell. */
  first_seed: string | null;
}

/** A task that is not deleted, with what it was made from. */
export async function findTaskOrder(sql: Sql, id: string): Promise<TaskOrderRow | undefined> {
  const [row] = await sql<TaskOrderRow[]>`
    select ${itemColumns(sql)}, t.tags::text, t.variables::text, t.settings::text, t.axis_roles,
      (select s.seed::text from subtasks s where s.parent_task_id = t.id and s.cell = 0) as first_seed
    from tasks t
    where t.id = ${id} and not t.is_deleted`;
  return row;
}

/** The size of a task's matrix. */
export interface Shape {
  /** Values of `v0` to `v5`; 0 for a variable that has none. */
  lengths: number[];
  grown: Growth[];
  total: number;
}

/** @throws Error for an id that no task has */
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
  /** Seconds that are looked back, at most since the start. */
  window_seconds: number;
}

/** Where the cells of an open task are, and how fast they end. */
export async function readProgress(sql: Sql, id: string, secondsMax: number): Promise<Progress> {
  const [row] = await sql<Progress[]>`
    select count(*) filter (where s.status = 'pending')::int as pending,
      count(*) filter (where s.status = 'processing')::int as processing,
      count(*) filter (
        where s.status in ('completed', 'failed') and s.completed_at > now() - ${secondsMax}::int * interval '1 s'
      )::int as recent,
      coalesce(
        (select least(${secondsMax}::int, extract(epoch from now() - started_at))::float8 from tasks where id = ${id}), 0
      ) as window_seconds
    from subtasks s
    where s.parent_task_id = ${id}`;
  return row!;
}

/** Why a task's cells failed, the most frequent first. */
export async function listFailureCauses(
  sql: Sql,
  id: string,
  limit: number,
): Promise<{ cause: string; cells: number }[]> {
  return await sql<{ cause: string; cells: number }[]>`
    select failure_cause(f.error) as cause, sum(f.cells)::int as cells
    from (
      -- Equal texts are cut to their cause once.
      select error, count(*) as cells from subtasks where parent_task_id = ${id} and status = 'failed' group by error
    ) as f
    group by 1
    order by 2 desc, 1
    limit ${limit}::int`;
}
