/** The end of a task with its last subtask. */
import type { Sql } from "../pg/connect.ts";

/** Returns the assignments that end a task with its last subtask: as `failed` if all failed, otherwise `completed`. */
export function closing(sql: Sql) {
  const left =
    sql`t.subtasks_total - t.subtasks_completed - t.subtasks_failed - t.subtasks_cancelled - c.ended`;
  return sql`
    all_subtasks_completed = ${left} = 0,
    hold = case when ${left} > 0 then t.hold end,
    hold_reason = case when ${left} > 0 then t.hold_reason end,
    completed_at = case when c.is_open and ${left} = 0 then now() else t.completed_at end,
    status = case
      when not c.is_open then t.status
      when ${left} > 0 then 'processing'
      when t.subtasks_failed + c.failed = t.subtasks_total then 'failed'
      else 'completed'
    end`;
}
