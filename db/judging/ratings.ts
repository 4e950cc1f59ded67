/** Ratings of images: one per rater and image version, with its history. */
import type { Pool, Sql } from "../pg/connect.ts";

/** A rating to save. Without stars and reason it clears the rater's rating. */
export interface RatingInput {
  task_id: string;
  cell: number;
  rater_id: string;
  /** 1 to 5. */
  stars: number | null;
  /** Reason for skipping the image. */
  skipped: string | null;
  blind: boolean;
  took_ms: number | null;
  /** The image that was judged, by the attempt that made it; without it the present one. */
  version?: number | null;
}

/** The ratings of a cell's present image after a change. */
export interface RatedCell {
  /** The attempt that made the image. */
  version: number;
  rating_n: number;
  rating_sum: number;
}

/** The task fields that decide which ratings a rater may see. */
export interface RatedTask {
  blind: boolean;
  /** E-mail of its submitter. */
  username: string;
}

/** `no_task`, `no_cell`: not found; `no_image`: the cell has no image to rate; `changed`: it has another image. */
export type RatingOutcome = RatedCell & RatedTask | "no_task" | "no_cell" | "no_image" | "changed";

const column = <K extends keyof RatingInput>(inputs: RatingInput[], key: K) =>
  inputs.map((input) => input[key]);

/** Returns the inputs as rows with an ordinal. */
const inputRows = (sql: Sql, inputs: RatingInput[]) =>
  sql`unnest(
      ${column(inputs, "task_id")}::uuid[], ${column(inputs, "cell")}::int[],
      ${column(inputs, "rater_id")}::uuid[], ${column(inputs, "stars")}::smallint[],
      ${column(inputs, "skipped")}::text[], ${column(inputs, "blind").map(String)}::text[]::boolean[],
      ${column(inputs, "took_ms")}::int[], ${inputs.map(({ version }) => version ?? null)}::int[]
    ) with ordinality as i (task_id, cell, rater_id, stars, skipped, blind, took_ms, wanted_version, ordinal)`;

/** Computes each change from the one before it: several inputs may concern the same rater and image. */
const steps = (sql: Sql, inputs: RatingInput[]) =>
  sql`
    with input as (
      select * from ${inputRows(sql, inputs)}
    ), target as materialized (
      select i.*, t.id is not null as has_task, t.revision, t.blind as task_blind, t.username,
        s.id as subtask_id, s.attempt as version, s.rating_n, s.rating_sum,
        coalesce(s.status = 'completed' and s.image_url is not null, false) as has_image,
        coalesce(s.status = 'completed' and s.image_url is not null
          and s.attempt = coalesce(i.wanted_version, s.attempt), false) as is_ratable,
        r.stars as stars_before, r.rater_id is not null as was_rated
      from input i
      left join tasks t on t.id = i.task_id and not t.is_deleted
      left join subtasks s on s.parent_task_id = t.id and s.cell = i.cell
      -- The limit keeps this an index look-up per input, whatever the statistics say about ratings.
      left join lateral (
        select r.stars, r.rater_id
        from ratings r
        where r.task_id = i.task_id and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = i.rater_id
        limit 1
      ) r on true
    ), raised as (
      -- Every change of a task's cells raises its revision. If the revision was raised after this statement
      -- began, the statement has waited for that change, its snapshot of the task is outdated, and nothing is
      -- written.
      update tasks t
      set revision = t.revision + 1
      from (select distinct task_id, revision from target where is_ratable) seen
      where t.id = seen.task_id and t.revision = seen.revision and not t.is_deleted
      returning t.id
    ), step as materialized (
      select *, stars is null and skipped is null as clears, lead(ordinal) over own is null as is_last,
        case when lag(ordinal) over own is null then stars_before else lag(stars) over own end as previous_stars,
        case when lag(ordinal) over own is null then was_rated
          else lag(stars) over own is not null or lag(skipped) over own is not null end as previously_rated
      from target
      where is_ratable and task_id in (select id from raised)
      window own as (partition by task_id, subtask_id, rater_id order by ordinal)
    )`;

interface RatingRow extends RatedCell, RatedTask {
  ordinal: number;
  has_task: boolean;
  has_cell: boolean;
  has_image: boolean;
  /** It has the image that was judged. */
  is_ratable: boolean;
  /** False if the task changed meanwhile; then none of its inputs was written. */
  is_saved: boolean;
}

