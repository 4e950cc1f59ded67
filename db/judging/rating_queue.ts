/** The rating queue: images that a rater has not rated yet, and their reservations. */
import type { Pool, Sql } from "../pg/connect.ts";
import { disableSeqScans } from "./ratings.ts";

/** An image that can be rated. */
export interface Candidate {
  id: string;
  cell: number;
  version: number;
  rating_n: number;
  rating_sum: number;
  /** Sum of the squares of its stars; null unless requested. */
  squares: number | null;
  /** The rater has rated or skipped it. */
  rated: boolean;
  /** It is reserved for another rater. */
  reserved: boolean;
}

/** Seconds for which a cell is reserved for one rater. */
const reservedSeconds = 60;

/**
 * Finds a value that changes whenever the matrix layout of a task changes; undefined if no task has the id.
 */
export async function findLayoutVersion(sql: Sql, taskId: string): Promise<string | undefined> {
  const [row] = await sql<{ version: string }[]>`
    select concat_ws(' ', subtasks_total, axis_roles, grown) as version from tasks where id = ${taskId}`;
  return row?.version;
}

/** The rater for whom candidates are read, and the optional columns. */
interface CandidateQuery {
  taskId: string;
  raterId: string;
  /** Reads the sum of the squares of the stars. */
  squares: boolean;
}

function columns(sql: Sql, { taskId, raterId, squares }: CandidateQuery) {
  const sumOfSquares = squares
    ? sql`(
        select sum(r.stars * r.stars)::int
        from ratings r
        where r.task_id = ${taskId} and r.subtask_id = s.id and r.version = s.attempt
      )`
    : sql`null::int`;
  return sql`s.id, s.cell, s.attempt as version, s.rating_n, s.rating_sum, ${sumOfSquares} as squares,
    exists (
      select from reservations o
      where o.task_id = ${taskId} and o.subtask_id = s.id and o.rater_id <> ${raterId} and o.until > now()
    ) as reserved`;
}

// The limit keeps this an index look-up for each image. As a join, and without statistics on ratings, the
// planner read all ratings of the task for every image, which took minutes.
const isRated = (sql: Sql, { taskId, raterId }: CandidateQuery) =>
  sql`(
    select true
    from ratings r
    where r.task_id = ${taskId} and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = ${raterId}
    limit 1
  ) is not null`;

/** Runs statements that look up ratings by their indexes: see {@link disableSeqScans}. */
export async function withIndexScans<T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  return await pool.begin(async (sql) => {
    await sql`select ${disableSeqScans(sql)}`;
    return await work(sql);
  }) as T;
}

/** Lists those of the given cells that have an image, rated or not. */
export async function listCandidates(
  sql: Sql,
  query: CandidateQuery,
  cells: number[],
): Promise<Candidate[]> {
  return await sql<Candidate[]>`
    select ${columns(sql, query)}, ${isRated(sql, query)} as rated
    from unnest(${cells}::int[]) as wanted (cell)
    join subtasks s on s.parent_task_id = ${query.taskId} and s.cell = wanted.cell
    where s.status = 'completed' and s.image_url is not null`;
}

/**
 * Lists unrated images in the order of cell numbers, for the case that all randomly chosen cells are rated.
 */
export async function listUnrated(
  sql: Sql,
  query: CandidateQuery,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<Candidate[]> {
  return await sql<Candidate[]>`
    select ${columns(sql, query)}, false as rated
    from subtasks s
    where s.parent_task_id = ${query.taskId} and s.cell between ${from}::int and ${to}::int
      and s.status = 'completed' and s.image_url is not null and not (${isRated(sql, query)})
    order by s.cell
    limit ${limit}`;
}

/** An image that is reserved for a rater. */
export interface ReservedImage {
  cell: number;
  version: number;
  image_url: string;
  prompts: unknown;
  ratio: string | null;
  until: Date;
}

/**
 * Reserves the first `count` of the wanted images for a rater; images that are reserved for others come last.
 * Calls for the same task run one after the other, until the end of the transaction. Concurrent raters
 * therefore receive different images as long as there are enough.
 *
 * @param ids ids of subtasks, the most wanted first
 */
export async function reserveCells(
  sql: Sql,
  { taskId, raterId, ids, count }: { taskId: string; raterId: string; ids: string[]; count: number },
): Promise<ReservedImage[]> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${"rating queue " + taskId}, 0))`;
  await sql`delete from reservations where task_id = ${taskId} and until <= now()`;
  return await sql<ReservedImage[]>`
    with chosen as (
      select w.id, w.rank,
        exists (
          select from reservations o
          where o.task_id = ${taskId} and o.subtask_id = w.id and o.rater_id <> ${raterId} and o.until > now()
        ) as reserved
      from unnest(${ids}::uuid[]) with ordinality as w (id, rank)
      order by reserved, rank
      limit ${count}
    ), kept as (
      insert into reservations (task_id, subtask_id, rater_id, until)
      select ${taskId}, id, ${raterId}, now() + ${reservedSeconds}::int * interval '1 s' from chosen
      on conflict on constraint reservations_pkey do update set until = excluded.until
      returning subtask_id, until
    )
    select s.cell, s.attempt as version, s.image_url, s.prompts, s.ratio, k.until
    from chosen c
    join kept k on k.subtask_id = c.id
    join subtasks s on s.parent_task_id = ${taskId} and s.id = c.id
    where s.status = 'completed' and s.image_url is not null
    order by c.reserved, c.rank`;
}
