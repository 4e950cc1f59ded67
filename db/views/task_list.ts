/** v2's list of tasks, newest first, with keyset pagination. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import { matchingTasks } from "../v1/search.ts";
import { oldTaskIdJson } from "../v1/task_ids.ts";
import type { SeedPolicy, TaskStatus } from "../queue/task_fields.ts";

type Fragment = PendingQuery<Row[]>;

/** A task in a list. */
export interface TaskItem {
  id: string;
  /** Id of a migrated task in the old backend if it is not `id`. */
  old_id: string | null;
  task_name: string;
  username: string;
  status: TaskStatus;
  hold: "import" | "pause" | "canary" | null;
  hold_reason: string | null;
  error: string | null;
  priority: number;
  blind: boolean;
  seed_policy: SeedPolicy;
  revision: string;
  created_at: Date;
  updated_at: Date;
  started_at: Date | null;
  completed_at: Date | null;
  subtasks_total: number;
  subtasks_completed: number;
  subtasks_failed: number;
  subtasks_cancelled: number;
}

export const itemColumns = (sql: Sql) =>
  sql`t.id, (${sql.unsafe(oldTaskIdJson)})::json as old_id,
    t.task_name, t.username, t.status, t.hold, t.hold_reason, t.error, t.priority, t.blind, t.seed_policy,
    t.revision::text, t.created_at, t.updated_at, t.started_at, t.completed_at, t.subtasks_total, t.subtasks_completed,
    t.subtasks_failed, t.subtasks_cancelled`;

export interface TaskListFilter {
  /** Selects tasks with any of these statuses; empty for all. */
  statuses: TaskStatus[];
  /** E-mail of the submitter. */
  username?: string | undefined;
  /** Part of the name, in any case. */
  name?: string | undefined;
  createdFrom?: string | undefined;
  createdBefore?: string | undefined;
  /** `created_at` and `id` of the last task of the previous page. */
  after?: readonly [string, string] | undefined;
  limit: number;
}

/** Returns the conditions of a filter besides status and name, each with its `and`. */
function conditions(sql: Sql, { username, createdFrom, createdBefore, after }: TaskListFilter): Fragment {
  const isAfterCursor = after === undefined
    ? sql``
    : sql`and (created_at, id) < (${after[0]}::text::timestamptz, ${after[1]}::text::uuid)`;
  return sql`
    ${username === undefined ? sql`` : sql`and username = ${username}`}
    ${createdFrom === undefined ? sql`` : sql`and created_at >= ${createdFrom}::text::timestamptz`}
    ${createdBefore === undefined ? sql`` : sql`and created_at < ${createdBefore}::text::timestamptz`}
    ${isAfterCursor}`;
}

/**
 * Selects tasks without a search. Each status has its own index in this order; the planner needs it as a
 * literal.
 */
function newest(sql: Sql, filter: TaskListFilter): Fragment {
  const some = (also: Fragment) =>
    sql`(
      select created_at, id
      from tasks
      where not is_deleted ${also} ${conditions(sql, filter)}
      order by created_at desc, id desc
      limit ${filter.limit}::int
    )`;
  const statuses = [...new Set(filter.statuses)];
  if (statuses.length === 0) return some(sql``);
  return statuses.map((status) => some(sql`and status = ${sql.unsafe(`'${status}'`)}`))
    .reduce((all, part) => sql`${all} union all ${part}`);
}

/** Lists tasks, newest first, without deleted ones. */
export async function listTaskItems(sql: Sql, filter: TaskListFilter): Promise<TaskItem[]> {
  const { name, statuses, limit } = filter;
  const hasStatus = statuses.length === 0 ? sql`` : sql`and status = any(${statuses}::text[])`;
  const chosen = name === undefined || name === ""
    ? newest(sql, filter)
    : matchingTasks(sql, name, sql`${hasStatus} ${conditions(sql, filter)}`);
  return await sql<TaskItem[]>`
    with chosen as materialized (${chosen}), page as (
      select created_at, id from chosen order by created_at desc, id desc limit ${limit}::int
    )
    select ${itemColumns(sql)}
    from page join tasks t on t.id = page.id
    order by t.created_at desc, t.id desc`;
}

/** Finds a task, unless it is deleted. */
export async function findTaskItem(sql: Sql, id: string): Promise<TaskItem | undefined> {
  const [row] = await sql<TaskItem[]>`
    select ${itemColumns(sql)} from tasks t where t.id = ${id} and not t.is_deleted`;
  return row;
}
