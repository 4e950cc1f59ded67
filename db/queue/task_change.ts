/** Changes the editable fields of a task. */
import type { Refusal, TaskRef } from "../people/task_access.ts";
import type { Pool } from "../pg/connect.ts";
import { withLockedTask } from "./control.ts";
import type { AxisRole } from "./task_fields.ts";

/** The fields of a task that people can edit. */
export interface Editable {
  task_name: string;
  blind: boolean;
  axis_roles: Record<string, AxisRole> | null;
  priority: number;
}

/**
 * Changes a task in one transaction.
 *
 * @param change returns the new fields for the present ones; it throws to leave the task unchanged
 */
export async function changeTaskRow(
  pool: Pool,
  ref: TaskRef,
  change: (before: Editable) => Editable | Promise<Editable>,
): Promise<"changed" | Refusal> {
  return await withLockedTask<"changed">(pool, ref, async (sql, { id }) => {
    const [before] = await sql<Editable[]>`
      select task_name, blind, axis_roles, priority from tasks where id = ${id}`;
    const { task_name, blind, axis_roles, priority } = await change(before!);
    await sql`
      update tasks
      set task_name = ${task_name}, blind = ${blind}, priority = ${priority},
        axis_roles = ${axis_roles === null ? null : JSON.stringify(axis_roles)}::text::json,
        updated_at = now(), revision = revision + 1
      where id = ${id}`;
    return "changed";
  });
}
