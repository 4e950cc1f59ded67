/** What of a task can be changed. */
import type { Pool } from "../pg/connect.ts";
import { type Place, type Refusal, withTask } from "../queue/control.ts";
import type { AxisRole } from "../queue/task_fields.ts";

/** The part of a task that people change. */
export interface Editable {
  task_name: string;
  blind: boolean;
  axis_roles: Record<string, AxisRole> | null;
  priority: number;
}

/**
 * Changes a task in one transaction.
 *
 * @param change gives what it is to be, from what it is; throws to leave it
 */
export async function changeTaskRow(
  pool: Pool,
  place: Place,
  change: (before: Editable) => Editable | Promise<Editable>,
): Promise<"changed" | Refusal> {
  return await withTask<"changed">(pool, place, async (sql, { id }) => {
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
