/** What the statistics of a task are made of, packed by the server: 150,000 rows as rows would hold the process up. */
import type { Sql } from "../pg/connect.ts";

/** What is asked of a task before its cells are read. */
export interface StatsTask {
  name: string;
  revision: string;
  variables: unknown;
  tags: unknown;
  settings: unknown;
  /** `{"v0":"content"}` or null. */
  axis_roles: unknown;
  seed_policy: "shared" | "per_combination" | "per_cell" | "pinned";
  subtasks_total: number;
  /** Cells that were added later stand behind the others, not in their row-major place. */
  has_grown: boolean;
  /** Of its first cell, `{"v0":"prompt"}`; null where it says none. */
  types: unknown;
}

/** What makes up a task's matrix; undefined where the task has gone meanwhile. */
export async function findStatsTask(sql: Sql, id: string): Promise<StatsTask | undefined> {
  const [row] = await sql<StatsTask[]>`
    select t.task_name as name, t.revision::text, t.variables, t.tags, t.settings, t.axis_roles, t.seed_policy,
      t.subtasks_total, t.grown is not null as has_grown,
      (select variable_types_map from subtasks where parent_task_id = t.id and cell is not null order by cell limit 1)
        as types
    from tasks t
    where t.id = ${id} and not t.is_deleted`;
  return row;
}

/** What has become of a cell. The numbers are those of {@link readSheet}. */
export const cellStates = { open: 0, image: 1, refused: 2, timed_out: 3, failed: 4, cancelled: 5 } as const;

/** A number of four bytes each, the highest byte first: place in the matrix × 8 + what is said of it. */
type Packed = Uint8Array;

/** Causes that the old backend left in words alone are read from them. */
const stateOf = (sql: Sql) =>
  sql`case
    when s.status = 'completed' then ${cellStates.image}::int
    when s.status = 'cancelled' then ${cellStates.cancelled}::int
    when s.status <> 'failed' then ${cellStates.open}::int
    when coalesce(a.outcome = 'illegal', s.error ~ 'ILLEGAL_IMAGE|内容不合规|451') then ${cellStates.refused}::int
    when coalesce(a.outcome = 'timeout', s.error ~* 'time ?out|超时|仍未完成') then ${cellStates.timed_out}::int
    else ${cellStates.failed}::int
  end`;

export interface PackedSheet {
  /** Places × 8 + state. */
  cells: Packed;
  /** Places × 8 + stars, of the images that are there now; raters in the order of their ids. */
  ratings: { rater_id: string; packed: Packed }[];
}

/** The states of all cells, and who gave what to the images they have now; without ratings where those are not asked. */
export async function readSheet(
  sql: Sql,
  id: string,
  { ratings }: { ratings: boolean },
): Promise<PackedSheet> {
  // Told of one snapshot. The cells are read twice: joined to a list made of them, ratings are looked up one by one, as
  // the planner does not foresee how long that list is.
  const stars = ratings
    ? sql`
    union all
    select r.rater_id, string_agg(int4send(s.cell * 8 + r.stars), ''::bytea)
    from ratings r
    join subtasks s on s.parent_task_id = ${id} and s.id = r.subtask_id and s.attempt = r.version
      and s.status = 'completed' and s.cell is not null
    where r.task_id = ${id} and r.stars is not null
    group by r.rater_id`
    : sql``;
  const rows = await sql<{ rater_id: string | null; packed: Packed | null }[]>`
    select null::uuid as rater_id, string_agg(int4send(s.cell * 8 + ${stateOf(sql)}), ''::bytea) as packed
    from subtasks s
    left join attempts a
      on a.task_id = ${id} and a.subtask_id = s.id and a.attempt = s.attempt and s.status = 'failed'
    where s.parent_task_id = ${id} and s.cell is not null
    ${stars}
    order by 1 nulls first`;
  return {
    cells: rows[0]?.packed ?? new Uint8Array(),
    ratings: rows.slice(1).flatMap(({ rater_id, packed }) =>
      rater_id && packed ? [{ rater_id, packed }] : []
    ),
  };
}

/**
 * Where the cells of a task are that lacks some of its matrix, as tasks that came over may: place in the order of cells,
 * then of each axis v0 to v5 the value's place + 1, two bytes each; 0 where it has none.
 */
export async function readIndices(sql: Sql, id: string): Promise<Packed> {
  const part = (slot: number) =>
    sql`int2send(greatest(0, least(32766, variable_indices[${slot}::int] + 1))::int2)`;
  const [row] = await sql<{ packed: Packed | null }[]>`
    select string_agg(
      int2send((cell - 32768)::int2) || coalesce(${part(1)}, '\\x0000') || coalesce(${part(2)}, '\\x0000')
        || coalesce(${part(3)}, '\\x0000') || coalesce(${part(4)}, '\\x0000') || coalesce(${
    part(5)
  }, '\\x0000')
        || coalesce(${part(6)}, '\\x0000'),
      ''::bytea
    ) as packed
    from subtasks
    where parent_task_id = ${id} and cell between 0 and 65535`;
  return row?.packed ?? new Uint8Array();
}

/** Of attempts that ended without an image, place × 8 + state that such an end is; tries that were followed by others too. */
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

/**
 * Votes between images that are there now, eight bytes each: the left cell's place × 2^32 + the right one's × 2^8 + 1 where
 * the left won, 2 the right, 3 neither. Skipped ones are left out.
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

/** E-mails of raters by their ids; a link's and those of people who have gone are missing. */
export async function findRaterNames(sql: Sql, ids: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ id: string; email: string }[]>`
    select id, email from users where id = any(${ids}::uuid[])`;
  return new Map(rows.map(({ id, email }) => [id, email]));
}
