/**
 * v1's task list, task version and created task. PostgreSQL builds each answer as JSON text in one statement.
 */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import { taskText } from "./fields.ts";
import { matchingTasks } from "./search.ts";

type Fragment = PendingQuery<Row[]>;

const taskStatuses = ["pending", "processing", "completed", "failed", "cancelled"];

export interface TaskFilter {
  /**
   * Selects tasks with any of these statuses. An empty list selects all; an unknown status matches nothing.
   */
  statuses?: string[];
  /** Exact `username`; empty for all. */
  username?: string;
  /** Part of the name, in any case; empty for all. */
  taskName?: string;
  /** Page number from 1, of any size: pages after the last are empty. */
  page: number | bigint;
  pageSize: number;
}

/** Largest offset. More rows than this never exist, and larger offsets overflow PostgreSQL's bigint. */
const skippedMax = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Returns the `data` of `GET /tasks` as JSON text: newest first, without deleted tasks. `total` comes from
 * the counts that triggers maintain; with a search by name it is the number of matches.
 */
export async function listTasks(sql: Sql, filter: TaskFilter): Promise<string> {
  const { page, pageSize } = filter;
  const rowsBefore = (BigInt(page) - 1n) * BigInt(pageSize);
  const skipped = String(rowsBefore < skippedMax ? rowsBefore : skippedMax);
  const source = filter.taskName ? searched(sql, filter) : counted(sql, filter, skipped);
  const [row] = await sql<{ data: string }[]>`
    with ${source},
    page as (
      select created_at, id
      from chosen
      order by created_at desc, id desc
      limit ${pageSize} offset ${skipped}::bigint
    )
    select concat(
      '{"tasks":[',
      (
        select string_agg(${taskText(sql)}, ',' order by page.created_at desc, page.id desc)
        from page join tasks as t on t.id = page.id
      ),
      '],"total":', (select total from counted), ',"page":', ${String(page)}::text,
      ',"page_size":', ${String(pageSize)}::text, '}'
    ) as data`;
  return row!.data;
}

/**
 * Builds `counted` and `chosen` for a list without a search. Each status has an index in the order of the
 * list.
 */
function counted(sql: Sql, { statuses = [], username = "", pageSize }: TaskFilter, skipped: string) {
  const owned = username === "" ? sql`` : sql`and username = ${username}`;
  const scope = username === "" ? "*" : `u:${username}`;
  const known = taskStatuses.filter((status) => statuses.includes(status));
  const isAny = statuses.length === 0;
  const among = isAny ? sql`` : sql`and status = any(${known})`;
  // A page after the last reads no rows.
  const newest = sql`
    order by created_at desc, id desc
    limit case when ${skipped}::bigint < (select total from counted) then ${skipped}::bigint + ${pageSize} else 0 end`;
  const tasks = sql`select created_at, id from tasks where not is_deleted ${owned}`;
  // Each status is a literal so that the planner knows how many tasks have it. With a parameter the planner
  // may scan the newest of all tasks instead.
  const ofStatus = known.map((status) => sql`(${tasks} and status = ${sql.unsafe(`'${status}'`)} ${newest})`);
  const chosen = isAny
    ? sql`${tasks} ${newest}`
    : joinUnion(sql, ofStatus.length > 0 ? ofStatus : [sql`${tasks} and false`]);
  return sql`
    counted as materialized (
      select
        coalesce((select sum(tasks) from task_counts where scope = ${scope} ${among}), 0)
        + coalesce((select sum(change) from task_count_changes where true ${owned} ${among}), 0) as total
    ),
    chosen as (
      ${chosen}
    )`;
}

const joinUnion = (sql: Sql, parts: Fragment[]): Fragment =>
  parts.reduce((all, part) => sql`${all} union all ${part}`);

/**
 * Builds `chosen` and `counted` for a search. All matches are materialized, for the page and for the count.
 * Otherwise the planner scans the newest tasks for the first ten matches, which takes a second if there are
 * none.
 */
function searched(sql: Sql, { statuses = [], username = "", taskName = "" }: TaskFilter) {
  const owned = username === "" ? sql`` : sql`and username = ${username}`;
  const among = statuses.length === 0 ? sql`` : sql`and status = any(${statuses})`;
  return sql`
    chosen as materialized (
      ${matchingTasks(sql, taskName, sql`${owned} ${among}`)}
    ),
    counted as (select count(*) as total from chosen)`;
}

/**
 * Returns a task as JSON text, for the answer to its creation.
 *
 * @param totalImages the answer's `total_images`: the product of the level counts, without the repeats of
 * `batch`; the stored number if absent
 * @throws Error if no task has the id
 */
export async function getTaskJson(sql: Sql, id: string, totalImages?: number): Promise<string> {
  const total = totalImages === undefined ? undefined : String(Math.trunc(totalImages));
  const [row] = await sql<{ item: string }[]>`
    select ${taskText(sql, total)} as item from tasks as t where t.id = ${id}`;
  if (!row) throw new Error(`reading task '${id}': it is not there`);
  return row.item;
}
