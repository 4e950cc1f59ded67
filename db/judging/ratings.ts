/** What raters say of images: one rating a rater and image version, with its history. */
import type { Pool, Sql } from "../pg/connect.ts";

/** A wish to rate a cell; without stars and reason it is cleared. */
export interface RatingWish {
  task_id: string;
  cell: number;
  rater_id: string;
  /** 1 to 5. */
  stars: number | null;
  /** Why it is not rated. */
  skipped: string | null;
  blind: boolean;
  took_ms: number | null;
}

/** What the cell's image has after a wish. */
export interface RatedCell {
  /** The attempt that made the image. */
  version: number;
  rating_n: number;
  rating_sum: number;
}

/** And what decides what its rater is told of it. */
export interface RatedTask {
  blind: boolean;
  /** E-mail of its submitter. */
  username: string;
}

/** `no_task`, `no_cell`: not there; `no_image`: the cell has none to be rated. */
export type RatingOutcome = RatedCell & RatedTask | "no_task" | "no_cell" | "no_image";

const column = <K extends keyof RatingWish>(wishes: RatingWish[], key: K) => wishes.map((wish) => wish[key]);

/** What the wishes are about, each after those before it: several may be of one rater and image. */
const steps = (sql: Sql, wishes: RatingWish[]) =>
  sql`
    with wish as (
      select * from unnest(
        ${column(wishes, "task_id")}::uuid[], ${column(wishes, "cell")}::int[], ${
    column(wishes, "rater_id")
  }::uuid[],
        ${column(wishes, "stars")}::smallint[], ${column(wishes, "skipped")}::text[],
        ${column(wishes, "blind").map(String)}::text[]::boolean[], ${column(wishes, "took_ms")}::int[]
      ) with ordinality as w (task_id, cell, rater_id, stars, skipped, blind, took_ms, place)
    ), target as materialized (
      select w.*, t.id is not null as has_task, t.revision, t.blind as task_blind, t.username,
        s.id as subtask_id, s.attempt as version, s.rating_n, s.rating_sum,
        coalesce(s.status = 'completed' and s.image_url is not null, false) as has_image,
        r.stars as stars_before, r.rater_id is not null as was_there
      from wish w
      left join tasks t on t.id = w.task_id and not t.is_deleted
      left join subtasks s on s.parent_task_id = t.id and s.cell = w.cell
      -- With a limit it stays a look-up of each, whatever the statistics know of ratings.
      left join lateral (
        select r.stars, r.rater_id
        from ratings r
        where r.task_id = w.task_id and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = w.rater_id
        limit 1
      ) r on true
    ), told as (
      -- All that changes a task's cells raises its revision. One that was raised since this statement began is another
      -- by now, for which the statement would have waited: what it knows of the task is out of date, and nothing is written.
      update tasks t
      set revision = t.revision + 1
      from (select distinct task_id, revision from target where has_image) seen
      where t.id = seen.task_id and t.revision = seen.revision and not t.is_deleted
      returning t.id
    ), step as materialized (
      select *, stars is null and skipped is null as clears, lead(place) over mine is null as is_last,
        case when lag(place) over mine is null then stars_before else lag(stars) over mine end as stars_until,
        case when lag(place) over mine is null then was_there
          else lag(stars) over mine is not null or lag(skipped) over mine is not null end as there_until
      from target
      where has_image and task_id in (select id from told)
      window mine as (partition by task_id, subtask_id, rater_id order by place)
    )`;

interface Row extends RatedCell, RatedTask {
  place: number;
  has_task: boolean;
  has_cell: boolean;
  has_image: boolean;
  /** False where the task changed meanwhile: of its wishes none was written. */
  saved: boolean;
}

async function writeRatings(sql: Sql, wishes: RatingWish[]): Promise<Row[]> {
  return await sql<Row[]>`
    ${steps(sql, wishes)}, said as (
      insert into ratings as r (task_id, subtask_id, version, rater_id, stars, skipped, blind, took_ms)
      select task_id, subtask_id, version, rater_id, stars, skipped, blind, took_ms
      from step
      where is_last and not clears
      on conflict on constraint ratings_pkey do update
      -- Who has rated an image has seen what others say of it: a change is as blind as what it changes, at most.
      set stars = excluded.stars, skipped = excluded.skipped, blind = excluded.blind and r.blind,
        took_ms = excluded.took_ms, updated_at = now()
    ), cleared as (
      delete from ratings r using step t
      where t.is_last and t.clears and t.was_there
        and r.task_id = t.task_id and r.subtask_id = t.subtask_id and r.version = t.version and r.rater_id = t.rater_id
    ), noted as (
      insert into rating_history (task_id, subtask_id, version, rater_id, action, stars, skipped)
      select task_id, subtask_id, version, rater_id,
        case when clears then 'cleared' when there_until then 'changed' else 'rated' end, stars, skipped
      from step
      where there_until or not clears
      order by place
    ), summed as (
      select place, task_id, subtask_id, revision,
        rating_n + sum((stars is not null)::int - (stars_until is not null)::int) over until_it as rating_n,
        rating_sum + sum(coalesce(stars, 0) - coalesce(stars_until, 0)) over until_it as rating_sum
      from step
      window until_it as (partition by task_id, subtask_id order by place)
    ), projected as (
      update subtasks s
      set rating_n = c.rating_n, rating_sum = c.rating_sum, rating = round(c.rating_sum::numeric / nullif(c.rating_n, 0)),
        revision = c.revision + 1
      from (select distinct on (task_id, subtask_id) * from summed order by task_id, subtask_id, place desc) c
      where s.parent_task_id = c.task_id and s.id = c.subtask_id
    )
    select t.place::int, t.has_task, t.subtask_id is not null as has_cell, t.has_image,
      not t.has_image or c.place is not null as saved, t.version, c.rating_n::int, c.rating_sum::int,
      t.task_blind as blind, t.username
    from target t
    left join summed c on c.place = t.place
    order by t.place`;
}

