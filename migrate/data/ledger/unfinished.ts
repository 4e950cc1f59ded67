/**
 * Decides about imported tasks that the old backend had not finished. A load sets `hold = 'import'` on them, and
 * workers do not draw cells of held tasks until an operator resumes or cancels them.
 */
import { waitForLeaseEnd } from "../../../db/queue/workers.ts";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { channels } from "../../../db/queue/tasks.ts";
import { isFenceUp } from "../../../db/traffic/fence.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import { formatCounted, formatTable } from "../tools/format.ts";

export const decisions = ["resume", "cancel", "keep"] as const;
export type Decision = (typeof decisions)[number];

/** Number of held tasks of one kind, and of their pending and processing cells. */
export interface UnfinishedGroup {
  /**
   * `drawable`: the task can be resumed. `older`: cells belong to a generation that workers cannot draw.
   * `finished`: all cells have ended, but the task's status says that it has not. `empty`: the task has no cells.
   * `ended` and `deleted`: the task has ended or was deleted, but some of its cells have not ended.
   */
  group: "drawable" | "older" | "finished" | "empty" | "ended" | "deleted";
  tasks: number;
  cells: number;
}

export interface UnfinishedResult {
  decision: Decision;
  /** Held tasks before the decision. */
  before: UnfinishedGroup[];
  /** Held tasks after the decision. */
  held: UnfinishedGroup[];
  tasks_resumed: number;
  tasks_cancelled: number;
  /** Tasks of the group `finished` whose status was set from their cells. */
  tasks_ended: number;
  cells_resumed: number;
  cells_cancelled: number;
}

/**
 * Returns a query for the held tasks with their groups. Workers need `prompts`, which only the newest generation
 * has.
 */
const heldTasks = (sql: Sql) =>
  sql`
    select t.id, t.legacy_id, coalesce(c.unfinished, 0) as cells,
      case
        when t.is_deleted then 'deleted'
        when t.status not in ('pending', 'processing') then 'ended'
        when coalesce(c.cells, 0) = 0 then 'empty'
        when c.unfinished = 0 then 'finished'
        when c.undrawable > 0 then 'older'
        else 'drawable'
      end as "group"
    from tasks t
    left join lateral (
      select count(*) as cells,
        count(*) filter (where s.status in ('pending', 'processing')) as unfinished,
        count(*) filter (where s.status in ('pending', 'processing') and s.prompts is null) as undrawable
      from subtasks s
      where s.parent_task_id = t.id
    ) as c on true
    where t.hold = 'import'`;

/** Lists the held tasks by group, without empty groups. */
export async function listUnfinished(sql: Sql): Promise<UnfinishedGroup[]> {
  return [
    ...await sql<UnfinishedGroup[]>`
      select "group", count(*)::float8 as tasks, sum(cells)::float8 as cells
      from (${heldTasks(sql)}) as g
      where "group" not in ('ended', 'deleted') or cells > 0
      group by "group"
      order by array_position('{drawable,older,finished,empty,ended,deleted}'::text[], "group")`,
  ];
}

/** Ends the tasks of the group `finished` with a status that follows from their cells. */
async function endFinished(sql: Sql): Promise<number> {
  const ended = await sql`
    update tasks t
    set status = case
        when t.subtasks_failed = t.subtasks_total then 'failed'
        when t.subtasks_cancelled = t.subtasks_total then 'cancelled'
        else 'completed'
      end,
      all_subtasks_completed = true,
      completed_at = (select max(s.updated_at) from subtasks s where s.parent_task_id = t.id),
      hold = null,
      revision = t.revision + 1
    from (${heldTasks(sql)}) as g
    where t.id = g.id and g."group" = 'finished'`;
  return ended.count;
}

async function resume(sql: Sql): Promise<Partial<UnfinishedResult>> {
  const drawable = await sql<{ id: string }[]>`
    select id
    from (${heldTasks(sql)}) as g
    where "group" = 'drawable'`;
  const tasks = drawable.map(({ id }) => id);
  // The old backend's running attempts are lost, so those cells start again.
  const cells = await sql`
    update subtasks
    set status = 'pending', started_at = null, updated_at = now()
    where parent_task_id = any (${tasks}::uuid[]) and status = 'processing' and lease_id is null`;
  const [pending] = await sql`
    select count(*)::float8 as cells
    from subtasks
    where parent_task_id = any (${tasks}::uuid[]) and status = 'pending'`;
  failpoint("unfinished.subtasks_moved");
  const resumed = await sql`
    update tasks
    set hold = null, revision = revision + 1
    where id = any (${tasks}::uuid[])`;
  const tasks_ended = await endFinished(sql);
  if (resumed.count + cells.count > 0) await sql`select pg_notify(${channels.submitted}, '')`;
  return { tasks_resumed: resumed.count, cells_resumed: pending!.cells, tasks_ended };
}

