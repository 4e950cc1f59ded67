/** v2's list of tasks: newest first, by keyset. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import { matchingTasks } from "../v1/search.ts";
import type { SeedPolicy, TaskStatus } from "../queue/task_fields.ts";

type Fragment = PendingQuery<Row[]>;

/** A task as lists show it. */
export interface TaskItem {
  id: string;
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
  sql`t.id, t.task_name, t.username, t.status, t.hold, t.hold_reason, t.error, t.priority, t.blind, t.seed_policy,
    t.revision::text, t.created_at, t.updated_at, t.started_at, t.completed_at, t.subtasks_total, t.subtasks_completed,
    t.subtasks_failed, t.subtasks_cancelled`;

export interface TaskListFilter {
  /** Any of these; empty for all. */
  statuses: TaskStatus[];
  /** Of this e-mail. */
  username?: string | undefined;
  /** A part of the name, in any case. */
  name?: string | undefined;
  createdFrom?: string | undefined;
  createdBefore?: string | undefined;
  /** `created_at` and `id` of the last one shown. */
  after?: readonly [string, string] | undefined;
  limit: number;
}

function conditions(sql: Sql, { username, createdFrom, createdBefore, after }: TaskListFilter): Fragment {
  return sql`
    ${username === undefined ? sql`` : sql`and username = ${username}`}
    ${createdFrom === undefined ? sql`` : sql`and created_at >= ${createdFrom}::text::timestamptz`}
    ${createdBefore === undefined ? sql`` : sql`and created_at < ${createdBefore}::text::timestamptz`}
    ${
    after === undefined
      ? sql``
      : sql`and (created_at, id) < (${after[0]}::text::timestamptz, ${after[1]}::text::uuid)`
  }`;
}

/** Without a search: an index gives the order, for each status its own, which is written out for the planner. */
function newest(sql: Sql, filter: TaskListFilter): Fragment {
  const some = (also: Fragment) =>
    sql`(select created_at, id from tasks where not is_deleted ${also} ${conditions(sql, filter)}
      order by created_at desc, id desc limit ${filter.limit}::int)`;
  const statuses = [...new Set(filter.statuses)];
  if (statuses.length === 0) return some(sql``);
  return statuses.map((status) => some(sql`and status = ${sql.unsafe(`'${status}'`)}`))
    .reduce((all, part) => sql`${all} union all ${part}`);
}

/** Tasks that are not deleted, newest first. */
export async function listTaskItems(sql: Sql, filter: TaskListFilter): Promise<TaskItem[]> {
  const { name, statuses, limit } = filter;
  const chosen = name === undefined || name === "" ? newest(sql, filter) : matchingTasks(
    sql,
    name,
    sql`${statuses.length === 0 ? sql`` : sql`and status = any(${statuses}::text[])`} ${
      conditions(sql, filter)
    }`,
  );
  return await sql<TaskItem[]>`
    with chosen as materialized (${chosen}), page as (
      select created_at, id from chosen order by created_at desc, id desc limit ${limit}::int
    )
    select ${itemColumns(sql)}
    from page join tasks t on t.id = page.id
    order by t.created_at desc, t.id desc`;
}

/** One task that is not deleted. */
export async function findTaskItem(sql: Sql, id: string): Promise<TaskItem | undefined> {
  const [row] = await sql<TaskItem[]>`
    select ${itemColumns(sql)} from tasks t where t.id = ${id} and not t.is_deleted`;
  return row;
}