async function writeRatings(sql: Sql, inputs: RatingInput[]): Promise<RatingRow[]> {
  return await sql<RatingRow[]>`
    ${steps(sql, inputs)}, saved as (
      insert into ratings as r (task_id, subtask_id, version, rater_id, stars, skipped, blind, took_ms)
      select task_id, subtask_id, version, rater_id, stars, skipped, blind, took_ms
      from step
      where is_last and not clears
      on conflict on constraint ratings_pkey do update
      -- A rater who has rated the image may have seen the ratings of others: the change is blind only if the
      -- first rating was.
      set stars = excluded.stars, skipped = excluded.skipped, blind = excluded.blind and r.blind,
        took_ms = excluded.took_ms, updated_at = now()
    ), cleared as (
      delete from ratings r using step t
      where t.is_last and t.clears and t.was_rated
        and r.task_id = t.task_id and r.subtask_id = t.subtask_id and r.version = t.version and r.rater_id = t.rater_id
    ), history as (
      insert into rating_history (task_id, subtask_id, version, rater_id, action, stars, skipped)
      select task_id, subtask_id, version, rater_id,
        case when clears then 'cleared' when previously_rated then 'changed' else 'rated' end, stars, skipped
      from step
      where previously_rated or not clears
      order by ordinal
    ), summed as (
      select ordinal, task_id, subtask_id, revision,
        rating_n + sum((stars is not null)::int - (previous_stars is not null)::int) over so_far as rating_n,
        rating_sum + sum(coalesce(stars, 0) - coalesce(previous_stars, 0)) over so_far as rating_sum
      from step
      window so_far as (partition by task_id, subtask_id order by ordinal)
    ), projected as (
      update subtasks s
      set rating_n = c.rating_n, rating_sum = c.rating_sum, rating = round(c.rating_sum::numeric / nullif(c.rating_n, 0)),
        revision = c.revision + 1
      from (select distinct on (task_id, subtask_id) * from summed order by task_id, subtask_id, ordinal desc) c
      where s.parent_task_id = c.task_id and s.id = c.subtask_id
    )
    select t.ordinal::int, t.has_task, t.subtask_id is not null as has_cell, t.has_image, t.is_ratable,
      not t.is_ratable or c.ordinal is not null as is_saved, t.version, c.rating_n::int, c.rating_sum::int,
      t.task_blind as blind, t.username
    from target t
    left join summed c on c.ordinal = t.ordinal
    order by t.ordinal`;
}

/**
 * Disables sequential scans for the rest of the transaction. A plan from a time without ratings reads all
 * ratings on every call, and the session keeps that plan while ratings arrive.
 */
export const disableSeqScans = (sql: Sql) => sql`set_config('enable_seqscan', 'off', true)`;

/**
 * Writes ratings with the tasks locked, within a transaction, for tasks that change too often for the optimistic
 * statement.
 */
async function writeLocked(sql: Sql, inputs: RatingInput[]): Promise<RatingRow[]> {
  const ids = [...new Set(column(inputs, "task_id"))];
  // A separate, awaited statement: the next one sees everything committed while this one waited for the
  // locks. If both are sent together and only the second is prepared already, the driver may run it first.
  await sql`
    select ${disableSeqScans(sql)} from tasks
    where id = any(${ids}::uuid[]) and not is_deleted
    order by id
    for no key update`;
  return await writeRatings(sql, inputs);
}

function toOutcome(row: RatingRow): RatingOutcome {
  if (!row.has_task) return "no_task";
  if (!row.has_cell) return "no_cell";
  if (!row.has_image) return "no_image";
  if (!row.is_ratable) return "changed";
  if (!row.is_saved) throw new Error("a task changed although it was locked");
  const { version, rating_n, rating_sum, blind, username } = row;
  return { version, rating_n, rating_sum, blind, username };
}

/**
 * Saves ratings of any number of cells and tasks: the ratings, their history, and the sums on the cells.
 * Inputs for the same rater and cell take effect in their order.
 *
 * @returns outcomes in the order of the inputs
 */
export async function saveRatings(pool: Pool, inputs: RatingInput[]): Promise<RatingOutcome[]> {
  // One optimistic statement takes one round trip, a lock first takes four. Locks on several tasks must be
  // taken in the order of their ids, which only the locked way does.
  if (inputs.every(({ task_id }) => task_id === inputs[0]!.task_id)) {
    const rows = await writeRatings(pool, inputs);
    if (rows.every((row) => row.is_saved)) return rows.map(toOutcome);
  }
  return await pool.begin((sql) => saveRatingsWithin(sql, inputs)) as RatingOutcome[];
}

/** Saves ratings as {@link saveRatings} does, within a transaction. */
export async function saveRatingsWithin(sql: Sql, inputs: RatingInput[]): Promise<RatingOutcome[]> {
  return (await writeLocked(sql, inputs)).map(toOutcome);
}

/** A principal who reads ratings. */
export interface Viewer {
  id: string;
  /** Hides what others say about an image until the viewer has given it stars. */
  hidesOthers: boolean;
}

/**
 * Returns the condition that the viewer may see a row.
 *
 * @param alias the table, which has the columns `task_id`, `subtask_id` and `version`
 * @param author the column with the author of the row
 */
export const maySee = (
  sql: Sql,
  { id, hidesOthers }: Viewer,
  alias: "h" | "e" | "r",
  author: "rater_id" | "author_id",
) =>
  hidesOthers
    ? sql`(${sql(alias)}.${sql(author)} = ${id} or exists (
        select from ratings own
        where own.task_id = ${sql(alias)}.task_id and own.subtask_id = ${sql(alias)}.subtask_id
          and own.version = ${sql(alias)}.version and own.rater_id = ${id} and own.stars is not null
      ))`
    : sql`true`;

export interface OwnRating extends RatedCell {
  stars: number | null;
  skipped: string | null;
  has_image: boolean;
}

/** Finds a rater's own rating of a cell's present image, and the sums of all ratings. */
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
  /** E-mail of the rater; null for a share or a deleted user. */
  rater: string | null;
  action: "rated" | "changed" | "cleared";
  stars: number | null;
  skipped: string | null;
  at: Date;
}

/** Lists the changes of all ratings of a cell, oldest first. */
export async function listRatingHistory(
  sql: Sql,
  { taskId, cell, viewer, after, limit }: {
    taskId: string;
    cell: number;
    viewer: Viewer;
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
      and ${maySee(sql, viewer, "h", "rater_id")}
    order by h.id
    limit ${limit}`;
}

/** Reports whether a task has a cell. */
export async function hasCell(sql: Sql, taskId: string, cell: number): Promise<boolean> {
  const rows = await sql`select 1 from subtasks where parent_task_id = ${taskId} and cell = ${cell}`;
  return rows.length > 0;
}
