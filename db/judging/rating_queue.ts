/** What is there to be rated: images that a rater has not rated yet, and who was just given which. */
import type { Pool, Sql } from "../pg/connect.ts";
import { byIndexes } from "./ratings.ts";

/** An image that could be rated. */
export interface Candidate {
  id: string;
  cell: number;
  version: number;
  rating_n: number;
  rating_sum: number;
  /** Of the squares of its stars; null where it was not asked for. */
  squares: number | null;
  /** The rater has rated or skipped it. */
  rated: boolean;
  /** Another rater was just given it. */
  reserved: boolean;
}

/** Seconds that a given cell is kept from others. */
const reservedSeconds = 60;

/** Equal for as long as a task's cells lie where they lay; undefined where it has gone. */
export async function findMatrixMark(sql: Sql, taskId: string): Promise<string | undefined> {
  const [row] = await sql<{ mark: string }[]>`
    select concat_ws(' ', subtasks_total, axis_roles, grown) as mark from tasks where id = ${taskId}`;
  return row?.mark;
}

interface Asked {
  taskId: string;
  raterId: string;
  /** With the squares of the stars. */
  squares: boolean;
}

const columns = (sql: Sql, { taskId, raterId, squares }: Asked) =>
  sql`s.id, s.cell, s.attempt as version, s.rating_n, s.rating_sum,
    ${
    squares
      ? sql`(
        select sum(r.stars * r.stars)::int
        from ratings r
        where r.task_id = ${taskId} and r.subtask_id = s.id and r.version = s.attempt
      )`
      : sql`null::int`
  } as squares,
    exists (
      select from reservations o
      where o.task_id = ${taskId} and o.subtask_id = s.id and o.rater_id <> ${raterId} and o.until > now()
    ) as reserved`;

// With a limit it stays a look-up of each image. As a join, while the statistics know of no ratings, it was seen to read
// all of a task's for every image: minutes.
const isRated = (sql: Sql, { taskId, raterId }: Asked) =>
  sql`(
    select true
    from ratings r
    where r.task_id = ${taskId} and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = ${raterId}
    limit 1
  ) is not null`;

/** Runs statements that look ratings up one by one: see {@link byIndexes}. */
export async function withIndexes<T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  return await pool.begin(async (sql) => {
    await sql`select ${byIndexes(sql)}`;
    return await work(sql);
  }) as T;
}

/** Of some places those that have an image, also those that were rated. */
export async function listCandidates(sql: Sql, asked: Asked, cells: number[]): Promise<Candidate[]> {
  return await sql<Candidate[]>`
    select ${columns(sql, asked)}, ${isRated(sql, asked)} as rated
    from unnest(${cells}::int[]) as place (cell)
    join subtasks s on s.parent_task_id = ${asked.taskId} and s.cell = place.cell
    where s.status = 'completed' and s.image_url is not null`;
}

/** Images that are not rated yet, from a place on, as they stand: for when those drawn by lot were all rated. */
export async function listUnrated(
  sql: Sql,
  asked: Asked,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<Candidate[]> {
  return await sql<Candidate[]>`
    select ${columns(sql, asked)}, false as rated
    from subtasks s
    where s.parent_task_id = ${asked.taskId} and s.cell between ${from}::int and ${to}::int
      and s.status = 'completed' and s.image_url is not null and not (${isRated(sql, asked)})
    order by s.cell
    limit ${limit}`;
}

/** What a rater is given. */
export interface Given {
  cell: number;
  version: number;
  image_url: string;
  prompts: unknown;
  ratio: string | null;
  until: Date;
}

/**
 * Gives a rater the first `count` of the wanted images, those that others have last. One call at a time for a task, to
 * the end of the transaction: two that ask at once are given different ones while there are enough.
 *
 * @param ids of subtasks, the most wanted first
 */
export async function reserveCells(
  sql: Sql,
  { taskId, raterId, ids, count }: { taskId: string; raterId: string; ids: string[]; count: number },
): Promise<Given[]> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${"rating queue " + taskId}, 0))`;
  await sql`delete from reservations where task_id = ${taskId} and until <= now()`;
  return await sql<Given[]>`
    with chosen as (
      select w.id, w.place,
        exists (
          select from reservations o
          where o.task_id = ${taskId} and o.subtask_id = w.id and o.rater_id <> ${raterId} and o.until > now()
        ) as reserved
      from unnest(${ids}::uuid[]) with ordinality as w (id, place)
      order by reserved, place
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
    order by c.reserved, c.place`;
}
