/** What follows from rows: counters and holds of tasks, their revisions, and the owners of tasks. */
import type { Sql } from "../../../db/pg/connect.ts";
import { countsOf } from "../load/rows.ts";
import { channels } from "../../../db/queue/tasks.ts";

/** Locks tasks in the order of their ids and raises their revisions, so that live views read what changes. */
export async function raiseRevisions(sql: Sql, tasks: readonly string[]): Promise<void> {
  if (tasks.length === 0) return;
  await sql`
    with locked as materialized (
      select id from tasks where id = any (${[...tasks]}::uuid[]) order by id for no key update
    )
    update tasks
    set revision = revision + 1
    from locked
    where tasks.id = locked.id`;
}

/** Recounts the subtasks of tasks. A task with unfinished subtasks is held until an operator decides about it. */
export async function recountTasks(sql: Sql, tasks: readonly string[]): Promise<void> {
  if (tasks.length === 0) return;
  await sql`
    update tasks t
    set subtasks_total = c.total,
      subtasks_completed = c.completed,
      subtasks_failed = c.failed,
      subtasks_cancelled = c.cancelled,
      hold = case
        when t.hold is not null and t.hold <> 'import' then t.hold
        when c.unfinished > 0 or t.status in ('pending', 'processing') then 'import'
      end
    from ${countsOf(sql, tasks)} as c
    where t.id = c.id`;
}

/** Sets the owners of the tasks whose user has, or had, one of these e-mails. */
export async function linkOwners(sql: Sql, emails: readonly string[]): Promise<void> {
  if (emails.length === 0) return;
  await sql`
    update tasks t
    set owner_id = u.id
    from unnest(${[...emails]}::text[]) as e (email)
    left join users u on u.email = e.email
    where t.username = e.email and t.owner_id is distinct from u.id`;
}

/** Notifies live views that subtasks have changed. */
export async function announceChanges(sql: Sql): Promise<void> {
  await sql`select pg_notify(${channels.settled}, '')`;
}
