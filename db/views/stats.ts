/** Input of the statistics of a task, packed by PostgreSQL: parsing 150,000 rows would block the process. */
import type { Sql } from "../pg/connect.ts";

/** The task fields that describe its matrix. */
export interface StatsTask {
  name: string;
  variables: unknown;
  tags: unknown;
  settings: unknown;
  /** `{"v0":"content"}` or null. */
  axis_roles: unknown;
  seed_policy: "shared" | "per_combination" | "per_cell" | "pinned";
  subtasks_total: number;
  /** An axis was extended: the added cells follow the others instead of having row-major numbers. */
  has_grown: boolean;
  /** Tag types by axis, from the first cell: `{"v0":"prompt"}`; null if there are none. */
  types: unknown;
}

/** Finds the fields of a task's matrix; undefined if the task was deleted meanwhile. */
export async function findStatsTask(sql: Sql, id: string): Promise<StatsTask | undefined> {
  const [row] = await sql<StatsTask[]>`
    select t.task_name as name, t.variables, t.tags, t.settings, t.axis_roles, t.seed_policy,
      t.subtasks_total, t.grown is not null as has_grown,
      (select variable_types_map from subtasks where parent_task_id = t.id and cell is not null order by cell limit 1)
        as types
    from tasks t
    where t.id = ${id} and not t.is_deleted`;
  return row;
}

/** States of a cell, with the numbers that {@link readDataset} returns. */
export const cellStates = { open: 0, image: 1, refused: 2, timed_out: 3, failed: 4, cancelled: 5 } as const;

/** Big-endian integers; those of four bytes each are a cell number × 8 + a value from 0 to 7. */
type Packed = Uint8Array;

/** Returns the state of a cell. For migrated cells, which have only an error text, the text decides. */
const stateOf = (sql: Sql) =>
  sql`case
    when s.status = 'completed' then ${cellStates.image}::int
    when s.status = 'cancelled' then ${cellStates.cancelled}::int
    when s.status <> 'failed' then ${cellStates.open}::int
    when coalesce(a.outcome = 'illegal', s.error ~ 'ILLEGAL_IMAGE|内容不合规|451') then ${cellStates.refused}::int
    when coalesce(a.outcome = 'timeout', s.error ~* 'time ?out|超时|仍未完成') then ${cellStates.timed_out}::int
    else ${cellStates.failed}::int
  end`;

export interface PackedDataset {
  /** Revision of the task that the rest belongs to; 0 if there is no such task. */
  revision: number;
  /** Eight bytes a cell: cell number × 8 + state, then the attempt that made the present image. */
  cells: Packed;
  /** Cell number × 8 + stars, for present images; raters in order of their ids. */
  ratings: { rater_id: string; packed: Packed }[];
}

interface PackedRow {
  rater_id: string | null;
  packed: Packed | null;
  revision: number | null;
}

/** Returns the columns of the first row: the cells `s`, joined to their last attempt `a`. */
const packCells = (sql: Sql, id: string) =>
  sql`null::uuid as rater_id,
      string_agg(int8send((s.cell::bigint * 8 + ${stateOf(sql)} << 32) + s.attempt), ''::bytea) as packed,
      (select revision::float8 from tasks where id = ${id}) as revision`;

/** Returns the columns of a rater's row. */
const packStars = (sql: Sql) => sql`r.rater_id, string_agg(int4send(s.cell * 8 + r.stars), ''::bytea), null`;

const toPackedDataset = ([first, ...others]: PackedRow[]): PackedDataset => ({
  revision: first?.revision ?? 0,
  cells: first?.packed ?? new Uint8Array(),
  ratings: others.flatMap(({ rater_id, packed }) => rater_id && packed ? [{ rater_id, packed }] : []),
});

/** Reads the states of all cells and, if requested, the ratings of their present images. */
export async function readDataset(
  sql: Sql,
  id: string,
  { ratings }: { ratings: boolean },
): Promise<PackedDataset> {
  // One statement reads one snapshot. The cells are read twice: with a join to a CTE of the cells, whose
  // length the planner cannot estimate, the ratings would be looked up one by one.
  const stars = ratings
    ? sql`
    union all
    select ${packStars(sql)}
    from ratings r
    join subtasks s on s.parent_task_id = ${id} and s.id = r.subtask_id and s.attempt = r.version
      and s.status = 'completed' and s.cell is not null
    where r.task_id = ${id} and r.stars is not null
    group by r.rater_id`
    : sql``;
  return toPackedDataset(
    await sql<PackedRow[]>`
    select ${packCells(sql, id)}
    from subtasks s
    left join attempts a
      on a.task_id = ${id} and a.subtask_id = s.id and a.attempt = s.attempt and s.status = 'failed'
    where s.parent_task_id = ${id} and s.cell is not null
    ${stars}
    order by 1 nulls first`,
  );
}

