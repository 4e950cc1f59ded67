/** Cells as v2 shows them: rows of a grid, one cell in detail, and the feedback on each of its images. */
import type { Sql } from "../pg/connect.ts";
import type { TaskStatus } from "../queue/task_fields.ts";
import { oldSubtaskIdJson } from "../v1/subtask.ts";

/** A cell of a grid, with the rater's own rating. */
export interface CellRow {
  cell: number;
  status: TaskStatus;
  /** The attempt that made the image. */
  version: number;
  image_url: string | null;
  thumbnail: string | null;
  seed: string | null;
  error: string | null;
  rating_n: number;
  rating_sum: number;
  own_stars: number | null;
  own_skipped: string | null;
}

const cellColumns = (sql: Sql) =>
  sql`s.cell, s.status, s.attempt as version, s.image_url, s.seed::text, s.error, s.rating_n, s.rating_sum,
    coalesce(s.result ->> 'thumbnail_url', s.result ->> 'thumbnail', s.image_url) as thumbnail,
    r.stars as own_stars, r.skipped as own_skipped`;

const withOwnRating = (sql: Sql, raterId: string) =>
  sql`subtasks s
    left join ratings r
      on r.task_id = s.parent_task_id and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = ${raterId}`;

interface CellQuery {
  taskId: string;
  /** The rater whose own rating is read. */
  raterId: string;
}

/** Lists cells by their numbers, in no order. Unknown numbers are left out. */
export async function listCells(
  sql: Sql,
  { taskId, raterId, cells }: CellQuery & { cells: number[] },
): Promise<CellRow[]> {
  return await sql<CellRow[]>`
    select ${cellColumns(sql)}
    from ${withOwnRating(sql, raterId)}
    where s.parent_task_id = ${taskId} and s.cell = any(${cells}::int[])`;
}

/** One cell with its request to the image API; JSON as text. */
export interface CellDetail extends CellRow {
  id: string;
  /** Id of a migrated subtask in the old backend if it is not `id`. */
  old_id: string | null;
  prompts: string | null;
  ratio: string | null;
  use_polish: boolean;
  client_args: string | null;
  result: string | null;
  queue: string;
  cause: string | null;
  retry_count: number;
  /** Earliest start of the next attempt. */
  run_after: Date | null;
  remote_id: string | null;
  created_at: Date;
  started_at: Date | null;
  completed_at: Date | null;
  variables: string;
}

/** Finds one cell. */
export async function findCellDetail(
  sql: Sql,
  { taskId, raterId, cell }: CellQuery & { cell: number },
): Promise<CellDetail | undefined> {
  const [row] = await sql<CellDetail[]>`
    select ${cellColumns(sql)},
      s.id, (${sql.unsafe(oldSubtaskIdJson)})::json as old_id,
      s.prompts::text, s.ratio, s.use_polish, s.client_args::text, s.result::text, s.queue,
      case when s.error is not null then failure_cause(s.error) end as cause, s.retry_count, s.run_after, s.remote_id,
      s.created_at, s.started_at, s.completed_at, t.variables::text
    from ${withOwnRating(sql, raterId)}
    join tasks t on t.id = s.parent_task_id
    where s.parent_task_id = ${taskId} and s.cell = ${cell}`;
  return row;
}

/** Ratings and evaluations of one image of a cell. */
export interface VersionFeedback {
  version: number;
  rating_n: number;
  rating_sum: number;
  own_stars: number | null;
  own_skipped: string | null;
  evaluations: number;
}

/** Lists the feedback on each image of a cell that has ratings or evaluations. */
export async function listVersionFeedback(
  sql: Sql,
  { taskId, raterId, subtaskId }: CellQuery & { subtaskId: string },
): Promise<VersionFeedback[]> {
  return await sql<VersionFeedback[]>`
    with rated as (
      select version, count(stars)::int as rating_n, coalesce(sum(stars), 0)::int as rating_sum,
        max(stars) filter (where rater_id = ${raterId}) as own_stars,
        max(skipped) filter (where rater_id = ${raterId}) as own_skipped
      from ratings
      where task_id = ${taskId} and subtask_id = ${subtaskId}
      group by 1
    ), evaluated as (
      select version, count(*)::int as evaluations
      from evaluations
      where task_id = ${taskId} and subtask_id = ${subtaskId}
      group by 1
    )
    select version, coalesce(rating_n, 0) as rating_n, coalesce(rating_sum, 0) as rating_sum, own_stars, own_skipped,
      coalesce(evaluations, 0) as evaluations
    from rated full join evaluated using (version)`;
}
