/**
 * Work that the old backend had not finished: it waits under `hold = 'import'` until somebody decides. No worker
 * takes a held task's cells, so nothing of months ago starts drawing by itself.
 */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { channels } from "../../../db/queue/tasks.ts";
import { failpoint } from "../tools/failpoint.ts";
import { formatTable } from "./status.ts";

export const decisions = ["resume", "cancel", "keep"] as const;
export type Decision = (typeof decisions)[number];

/** Held tasks by what can become of them; cells are their pending and processing subtasks. */
export interface UnfinishedGroup {
  /**
   * `drawable` can be resumed; `older` has cells of a generation that no worker can draw; `finished` has no cell
   * left to draw, only a status that says otherwise; `empty` has no cells at all; `ended` and `deleted` tasks have
   * cells that were left over.
   */
  group: "drawable" | "older" | "finished" | "empty" | "ended" | "deleted";
  tasks: number;
  cells: number;
}

export interface UnfinishedResult {
  decision: Decision;
  /** What was held before. */
  before: UnfinishedGroup[];
  /** What is held now. */
  held: UnfinishedGroup[];
  tasks_resumed: number;
  tasks_cancelled: number;
  /** Tasks whose cells were all over: they ended as their cells say. */
  tasks_ended: number;
  cells_resumed: number;
  cells_cancelled: number;
}

// A worker needs `prompts`, which only the newest generation has.
const grouped = (sql: Sql) =>
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

/** What waits for a decision; groups without a task are left out. */
export async function listUnfinished(sql: Sql): Promise<UnfinishedGroup[]> {
  return [
    ...await sql<UnfinishedGroup[]>`
      select "group", count(*)::float8 as tasks, sum(cells)::float8 as cells
      from (${grouped(sql)}) as g
      where "group" not in ('ended', 'deleted') or cells > 0
      group by "group"
      order by array_position('{drawable,older,finished,empty,ended,deleted}'::text[], "group")`,
  ];
}

/** Tasks that say they are under way though all their cells are over end as their cells say. */
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
    from (${grouped(sql)}) as g
    where t.id = g.id and g."group" = 'finished'`;
  return ended.count;
}

async function resume(sql: Sql): Promise<Partial<UnfinishedResult>> {
  const tasks =
    (await sql<{ id: string }[]>`select id from (${grouped(sql)}) as g where "group" = 'drawable'`)
      .map(({ id }) => id);
  // What the old backend had under way is lost with it: those cells begin again.
  const cells = await sql`
    update subtasks
    set status = 'pending', started_at = null, updated_at = now()
    where parent_task_id = any (${tasks}::uuid[]) and status = 'processing' and lease_id is null`;
  const [waiting] = await sql`
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
  return { tasks_resumed: resumed.count, cells_resumed: waiting!.cells, tasks_ended };
}

async function cancel(sql: Sql): Promise<Partial<UnfinishedResult>> {
  const tasks_ended = await endFinished(sql);
  const [done] = await sql`
    with held as (
      select id, status in ('pending', 'processing') as open from tasks where hold = 'import'
    ), cut as (
      update subtasks s
      set status = 'cancelled', completed_at = now(), updated_at = now(), lease_id = null, worker_id = null
      from held
      where s.parent_task_id = held.id and s.status in ('pending', 'processing')
      returning s.parent_task_id
    ), counted as (
      select held.id, held.open, (select count(*) from cut where cut.parent_task_id = held.id) as cells
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
    select (select count(*) from ended)::float8 as tasks, (select count(*) from cut)::float8 as cells`;
  return { tasks_cancelled: done!.tasks, cells_cancelled: done!.cells, tasks_ended };
}

/**
 * Decides over everything that is held since its import; run again it finds nothing more to do. In one transaction.
 *
 * @param decision `keep` only looks
 */
export async function decideUnfinished(pool: Pool, decision: Decision): Promise<UnfinishedResult> {
  const result = await pool.begin(async (sql) => {
    // As cancelling by its owner locks a task: whoever is first decides.
    await sql`select from tasks where hold = 'import' order by id for update`;
    failpoint("unfinished.begun");
    const before = await listUnfinished(sql);
    const done = decision === "resume" ? await resume(sql) : decision === "cancel" ? await cancel(sql) : {};
    const zero = {
      tasks_resumed: 0,
      tasks_cancelled: 0,
      tasks_ended: 0,
      cells_resumed: 0,
      cells_cancelled: 0,
    };
    const held = await listUnfinished(sql);
    failpoint("unfinished.before_commit");
    return { decision, before, held, ...zero, ...done };
  });
  failpoint("unfinished.committed");
  return result;
}

const words: Record<UnfinishedGroup["group"], string> = {
  drawable: "can be drawn: resume or cancel",
  older: "cells of an older form that no worker can draw: cancel",
  finished: "all cells are over: ends as they say, by resume or cancel",
  empty: "without cells: cancel",
  ended: "ended, with cells left over: cancel",
  deleted: "deleted by its owner: cancel",
};

/** The result for people. */
export function formatUnfinished(result: UnfinishedResult): string {
  const n = (count: number) => count.toLocaleString("en");
  const lines: string[] = [];
  if (result.tasks_resumed > 0) {
    lines.push(`resumed: ${n(result.tasks_resumed)} tasks, ${n(result.cells_resumed)} cells to draw`);
  }
  if (result.tasks_cancelled > 0) {
    lines.push(`cancelled: ${n(result.tasks_cancelled)} tasks, ${n(result.cells_cancelled)} cells`);
  }
  if (result.tasks_ended > 0) lines.push(`ended as their cells say: ${n(result.tasks_ended)} tasks`);
  if (result.held.length === 0) return [...lines, "nothing unfinished is held"].join("\n");
  const table = formatTable(
    ["held tasks", "tasks", "cells", ""],
    result.held.map(({ group, tasks, cells }) => [group, tasks, cells, words[group]]),
  );
  return [
    ...lines,
    table,
    "held: no worker takes them until 'deno task migrate data unfinished resume' or 'cancel'",
  ].join("\n");
}
