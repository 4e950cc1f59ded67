/** Revisions of tasks, by which viewers see that cells have changed. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import { isUuid } from "../../uuid.ts";

/**
 * Locks the tasks of subtasks that stop processing without an end and raises their revisions: the version of a task
 * (`findTaskVersion`) relies on it. Tasks are locked first, in order of ids, as in a settlement.
 *
 * @param ids SQL for a set of task ids
 */
export const raiseRevisions = (sql: Sql, ids: PendingQuery<Row[]>) =>
  sql`
    locked as materialized (
      select id from tasks where id in (${ids}) order by id for no key update
    ), raised as (
      update tasks set revision = revision + 1 where id in (select id from locked)
    )`;

/**
 * Finds the version of a task, deleted or not. It changes with every change of the task or its subtasks.
 * Undefined if no task has the id.
 *
 * Claims and retries do not write the task's row. They only write subtasks that are processing afterwards, and every
 * statement by which a subtask stops processing raises the task's revision. So while the revision stays, the set of
 * processing subtasks only grows, and each write of one of them gives it another `xmin`.
 */
export async function findTaskVersion(sql: Sql, id: string): Promise<string | undefined> {
  if (!isUuid(id)) return undefined;
  const [row] = await sql<{ version: string }[]>`
    select
      case when status not in ('pending', 'processing') and not cancelling then revision::text
        else revision || '.' || (
          select coalesce(sum(hashtextextended(id || ' ' || xmin, 0)), 0)
          from subtasks
          where parent_task_id = ${id} and status = 'processing'
        )
      end as version
    from tasks
    where id = ${id}`;
  return row?.version;
}
