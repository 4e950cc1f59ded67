/** Finishes a load with the work that concerns all rows. */
import type { Sql } from "../../../db/pg/connect.ts";
import { recreateIndexes } from "./deferred_indexes.ts";
import { failpoint } from "../tools/failpoint.ts";
import { finishRun } from "../ledger/ledger.ts";
import type { Connections } from "./range_load.ts";

/** Sets the counters of all imported tasks, and holds those whose unfinished subtasks were not counted before. */
export async function countSubtasks(sql: Sql): Promise<void> {
  await sql`
    update tasks
    set subtasks_total = c.total,
      subtasks_completed = c.completed,
      subtasks_failed = c.failed,
      subtasks_cancelled = c.cancelled,
      hold = case when tasks.subtasks_total = 0 and c.unfinished > 0 then 'import' else tasks.hold end
    from (
      select parent_task_id,
        count(*) as total,
        count(*) filter (where status = 'completed') as completed,
        count(*) filter (where status = 'failed') as failed,
        count(*) filter (where status = 'cancelled') as cancelled,
        count(*) filter (where status in ('pending', 'processing')) as unfinished
      from subtasks
      where generation is not null
      group by parent_task_id
    ) as c
    where tasks.id = c.parent_task_id and tasks.generation is not null
      and (tasks.subtasks_total, tasks.subtasks_completed, tasks.subtasks_failed, tasks.subtasks_cancelled)
        is distinct from (c.total, c.completed, c.failed, c.cancelled)`;
}

/** Links tasks to their users, where a user was loaded later than the task. */
export async function linkOwners(sql: Sql): Promise<void> {
  await sql`
    update tasks
    set owner_id = users.id
    from users
    where tasks.owner_id is null and users.email = tasks.username
      and tasks.generation is not null and users.generation is not null`;
}

/** Updates the planner's statistics of users and tasks. */
export async function analyzeParents(sql: Sql): Promise<void> {
  for (const name of ["users", "tasks"]) await sql`analyze ${sql(name)}`;
}

/** Updates the planner's statistics of the columns of subtasks that queries filter by. */
export async function analyzeSubtasks(sql: Sql): Promise<void> {
  // Autovacuum analyzes the long texts later, which cost most to sample.
  const columns = await sql`
    select distinct attname
    from pg_index join pg_attribute on attrelid = indrelid and attnum = any (indkey)
    where indrelid = 'subtasks'::regclass`;
  const names = new Set(["status", "queue", ...columns.map(({ attname }) => attname as string)]);
  await sql`analyze subtasks (${sql([...names])})`;
}

/**
 * Recreates the dropped indexes. Then updates the planner's statistics and, in one transaction, sets the tasks' counters,
 * marks the source as settled and closes the run. Tasks with unfinished subtasks are held (`hold = 'import'`), so that
 * old work does not start by itself.
 */
export async function settle([sql, second]: Connections, fingerprint: string, runId: string): Promise<void> {
  await recreateIndexes(sql);
  const analyzing = analyzeSubtasks(second);
  analyzing.catch(() => {});
  await sql`begin`;
  failpoint("settle.begun");
  await countSubtasks(sql);
  await linkOwners(sql);
  failpoint("settle.counted");
  await sql`
    update migration.sources
    set settled_at = now()
    where fingerprint = ${fingerprint}`;
  await finishRun(sql, runId, "done");
  failpoint("settle.closed");
  await analyzeParents(sql);
  // A source counts as settled only once the statistics of its subtasks are computed.
  await analyzing;
  failpoint("settle.analyzed");
  const committed = sql`commit`.execute();
  failpoint("settle.commit_sent");
  await committed;
}
