/** Revisions of tasks, by which viewers see that cells have changed. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";

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
