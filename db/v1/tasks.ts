/** v1's list of tasks and what surrounds it, built by PostgreSQL as JSON text, one statement an answer. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import { isTaskId, taskText } from "./fields.ts";
import { matchingTasks } from "./search.ts";

type Fragment = PendingQuery<Row[]>;

const taskStatuses = ["pending", "processing", "completed", "failed", "cancelled"];

export interface TaskFilter {
  /** Any of these; an empty list is no filter, an unknown status matches nothing. */
  statuses?: string[];
  /** Exactly this owner; empty is no filter. */
  username?: string;
  /** A part of the name in any case; empty is no filter. */
  taskName?: string;
  /** From 1. */
  page: number;
  pageSize: number;
}

/**
 * The `data` of `GET /tasks` as JSON text: newest first, deleted ones left out. `total` is read from the counts
 * that triggers keep, but where a name is searched: what the search found is counted.
 */
export async function listTasks(sql: Sql, filter: TaskFilter): Promise<string> {
  const { page, pageSize } = filter;
  const skipped = String(Math.min((page - 1) * pageSize, Number.MAX_SAFE_INTEGER));
  const [row] = await sql<{ data: string }[]>`
    with ${filter.taskName ? searched(sql, filter) : counted(sql, filter, skipped)},
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

/** Without a search: an index gives the order, for each status its own. */
function counted(sql: Sql, { statuses = [], username = "", pageSize }: TaskFilter, skipped: string) {
  const owned = username === "" ? sql`` : sql`and username = ${username}`;
  const scope = username === "" ? "*" : `u:${username}`;
  const known = taskStatuses.filter((status) => statuses.includes(status));
  const isAny = statuses.length === 0;
  const among = isAny ? sql`` : sql`and status = any(${known})`;
  // A page past the end reads nothing.
  const newest = sql`
    order by created_at desc, id desc
    limit case when ${skipped}::bigint < (select total from counted) then ${skipped}::bigint + ${pageSize} else 0 end`;
  const tasks = sql`select created_at, id from tasks where not is_deleted ${owned}`;
  // Each status is written out, for the planner to know how many tasks have it; one it does not know it may
  // look for among the newest of all tasks.
  const ofStatus = known.map((status) => sql`(${tasks} and status = ${sql.unsafe(`'${status}'`)} ${newest})`);
  return sql`
    counted as materialized (
      select
        coalesce((select sum(tasks) from task_counts where scope = ${scope} ${among}), 0)
        + coalesce((select sum(change) from task_count_changes where true ${owned} ${among}), 0) as total
    ),
    chosen as (
      ${
    isAny
      ? sql`${tasks} ${newest}`
      : joinUnion(sql, ofStatus.length > 0 ? ofStatus : [sql`${tasks} and false`])
  }
    )`;
}

const joinUnion = (sql: Sql, parts: Fragment[]): Fragment =>
  parts.reduce((all, part) => sql`${all} union all ${part}`);

/**
 * With a search: all that match are found once, for the page and to be counted. Left to itself the planner
 * walks the newest tasks in the hope of ten matches soon, which takes a second where there are none.
 */
function searched(sql: Sql, { statuses = [], username = "", taskName = "" }: TaskFilter) {
  return sql`
    chosen as materialized (
      ${
    matchingTasks(
      sql,
      taskName,
      sql`
        ${username === "" ? sql`` : sql`and username = ${username}`}
        ${statuses.length === 0 ? sql`` : sql`and status = any(${statuses})`}`,
    )
  }
    ),
    counted as (select count(*) as total from chosen)`;
}

/**
 * The version of a task, deleted or not: another one after each change of the task or its subtasks; undefined for an
 * id that no task has.
 */
export async function findTaskVersion(sql: Sql, id: string): Promise<string | undefined> {
  if (!isTaskId(id)) return undefined;
  const [row] = await sql<{ version: string }[]>`
    select
      -- While a task is open its cells are claimed and tried again without a write to its own row: who wrote each of
      -- them last, summed up, grows with every such write.
      case when status not in ('pending', 'processing') and not cancelling then revision::text
        else revision || '.' || (select coalesce(sum(xmin::text::bigint), 0) from subtasks where parent_task_id = ${id})
      end as version
    from tasks
    where id = ${id}`;
  return row?.version;
}

/**
 * A task as JSON text, for the answer that creates it.
 *
 * @param totalImages what the answer says of `total_images`: the product of the value counts, where batches
 *   make more subtasks than that; without it what the task holds
 * @throws Error when no task has the id
 */
export async function getTaskJson(sql: Sql, id: string, totalImages?: number): Promise<string> {
  const total = totalImages === undefined ? undefined : String(Math.trunc(totalImages));
  const [row] = await sql<{ item: string }[]>`
    select ${taskText(sql, total)} as item from tasks as t where t.id = ${id}`;
  if (!row) throw new Error(`reading task '${id}': it is not there`);
  return row.item;
}
