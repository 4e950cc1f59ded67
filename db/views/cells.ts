/** Cells as v2 shows them: what they hold now, and one with all that led to it. */
import type { Sql } from "../pg/connect.ts";
import type { TaskStatus } from "../queue/task_fields.ts";

/** A cell for a grid, with the rating of who looks. */
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

const withOwn = (sql: Sql, raterId: string) =>
  sql`subtasks s
    left join ratings r
      on r.task_id = s.parent_task_id and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = ${raterId}`;

interface Which {
  taskId: string;
  /** Who looks. */
  raterId: string;
}

/** Cells by their numbers, in no order; numbers of none are left out. */
export async function listCells(
  sql: Sql,
  { taskId, raterId, cells }: Which & { cells: number[] },
): Promise<CellRow[]> {
  return await sql<CellRow[]>`
    select ${cellColumns(sql)}
    from ${withOwn(sql, raterId)}
    where s.parent_task_id = ${taskId} and s.cell = any(${cells}::int[])`;
}

/** One cell with what was asked of the image API; JSON as text. */
export interface WholeCell extends CellRow {
  id: string;
  prompts: string | null;
  ratio: string | null;
  use_polish: boolean;
  client_args: string | null;
  result: string | null;
  queue: string;
  cause: string | null;
  retry_count: number;
  /** Not before then. */
  run_after: Date | null;
  remote_id: string | null;
  created_at: Date;
  started_at: Date | null;
  completed_at: Date | null;
  variables: string;
}

export async function findWholeCell(
  sql: Sql,
  { taskId, raterId, cell }: Which & { cell: number },
): Promise<WholeCell | undefined> {
  const [row] = await sql<WholeCell[]>`
    select ${
    cellColumns(sql)
  }, s.id, s.prompts::text, s.ratio, s.use_polish, s.client_args::text, s.result::text, s.queue,
      case when s.error is not null then failure_cause(s.error) end as cause, s.retry_count, s.run_after, s.remote_id,
      s.created_at, s.started_at, s.completed_at, t.variables::text
    from ${withOwn(sql, raterId)}
    join tasks t on t.id = s.parent_task_id
    where s.parent_task_id = ${taskId} and s.cell = ${cell}`;
  return row;
}

/** What was said of one image of a cell. */
export interface VersionVoices {
  version: number;
  rating_n: number;
  rating_sum: number;
  own_stars: number | null;
  own_skipped: string | null;
  evaluations: number;
}

/** Of each image of a cell that anybody said something of. */
export async function listVoices(
  sql: Sql,
  { taskId, raterId, subtaskId }: Which & { subtaskId: string },
): Promise<VersionVoices[]> {
  return await sql<VersionVoices[]>`
    with rated as (
      select version, count(stars)::int as rating_n, coalesce(sum(stars), 0)::int as rating_sum,
        max(stars) filter (where rater_id = ${raterId}) as own_stars,
        max(skipped) filter (where rater_id = ${raterId}) as own_skipped
      from ratings
      where task_id = ${taskId} and subtask_id = ${subtaskId}
      group by 1
    ), said as (
      select version, count(*)::int as evaluations
      from evaluations
      where task_id = ${taskId} and subtask_id = ${subtaskId}
      group by 1
    )
    select version, coalesce(rating_n, 0) as rating_n, coalesce(rating_sum, 0) as rating_sum, own_stars, own_skipped,
      coalesce(evaluations, 0) as evaluations
    from rated full join said using (version)`;
}