/**
 * For the rest of the transaction tables are read by their indexes. A plan made while nobody had rated anything is to read
 * all ratings each time, which costs nothing then; the session keeps it, for a minute or for ever, as ratings come in.
 */
export const byIndexes = (sql: Sql) => sql`set_config('enable_seqscan', 'off', true)`;

/** With the tasks locked, for when they change too often to be caught between two changes. */
async function writeLocked(pool: Pool, wishes: RatingWish[]): Promise<Row[]> {
  const ids = [...new Set(column(wishes, "task_id"))];
  return await pool.begin(async (sql) => {
    // A statement of its own, waited for: the next one sees what was committed while we waited. Sent together, the driver
    // may have the second overtake the first where only the second is prepared already.
    await sql`
      select ${byIndexes(sql)} from tasks
      where id = any(${ids}::uuid[]) and not is_deleted
      order by id
      for no key update`;
    return await writeRatings(sql, wishes);
  }) as Row[];
}

function toOutcome(
  { has_task: hasTask, has_cell: hasCell, has_image: hasImage, saved, ...rated }: Row,
): RatingOutcome {
  if (!hasTask) return "no_task";
  if (!hasCell) return "no_cell";
  if (!hasImage) return "no_image";
  if (!saved) throw new Error("a task changed although it was locked");
  const { version, rating_n, rating_sum, blind, username } = rated;
  return { version, rating_n, rating_sum, blind, username };
}

/**
 * Rates many cells, of any tasks, at once: the ratings, their history, and what the cells show of them. Wishes of one rater
 * and cell follow each other, as if each had come alone.
 *
 * @returns outcomes in the order of the wishes
 */
export async function saveRatings(pool: Pool, wishes: RatingWish[]): Promise<RatingOutcome[]> {
  // One statement is one way to the server and back, where a lock of its own takes four. Of several tasks the locks must
  // be taken in their order.
  if (wishes.every(({ task_id }) => task_id === wishes[0]!.task_id)) {
    const rows = await writeRatings(pool, wishes);
    if (rows.every(({ saved }) => saved)) return rows.map(toOutcome);
  }
  return (await writeLocked(pool, wishes)).map(toOutcome);
}

/** Who looks, and whether what others say is hidden from them until they have given stars to that image. */
export interface Looker {
  id: string;
  hidesOthers: boolean;
}

/** Whether `said`, which names a task, a subtask and a version, may be shown; `author` is whose it is. */
export const maySee = (
  sql: Sql,
  { id, hidesOthers }: Looker,
  said: "h" | "e",
  author: "rater_id" | "author_id",
) =>
  hidesOthers
    ? sql`(${sql(said)}.${sql(author)} = ${id} or exists (
        select from ratings own
        where own.task_id = ${sql(said)}.task_id and own.subtask_id = ${sql(said)}.subtask_id
          and own.version = ${sql(said)}.version and own.rater_id = ${id} and own.stars is not null
      ))`
    : sql`true`;

export interface OwnRating extends RatedCell {
  stars: number | null;
  skipped: string | null;
  has_image: boolean;
}

/** A rater's own rating of the image that a cell has now, and what the cell shows of all. */
export async function findOwnRating(
  sql: Sql,
  { taskId, cell, raterId }: { taskId: string; cell: number; raterId: string },
): Promise<OwnRating | undefined> {
  const [row] = await sql<OwnRating[]>`
    select s.attempt as version, s.rating_n, s.rating_sum, r.stars, r.skipped,
      s.status = 'completed' and s.image_url is not null as has_image
    from subtasks s
    left join ratings r
      on r.task_id = ${taskId} and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = ${raterId}
    where s.parent_task_id = ${taskId} and s.cell = ${cell}`;
  return row;
}

export interface HistoryRow {
  id: string;
  version: number;
  rater_id: string;
  /** The e-mail; null for a link's, and for a rater who has gone. */
  rater: string | null;
  action: "rated" | "changed" | "cleared";
  stars: number | null;
  skipped: string | null;
  at: Date;
}

/** What was rated, changed and cleared of a cell, oldest first. */
export async function listRatingHistory(
  sql: Sql,
  { taskId, cell, looker, after, limit }: {
    taskId: string;
    cell: number;
    looker: Looker;
    after: string;
    limit: number;
  },
): Promise<HistoryRow[]> {
  return await sql<HistoryRow[]>`
    select h.id::text, h.version, h.rater_id, u.email as rater, h.action, h.stars, h.skipped, h.at
    from rating_history h
    join subtasks s on s.parent_task_id = h.task_id and s.id = h.subtask_id
    left join users u on u.id = h.rater_id
    where h.task_id = ${taskId} and s.parent_task_id = ${taskId} and s.cell = ${cell} and h.id > ${after}::bigint
      and ${maySee(sql, looker, "h", "rater_id")}
    order by h.id
    limit ${limit}`;
}

/** Whether a task has a cell. */
export async function hasCell(sql: Sql, taskId: string, cell: number): Promise<boolean> {
  const rows = await sql`select 1 from subtasks where parent_task_id = ${taskId} and cell = ${cell}`;
  return rows.length > 0;
}
