/** Further cells for a task that is there. */
import type { Pool, Sql } from "../pg/connect.ts";
import { type Hold, type Place, type Refusal, reopen, withTask } from "./control.ts";
import { insertCells, type NewCells } from "./new_cells.ts";

/** What a task's further cells follow from; JSON as text. */
export interface ExtensibleTask {
  tags: string;
  variables: string;
  settings: string;
  priority: number;
  seed_policy: "shared" | "per_combination" | "per_cell" | "pinned";
  /** Of its first cell; a bigint as text. */
  first_seed: string | null;
  /** Seconds with which the latest legacy id of its cells begins. */
  last_seconds: number;
}

export interface Extension {
  /** The variables as they will be, JSON text. */
  variables: string;
  /** As they were when this was planned. */
  variablesBefore: string;
  /** The extended axis: its slot, cells until its place moves on, values it had, values it will have. */
  matrix: { slot: number; stride: number; known: number; length: number };
  cells: NewCells;
}

/** Reads what an extension is planned from; undefined where there is no such task. */
export async function findExtensible(sql: Sql, id: string): Promise<ExtensibleTask | undefined> {
  const [row] = await sql<ExtensibleTask[]>`
    select tags::text, variables::text, settings::text, priority, seed_policy,
      (select seed::text from subtasks where parent_task_id = t.id order by legacy_id limit 1) as first_seed,
      coalesce((
        select ('x' || left(legacy_id, 8))::bit(32)::bigint::float8
        from subtasks where parent_task_id = t.id order by legacy_id desc limit 1
      ), 0) as last_seconds
    from tasks t
    where id = ${id} and not is_deleted`;
  return row;
}

/** Why a task cannot be extended, whatever is asked for; undefined where it can. */
export async function judgeTask(pool: Pool, place: Place): Promise<"cancelled" | Refusal | undefined> {
  return await withTask(
    pool,
    place,
    (_sql, task) => Promise.resolve(task.status === "cancelled" ? "cancelled" : undefined),
  );
}

export interface Extended {
  cells: number;
  /** Cells of the task in all. */
  total: number;
  /** What keeps the task from being dispatched all the same. */
  hold: Hold | null;
}

/**
 * Adds cells to a task, an ended one opens: rows, counters and the axis' values in one transaction. Numbers of cells
 * that are there stay; new ones follow them, in the matrix' order.
 *
 * @returns `changed`: the task's variables are others than those it was planned from
 */
export async function extendTaskRow(
  pool: Pool,
  place: Place,
  { variables, variablesBefore, matrix, cells }: Extension,
): Promise<Extended | "changed" | "cancelled" | Refusal> {
  return await withTask(pool, place, async (sql, task) => {
    if (task.status === "cancelled") return "cancelled";
    const { slot, stride, known, length } = matrix;
    const added = (length - known) * stride;
    const cellPlace = sql`(
      (c.place - 1) / ${added}::int * ${length * stride}::int + ${
      known * stride
    }::int + (c.place - 1) % ${added}::int)`;
    const [row] = await sql<{ total: number }[]>`
      with task as (
        update tasks t
        set variables = ${variables}::text::json, total_images = t.total_images + ${cells.total}::int,
          subtasks_total = t.subtasks_total + ${cells.total}::int,
          grown = (coalesce(t.grown, '[]')::jsonb
            || jsonb_build_object('slot', ${slot}::int, 'known', ${known}::int, 'length', ${length}::int))::json
        where t.id = ${task.id} and t.variables::text = ${variablesBefore}
        returning t.id, t.subtasks_total, t.revision + 1 as cell_revision, (
          select greatest(max(s.cell) + 1, count(*))::int from subtasks s where s.parent_task_id = t.id
        ) as first
      ), cells as (
        ${insertCells(sql, cells, cellPlace)}
      )
      select subtasks_total as total from task`;
    if (!row) return "changed";
    await reopen(sql, task.id, { completed: 0, failed: 0 });
    return { cells: cells.total, total: row.total, hold: task.hold };
  });
}