async function cancel(sql: Sql): Promise<Partial<UnfinishedResult>> {
  const tasks_ended = await endFinished(sql);
  const [counts] = await sql`
    with held as (
      select id, status in ('pending', 'processing') as open, revision
      from tasks
      where hold = 'import'
      order by id
      for no key update
    ), cancelled as (
      update subtasks s
      set status = 'cancelled', completed_at = now(), updated_at = now(), lease_id = null, worker_id = null,
        revision = held.revision + 1
      from held
      where s.parent_task_id = held.id and s.status in ('pending', 'processing')
      returning s.parent_task_id
    ), counted as (
      select held.id, held.open,
        (select count(*) from cancelled where cancelled.parent_task_id = held.id) as cells
      from held
    ), ended as (
      update tasks t
      set subtasks_cancelled = t.subtasks_cancelled + c.cells,
        status = case when c.open then 'cancelled' else t.status end,
        completed_at = case when c.open then now() else t.completed_at end,
        all_subtasks_completed = true,
        updated_at = now(),
        hold = null,
        revision = t.revision + 1
      from counted c
      where t.id = c.id
      returning c.open
    )
    select (select count(*) from ended)::float8 as tasks, (select count(*) from cancelled)::float8 as cells`;
  return { tasks_cancelled: counts!.tasks, cells_cancelled: counts!.cells, tasks_ended };
}

/** Reports whether the old backend is in charge behind a front, or since a rollback. */
async function isOldInCharge(sql: Sql): Promise<boolean> {
  const { phase } = await readTraffic(sql);
  if (phase === "new") return false;
  return phase !== "old" || await isFenceUp(sql) || (await listFrontProcesses(sql)).length > 0;
}

/**
 * Waits for a sync that is ending, as each does after a cut-over.
 *
 * @throws AppError busy while a sync runs, conflict while the old backend is in charge: the tasks belong to it, and it may
 * draw their cells
 */
async function requireOwned(sql: Sql, decision: Decision): Promise<void> {
  if (await isOldInCharge(sql)) {
    throw new AppError(
      "conflict",
      `unfinished ${decision}: the old backend is in charge of these tasks; decide at the switch with ` +
        `'deno task migrate data cutover --unfinished ${decision}'`,
    );
  }
  const holder = await waitForLeaseEnd(sql, "sync");
  if (holder === undefined) return;
  throw new AppError(
    "busy",
    `unfinished ${decision}: process ${holder} follows the old backend, which still works on these tasks; stop the ` +
      "old backend, let 'sync' apply its last changes, stop 'sync', and decide then",
  );
}

/**
 * Applies a decision to all held imported tasks in one transaction. A second call finds nothing to do.
 *
 * @param decision `keep` only lists the held tasks
 */
export async function decideUnfinished(pool: Pool, decision: Decision): Promise<UnfinishedResult> {
  if (decision !== "keep") await requireOwned(pool, decision);
  const result = await pool.begin(async (sql) => {
    // Cancelling by the owner takes the same row locks, so the two cannot interleave.
    await sql`select from tasks where hold = 'import' order by id for update`;
    failpoint("unfinished.begun");
    const before = await listUnfinished(sql);
    let changes: Partial<UnfinishedResult> = {};
    if (decision === "resume") changes = await resume(sql);
    if (decision === "cancel") changes = await cancel(sql);
    const unchanged = {
      tasks_resumed: 0,
      tasks_cancelled: 0,
      tasks_ended: 0,
      cells_resumed: 0,
      cells_cancelled: 0,
    };
    const held = await listUnfinished(sql);
    failpoint("unfinished.before_commit");
    return { decision, before, held, ...unchanged, ...changes };
  });
  failpoint("unfinished.committed");
  return result;
}

const groupTexts: Record<UnfinishedGroup["group"], string> = {
  drawable: "can be drawn: resume or cancel",
  older: "cells of an older generation that workers cannot draw: cancel",
  finished: "all cells have ended: resume or cancel sets the status from the cells",
  empty: "no cells: cancel",
  ended: "the task has ended, some cells have not: cancel",
  deleted: "deleted by the owner: cancel",
};

/** Returns the result as text. */
export function formatUnfinished(result: UnfinishedResult): string {
  const { tasks_resumed, tasks_cancelled, tasks_ended, cells_resumed, cells_cancelled, held } = result;
  const lines: string[] = [];
  if (tasks_resumed > 0) {
    lines.push(
      `resumed: ${formatCounted(tasks_resumed, "task")}, ${formatCounted(cells_resumed, "cell")} to draw`,
    );
  }
  if (tasks_cancelled > 0) {
    lines.push(
      `cancelled: ${formatCounted(tasks_cancelled, "task")}, ${formatCounted(cells_cancelled, "cell")}`,
    );
  }
  if (tasks_ended > 0) {
    lines.push(`ended with a status from their cells: ${formatCounted(tasks_ended, "task")}`);
  }
  if (held.length === 0) return [...lines, "no unfinished task is held"].join("\n");
  const table = formatTable(
    ["held tasks", "tasks", "cells", "options"],
    held.map(({ group, tasks, cells }) => [group, tasks, cells, groupTexts[group]]),
  );
  return [
    ...lines,
    table,
    "Held tasks are not drawn until 'deno task migrate data unfinished resume' or 'cancel'.",
  ].join("\n");
}
