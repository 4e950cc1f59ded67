/** What raters say of images: one rating a rater and image version, with its history. */
import type { Pool, Sql } from "./connect.ts";

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

/** `no_task`, `no_cell`: not there; `no_image`: the cell has none to be rated. */
export type RatingOutcome = RatedCell | "no_task" | "no_cell" | "no_image";

const column = <K extends keyof RatingWish>(wishes: RatingWish[], key: K) => wishes.map((wish) => wish[key]);

const targets = (sql: Sql, wishes: RatingWish[]) =>
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
      select w.*, s.id as subtask_id, s.attempt as version, s.status = 'completed' as has_image, t.revision,
        s.rating_n, s.rating_sum, r.stars as stars_before, r.rater_id is not null as was_there
      from wish w
      join tasks t on t.id = w.task_id and not t.is_deleted
      join subtasks s on s.parent_task_id = w.task_id and s.cell = w.cell
      left join ratings r
        on r.task_id = w.task_id and r.subtask_id = s.id and r.version = s.attempt and r.rater_id = w.rater_id
    )`;

type Row = { place: number; has_image: boolean } & RatedCell;

/** The tasks must be locked. */
async function writeRatings(sql: Sql, wishes: RatingWish[]): Promise<Row[]> {
  return await sql<Row[]>`
    ${targets(sql, wishes)}, said as (
      insert into ratings (task_id, subtask_id, version, rater_id, stars, skipped, blind, took_ms)
      select task_id, subtask_id, version, rater_id, stars, skipped, blind, took_ms
      from target
      where has_image and (stars is not null or skipped is not null)
      on conflict on constraint ratings_pkey do update
      set stars = excluded.stars, skipped = excluded.skipped, blind = excluded.blind, took_ms = excluded.took_ms,
        updated_at = now()
    ), cleared as (
      delete from ratings r using target t
      where t.has_image and t.stars is null and t.skipped is null and t.was_there
        and r.task_id = t.task_id and r.subtask_id = t.subtask_id and r.version = t.version and r.rater_id = t.rater_id
    ), noted as (
      insert into rating_history (task_id, subtask_id, version, rater_id, action, stars, skipped)
      select task_id, subtask_id, version, rater_id,
        case when stars is null and skipped is null then 'cleared' when was_there then 'changed' else 'rated' end,
        stars, skipped
      from target
      where has_image and (was_there or stars is not null or skipped is not null)
    ), changed as (
      select task_id, subtask_id, revision,
        sum((stars is not null)::int - (stars_before is not null)::int)::int as more,
        sum(coalesce(stars, 0) - coalesce(stars_before, 0))::int as difference
      from target
      where has_image
      group by 1, 2, 3
    ), projected as (
      update subtasks s
      set rating_n = s.rating_n + c.more, rating_sum = s.rating_sum + c.difference,
        rating = round((s.rating_sum + c.difference)::numeric / nullif(s.rating_n + c.more, 0)),
        revision = c.revision + 1
      from changed c
      where s.parent_task_id = c.task_id and s.id = c.subtask_id
      returning s.parent_task_id, s.id, s.rating_n, s.rating_sum
    ), told as (
      update tasks set revision = revision + 1 where id in (select task_id from changed)
    )
    select t.place::int, t.has_image, t.version, coalesce(p.rating_n, t.rating_n) as rating_n,
      coalesce(p.rating_sum, t.rating_sum) as rating_sum
    from target t
    left join projected p on p.parent_task_id = t.task_id and p.id = t.subtask_id`;
}

/** Wishes of which no two are of the same rater and cell: a statement touches a row once. */
function toRounds(wishes: RatingWish[]): RatingWish[][] {
  const rounds: { seen: Set<string>; wishes: RatingWish[] }[] = [];
  for (const wish of wishes) {
    const key = `${wish.task_id} ${wish.cell} ${wish.rater_id}`;
    let round = rounds.find(({ seen }) => !seen.has(key));
    if (!round) rounds.push(round = { seen: new Set(), wishes: [] });
    round.seen.add(key);
    round.wishes.push(wish);
  }
  return rounds.map(({ wishes }) => wishes);
}

/**
 * Rates many cells, of any tasks, in one transaction: the ratings, their history, and what the cells show of them.
 *
 * @returns outcomes in the order of the wishes
 */
export async function saveRatings(pool: Pool, wishes: RatingWish[]): Promise<RatingOutcome[]> {
  const ids = [...new Set(column(wishes, "task_id"))];
  return await pool.begin(async (sql) => {
    // A statement of its own: the next one sees what was committed while we waited.
    const locked = await sql<{ id: string }[]>`
      select id from tasks where id = any(${ids}::uuid[]) and not is_deleted order by id for no key update`;
    const open = new Set(locked.map(({ id }) => id));
    const outcomes = new Map<RatingWish, RatingOutcome>();
    for (const round of toRounds(wishes)) {
      for (const { place, has_image: hasImage, ...cell } of await writeRatings(sql, round)) {
        outcomes.set(round[place - 1]!, hasImage ? cell : "no_image");
      }
    }
    return wishes.map((wish) => outcomes.get(wish) ?? (open.has(wish.task_id) ? "no_cell" : "no_task"));
  });
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

/** What was rated, changed and cleared of a cell, oldest first; of one rater where one is given. */
export async function listRatingHistory(
  sql: Sql,
  { taskId, cell, raterId, after, limit }: {
    taskId: string;
    cell: number;
    raterId: string | null;
    after: string;
    limit: number;
  },
): Promise<HistoryRow[]> {
  return await sql<HistoryRow[]>`
    select h.id::text, h.version, h.rater_id, u.email as rater, h.action, h.stars, h.skipped, h.at
    from rating_history h
    join subtasks s on s.parent_task_id = h.task_id and s.id = h.subtask_id
    left join users u on u.id = h.rater_id
    where h.task_id = ${taskId} and s.cell = ${cell} and h.id > ${after}::bigint
      and (${raterId}::uuid is null or h.rater_id = ${raterId})
    order by h.id
    limit ${limit}`;
}
