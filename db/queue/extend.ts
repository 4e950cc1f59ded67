/** Adds cells to an existing task. */
import type { Refusal, TaskRef } from "../people/task_access.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { type Hold, reopenTask, withLockedTask } from "./control.ts";
import { insertCells, type NewCells } from "./new_cells.ts";
import type { SeedPolicy } from "./task_fields.ts";

/** The task fields from which an extension is planned; JSON as text. */
export interface ExtensibleTask {
  tags: string;
  variables: string;
  settings: string;
  priority: number;
  seed_policy: SeedPolicy;
  /** Seed of the first cell; a bigint as text. */
  first_seed: string | null;
  /** Seconds since 1970 with which the newest legacy id of its cells begins. */
  last_seconds: number;
}

/** A planned extension of one axis. */
export interface Extension {
  /** The variables after the extension, as JSON text. */
  variables: string;
  /** The variables at the time of planning, as JSON text. */
  variablesBefore: string;
  /**
   * The extended axis: its slot; the number of consecutive cells that share a level; the number of its levels
   * before (`known`) and after (`length`).
   */
  matrix: { slot: number; stride: number; known: number; length: number };
  cells: NewCells;
}

/** Finds the fields from which an extension is planned; undefined if no such task exists. */
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

/** Returns the reason why a task cannot be extended at all; undefined if it can. */
export async function findExtensionRefusal(
  pool: Pool,
  ref: TaskRef,
): Promise<"cancelled" | Refusal | undefined> {
  return await withLockedTask(
    pool,
    ref,
    (_sql, task) => Promise.resolve(task.status === "cancelled" ? "cancelled" : undefined),
  );
}

export interface ExtensionResult {
  /** Number of cells that were added. */
  cells: number;
  /** Number of cells of the whole task. */
  total: number;
  /** The hold that still keeps the task from being dispatched; null if there is none. */
  hold: Hold | null;
}

/**
 * Adds cells to a task and reopens it if it has ended: rows, counters and levels change in one transaction.
 * Existing cells keep their numbers; the new ones follow them in matrix order.
 *
 * @returns `changed`: the variables of the task are no longer those from which the extension was planned
 */
export async function extendTaskRow(
  pool: Pool,
  ref: TaskRef,
  { variables, variablesBefore, matrix, cells }: Extension,
): Promise<ExtensionResult | "changed" | "cancelled" | Refusal> {
  return await withLockedTask(pool, ref, async (sql, task) => {
    if (task.status === "cancelled") return "cancelled";
    const { slot, stride, known, length } = matrix;
    const added = (length - known) * stride;
    const block = length * stride;
    const offset = known * stride;
    const matrixIndex = sql`(
      (c.ordinal - 1) / ${added}::int * ${block}::int + ${offset}::int + (c.ordinal - 1) % ${added}::int
    )`;
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
        ${insertCells(sql, cells, matrixIndex)}
      )
      select subtasks_total as total from task`;
    if (!row) return "changed";
    await reopenTask(sql, task.id, { completed: 0, failed: 0 });
    return { cells: cells.total, total: row.total, hold: task.hold };
  });
}
