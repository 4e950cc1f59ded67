/** Votes: choices between two images. */
import { lockOpenTask } from "./evaluations.ts";
import type { Sql } from "../pg/connect.ts";

export const outcomes = ["left", "right", "tie", "skip"] as const;
export type Outcome = (typeof outcomes)[number];

/** An image, named by its cell and version. */
export interface ImageRef {
  cell: number;
  version: number;
}

export interface NewVote {
  taskId: string;
  left: ImageRef;
  right: ImageRef;
  outcome: Outcome;
  raterId: string;
  blind: boolean;
  took_ms: number | null;
}

/**
 * `changed`: a cell does not have that image at present; `voted`: the rater has voted on the pair already.
 */
export type VoteRefusal =
  | { refused: "no_task" | "voted" }
  | { refused: "no_cell"; cell: number }
  | { refused: "changed"; cell: number };

/** Inserts a vote, within a transaction. @returns the id of the vote */
export async function insertVote(
  sql: Sql,
  { taskId, left, right, outcome, raterId, blind, took_ms }: NewVote,
): Promise<string | VoteRefusal> {
  // A re-run locks the task too, so the versions stay valid until the commit.
  if (!await lockOpenTask(sql, taskId)) return { refused: "no_task" };
  const rows = await sql<{ id: string; cell: number; version: number; has_image: boolean }[]>`
    select id, cell, attempt as version, status = 'completed' and image_url is not null as has_image
    from subtasks
    where parent_task_id = ${taskId} and cell = any(${[left.cell, right.cell]}::int[])`;
  const ids: string[] = [];
  for (const { cell, version } of [left, right]) {
    const found = rows.find((row) => row.cell === cell);
    if (!found) return { refused: "no_cell", cell };
    if (!found.has_image || found.version !== version) return { refused: "changed", cell };
    ids.push(found.id);
  }
  const leftId = ids[0]!;
  const rightId = ids[1]!;
  const [row] = await sql<{ id: string }[]>`
    with task as (
      update tasks set revision = revision + 1 where id = ${taskId}
    )
    insert into votes (task_id, left_id, left_version, right_id, right_version, outcome, rater_id, blind, took_ms)
    select ${taskId}, ${leftId}, ${left.version}, ${rightId}, ${right.version}, ${outcome}, ${raterId}, ${blind},
      ${took_ms}
    where not exists (
      select from votes v
      where v.task_id = ${taskId} and v.rater_id = ${raterId}
        and (v.left_id, v.left_version, v.right_id, v.right_version) in (
          (${leftId}, ${left.version}::int, ${rightId}, ${right.version}::int),
          (${rightId}, ${right.version}::int, ${leftId}, ${left.version}::int)
        )
    )
    returning id::text`;
  return row?.id ?? { refused: "voted" };
}

export interface VoteRow {
  id: string;
  left_cell: number;
  left_version: number;
  right_cell: number;
  right_version: number;
  outcome: Outcome;
  rater_id: string;
  /** E-mail of the rater; null for a share or a deleted user. */
  rater: string | null;
  blind: boolean;
  took_ms: number | null;
  created_at: Date;
}

/** Lists the votes of a task, oldest first; only those of `raterId` if given. */
export async function listVotes(
  sql: Sql,
  { taskId, raterId, id, after, limit }: {
    taskId: string;
    raterId: string | null;
    id?: string;
    after: string;
    limit: number;
  },
): Promise<VoteRow[]> {
  const ofRater = raterId === null ? sql`true` : sql`v.rater_id = ${raterId}`;
  const ofId = id === undefined ? sql`true` : sql`v.id = ${id}::bigint`;
  return await sql<VoteRow[]>`
    select v.id::text, l.cell as left_cell, v.left_version, r.cell as right_cell, v.right_version, v.outcome, v.rater_id,
      u.email as rater, v.blind, v.took_ms, v.created_at
    from votes v
    join subtasks l on l.parent_task_id = v.task_id and l.id = v.left_id
    join subtasks r on r.parent_task_id = v.task_id and r.id = v.right_id
    left join users u on u.id = v.rater_id
    where v.task_id = ${taskId} and v.id > ${after}::bigint
      and ${ofRater} and ${ofId}
    order by v.id
    limit ${limit}`;
}

/** Deletes the last vote of a rater, within a transaction. */
export async function deleteLastVote(
  sql: Sql,
  { taskId, raterId, id }: { taskId: string; raterId: string; id: string },
): Promise<"deleted" | "no_task" | "no_vote" | "not_theirs" | "not_last"> {
  if (!await lockOpenTask(sql, taskId)) return "no_task";
  const [row] = await sql<{ theirs: boolean; last: boolean }[]>`
    select v.rater_id = ${raterId} as theirs,
      not exists (
        select from votes later where later.task_id = ${taskId} and later.rater_id = ${raterId} and later.id > v.id
      ) as last
    from votes v
    where v.task_id = ${taskId} and v.id = ${id}::bigint`;
  if (!row) return "no_vote";
  if (!row.theirs) return "not_theirs";
  if (!row.last) return "not_last";
  await sql`
    with task as (
      update tasks set revision = revision + 1 where id = ${taskId}
    )
    delete from votes where task_id = ${taskId} and id = ${id}::bigint`;
  return "deleted";
}

/** Reads the numbers of the cells that have an image, as big-endian integers of four bytes each. */
export async function readDrawnCells(sql: Sql, taskId: string): Promise<Uint8Array> {
  const [row] = await sql<{ packed: Uint8Array | null }[]>`
    select string_agg(int4send(cell), ''::bytea) as packed
    from subtasks
    where parent_task_id = ${taskId} and cell is not null and status = 'completed' and image_url is not null`;
  return row?.packed ?? new Uint8Array();
}

/** The number of votes between two present images, in either order. */
export interface PairCount {
  a: number;
  b: number;
  votes: number;
  /** The rater has voted on the pair. */
  mine: boolean;
}

/** Counts the votes between pairs of the given cells. */
export async function countVotes(
  sql: Sql,
  { taskId, raterId, cells }: { taskId: string; raterId: string; cells: number[] },
): Promise<PairCount[]> {
  return await sql<PairCount[]>`
    with named as materialized (
      select s.id, s.cell, s.attempt
      from unnest(${cells}::int[]) as wanted (cell)
      join subtasks s on s.parent_task_id = ${taskId} and s.cell = wanted.cell
    )
    select least(l.cell, r.cell) as a, greatest(l.cell, r.cell) as b, count(*)::int as votes,
      bool_or(v.rater_id = ${raterId}) as mine
    from votes v
    join named l on l.id = v.left_id and l.attempt = v.left_version
    join named r on r.id = v.right_id and r.attempt = v.right_version
    where v.task_id = ${taskId}
    group by 1, 2`;
}

export interface ImageRow extends ImageRef {
  image_url: string;
  prompts: unknown;
  ratio: string | null;
}

/** Lists the present images of the given cells. */
export async function listImages(sql: Sql, taskId: string, cells: number[]): Promise<ImageRow[]> {
  return await sql<ImageRow[]>`
    select cell, attempt as version, image_url, prompts, ratio
    from subtasks
    where parent_task_id = ${taskId} and cell = any(${cells}::int[]) and status = 'completed'
      and image_url is not null`;
}
