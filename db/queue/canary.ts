/** The canary: holds tasks whose first cells fail for the same cause. */
import type { Sql } from "../pg/connect.ts";

/** The canary judges a task while between `cellsMin` and `cellsMax` of its cells have ended. */
export const canary = { cellsMin: 20, cellsMax: 200 } as const;

/**
 * Returns the condition that the canary must judge a task: most of its first cells failed, and more are to
 * come.
 */
export function needsCanary(sql: Sql) {
  const ended = sql`(t.subtasks_completed + t.subtasks_failed)`;
  return sql`
    t.status = 'processing' and t.hold is null and not t.canary_lifted and ${ended} >= ${canary.cellsMin}::int
      and ${ended} - c.ended < ${canary.cellsMax}::int and 2 * t.subtasks_failed > ${ended}`;
}

/** A task that the canary holds, and the reason. */
export interface HeldTask {
  task_id: string;
  reason: string;
}

/**
 * Holds those of the tasks in which most of the first cells failed for the same cause, and adds a notice for
 * each. A task that was resumed after such a hold is never held again.
 */
export async function applyCanaryHolds(sql: Sql, ids: string[]): Promise<HeldTask[]> {
  return await sql<HeldTask[]>`
    with judged as (
      select t.id, t.subtasks_completed + t.subtasks_failed as ended, worst.cause, worst.cells
      from tasks t
      cross join lateral (
        select failure_cause(s.error) as cause, count(*) as cells
        from subtasks s
        where s.parent_task_id = t.id and s.status = 'failed'
        group by 1
        order by 2 desc
        limit 1
      ) worst
      where t.id = any(${ids}::uuid[]) and t.subtasks_completed + t.subtasks_failed >= ${canary.cellsMin}::int
        and 2 * worst.cells > t.subtasks_completed + t.subtasks_failed
        and exists (select from subtasks s where s.parent_task_id = t.id and s.status = 'pending')
    ), held as (
      update tasks t
      set hold = 'canary', updated_at = now(), revision = t.revision + 1,
        hold_reason = format('已结束的 %s 个子任务中有 %s 个因同一原因失败: %s', j.ended, j.cells, j.cause)
      from judged j
      where t.id = j.id and t.status in ('pending', 'processing') and t.hold is null and not t.canary_lifted
      returning t.id, t.hold_reason
    ), notices as (
      insert into outbox (task_id, kind)
      select id, 'held' from held
      on conflict on constraint outbox_task_id_kind_key do nothing
    )
    select id as task_id, hold_reason as reason from held`;
}
