/**
 * Cells of a task for an export, read in chunks by cell number, so that a slow reader holds no connection.
 */
import type { Sql } from "../pg/connect.ts";
import type { Viewer } from "../judging/ratings.ts";

export interface ExportHead {
  task_name: string;
  created_at: Date;
  /** JSON text. */
  variables: string;
  subtasks_total: number;
  /** An axis was extended: cell numbers do not follow from the lengths of the axes. */
  has_grown: boolean;
  has_tags: boolean;
}

/** Finds the task fields of an export. */
export async function findExportHead(sql: Sql, taskId: string): Promise<ExportHead | undefined> {
  const [row] = await sql<ExportHead[]>`
    select task_name, created_at, variables::text as variables, subtasks_total, grown is not null as has_grown,
      exists (select from cell_tags where task_id = tasks.id) as has_tags
    from tasks
    where id = ${taskId} and not is_deleted`;
  return row;
}

export interface ExportCell {
  cell: number;
  variable_indices: (number | null)[] | null;
  status: string;
  version: number;
  image: string | null;
  seed: string | null;
  ratio: string | null;
  /** JSON text. */
  prompts: string | null;
  error: string | null;
  /** Null if the ratings of others are hidden. */
  n: number | null;
  mean: number | null;
  /** Numbers of ratings with one to five stars. */
  distribution: number[] | null;
  evaluations: string[] | null;
  tags: string[] | null;
}

/** Lists the cells after the number `after`, in order, with the ratings that the viewer may see. */
export async function listExportCells(
  sql: Sql,
  { taskId, after, limit, viewer, hasTags }: {
    taskId: string;
    after: number;
    limit: number;
    viewer: Viewer;
    hasTags: boolean;
  },
): Promise<ExportCell[]> {
  const { id, hidesOthers } = viewer;
  const isShown = hidesOthers
    ? sql`exists (
        select from ratings own
        where own.task_id = s.parent_task_id and own.subtask_id = s.id and own.version = s.attempt
          and own.rater_id = ${id} and own.stars is not null
      )`
    : sql`true`;
  const evaluations = hidesOthers
    ? sql`case when o.shown then s.evaluate else (
        select array_agg(e.text order by e.created_at, e.id)
        from evaluations e
        where e.task_id = s.parent_task_id and e.subtask_id = s.id and e.version = s.attempt and e.author_id = ${id}
      ) end`
    : sql`s.evaluate`;
  const tags = hasTags
    ? sql`(
        select array_agg(t.tag order by t.tag collate "C")
        from cell_tags t
        where t.task_id = s.parent_task_id and t.subtask_id = s.id and (o.shown or t.author_id = ${id})
      )`
    : sql`null::text[]`;
  return await sql<ExportCell[]>`
    select s.cell, s.variable_indices, s.status, s.attempt as version,
      case when s.status = 'completed' then s.image_url end as image, s.seed::text, s.ratio,
      s.prompts::text as prompts,
      s.error, case when o.shown then s.rating_n end as n,
      case when o.shown then coalesce(s.rating_sum::float8 / nullif(s.rating_n, 0), s.rating::float8) end as mean,
      case when o.shown and s.rating_n > 0 then (
        select array[
          count(*) filter (where r.stars = 1), count(*) filter (where r.stars = 2), count(*) filter (where r.stars = 3),
          count(*) filter (where r.stars = 4), count(*) filter (where r.stars = 5)
        ]::int[]
        from ratings r
        where r.task_id = s.parent_task_id and r.subtask_id = s.id and r.version = s.attempt
      ) end as distribution,
      ${evaluations} as evaluations, ${tags} as tags
    from subtasks s
    cross join lateral (select ${isShown} as shown) o
    where s.parent_task_id = ${taskId} and s.cell > ${after}::int
    order by s.cell
    limit ${limit}::int`;
}