/**
 * Reads the states of the cells that changed after a revision, and the ratings of their present images.
 *
 * Every change of a cell locks the task's row and gives the cell the new revision, so all changes of a visible revision
 * are visible. Only moves between pending and processing do not, and both are the state `open`.
 *
 * @param since revision of an earlier dataset
 */
export async function readDatasetChanges(sql: Sql, id: string, since: number): Promise<PackedDataset> {
  // A subquery with an offset is looked up for each cell, whatever the planner expects.
  return toPackedDataset(
    await sql<PackedRow[]>`
    with changed as materialized (
      select s.id, s.cell, s.attempt, s.status, s.error
      from subtasks s
      where s.parent_task_id = ${id} and s.revision > ${since}::bigint and s.revision > 0 and s.cell is not null
    )
    select ${packCells(sql, id)}
    from changed s
    left join lateral (
      select a.outcome from attempts a
      where a.task_id = ${id} and a.subtask_id = s.id and a.attempt = s.attempt and s.status = 'failed'
      offset 0
    ) a on true
    union all
    select ${packStars(sql)}
    from changed s
    cross join lateral (
      select r.rater_id, r.stars from ratings r
      where r.task_id = ${id} and r.subtask_id = s.id and r.version = s.attempt
      offset 0
    ) r
    where s.status = 'completed' and r.stars is not null
    group by r.rater_id
    order by 1 nulls first`,
  );
}

/**
 * Reads the level indices of all cells, for migrated tasks with an incomplete matrix. Each cell has seven
 * big-endian numbers of two bytes: the cell number, then for `v0` to `v5` the index of the level + 1, or 0 if
 * the axis has none.
 */
export async function readIndices(sql: Sql, id: string): Promise<Packed> {
  const indices = [1, 2, 3, 4, 5, 6].map((slot) =>
    sql`coalesce(int2send((least(32766, greatest(-1, variable_indices[${slot}::int])) + 1)::int2), '\\x0000')`
  ).reduce((all, part) => sql`${all} || ${part}`);
  const [row] = await sql<{ packed: Packed | null }[]>`
    select string_agg(int2send((cell - 32768)::int2) || ${indices}, ''::bytea) as packed
    from subtasks
    where parent_task_id = ${id} and cell between 0 and 65535`;
  return row?.packed ?? new Uint8Array();
}

/**
 * Reads all attempts without an image, also those followed by others: cell number × 8 + state of that end.
 */
export async function readFailedAttempts(sql: Sql, id: string): Promise<Packed> {
  const [row] = await sql<{ packed: Packed | null }[]>`
    select string_agg(
      int4send(s.cell * 8 + case a.outcome
        when 'illegal' then ${cellStates.refused}::int
        when 'timeout' then ${cellStates.timed_out}::int
        else ${cellStates.failed}::int
      end),
      ''::bytea
    ) as packed
    from attempts a
    join subtasks s on s.parent_task_id = a.task_id and s.id = a.subtask_id
    where a.task_id = ${id} and a.outcome <> 'done' and s.cell is not null`;
  return row?.packed ?? new Uint8Array();
}

/** Finds the version of a task's votes: it changes when a vote is inserted or deleted. Votes never change. */
export async function findVotesVersion(sql: Sql, id: string): Promise<string> {
  const [row] = await sql<{ version: string }[]>`
    select count(*) || '.' || coalesce(max(id), 0) as version from votes where task_id = ${id}`;
  return row!.version;
}

/**
 * Reads the votes between present images, as big-endian integers of eight bytes each: left cell number × 2^32
 * + right cell number × 2^8 + 1 (left won), 2 (right won) or 3 (tie). Skipped votes are left out.
 */
export async function readVotes(sql: Sql, id: string): Promise<Packed> {
  const [row] = await sql<{ packed: Packed | null }[]>`
    select string_agg(
      int8send((l.cell::bigint << 32) + (r.cell << 8)
        + case v.outcome when 'left' then 1 when 'right' then 2 else 3 end),
      ''::bytea
    ) as packed
    from votes v
    join subtasks l on l.parent_task_id = v.task_id and l.id = v.left_id and l.attempt = v.left_version
      and l.status = 'completed'
    join subtasks r on r.parent_task_id = v.task_id and r.id = v.right_id and r.attempt = v.right_version
      and r.status = 'completed'
    where v.task_id = ${id} and v.outcome <> 'skip' and l.cell is not null and r.cell is not null`;
  return row?.packed ?? new Uint8Array();
}

/** Finds the e-mails of raters by their ids. Shares and deleted users are missing. */
export async function findRaterNames(sql: Sql, ids: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ id: string; email: string }[]>`
    select id, email from users where id = any(${ids}::uuid[])`;
  return new Map(rows.map(({ id, email }) => [id, email]));
}
