/** Marks on cells: the favourites of a user, and tags that everyone sees. */
import { lockOpenTask } from "./evaluations.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import type { Viewer } from "./ratings.ts";

/** Maximum tags of a cell. */
export const cellTagsMax = 50;

interface TaskCell {
  taskId: string;
  cell: number;
}

/** Inserts a favourite, unless it exists. @returns whether the task has the cell */
export async function insertFavourite(
  sql: Sql,
  { taskId, cell, userId }: TaskCell & { userId: string },
): Promise<boolean> {
  const rows = await sql`
    with target as (
      select parent_task_id, id from subtasks where parent_task_id = ${taskId} and cell = ${cell}
    ), marked as (
      insert into favourites (task_id, subtask_id, user_id)
      select parent_task_id, id, ${userId} from target
      on conflict on constraint favourites_pkey do nothing
    )
    select 1 from target`;
  return rows.length > 0;
}

/** Deletes a favourite, if it exists. @returns whether the task has the cell */
export async function deleteFavourite(
  sql: Sql,
  { taskId, cell, userId }: TaskCell & { userId: string },
): Promise<boolean> {
  const rows = await sql`
    with target as (
      select parent_task_id, id from subtasks where parent_task_id = ${taskId} and cell = ${cell}
    ), deleted as (
      delete from favourites f using target t
      where f.task_id = t.parent_task_id and f.subtask_id = t.id and f.user_id = ${userId}
    )
    select 1 from target`;
  return rows.length > 0;
}

/** Lists a user's favourites in a task, by cell number. */
export async function listFavourites(
  sql: Sql,
  { taskId, userId, after, limit }: { taskId: string; userId: string; after: number; limit: number },
): Promise<{ cell: number; created_at: Date }[]> {
  return await sql<{ cell: number; created_at: Date }[]>`
    select s.cell, f.created_at
    from favourites f
    join subtasks s on s.parent_task_id = f.task_id and s.id = f.subtask_id
    where f.task_id = ${taskId} and f.user_id = ${userId} and s.cell > ${after}
    order by s.cell
    limit ${limit}`;
}

/** Adds a tag to a cell. An existing tag keeps its author. */
export async function insertCellTag(
  pool: Pool,
  { taskId, cell, tag, authorId }: TaskCell & { tag: string; authorId: string },
): Promise<"tagged" | "no_task" | "no_cell" | "too_many"> {
  return await pool.begin(async (sql) => {
    if (!await lockOpenTask(sql, taskId)) return "no_task";
    const [row] = await sql<{ id: string; tags: number; has_it: boolean }[]>`
      select s.id, count(t.tag)::int as tags, coalesce(bool_or(t.tag = ${tag}), false) as has_it
      from subtasks s
      left join cell_tags t on t.task_id = s.parent_task_id and t.subtask_id = s.id
      where s.parent_task_id = ${taskId} and s.cell = ${cell}
      group by s.id`;
    if (!row) return "no_cell";
    if (row.has_it) return "tagged";
    if (row.tags >= cellTagsMax) return "too_many";
    await sql`
      insert into cell_tags (task_id, subtask_id, tag, author_id)
      values (${taskId}, ${row.id}, ${tag}, ${authorId})`;
    await raiseRevision(sql, taskId, row.id);
    return "tagged";
  }) as "tagged" | "no_task" | "no_cell" | "too_many";
}

/** Raises the revision of a task and a cell, so that viewers receive the change. The task must be locked. */
async function raiseRevision(sql: Sql, taskId: string, subtaskId: string): Promise<void> {
  await sql`
    with task as (
      update tasks set revision = revision + 1 where id = ${taskId} returning revision
    )
    update subtasks s
    set revision = task.revision
    from task
    where s.parent_task_id = ${taskId} and s.id = ${subtaskId}`;
}

/**
 * Returns the condition that the viewer may see a tag `t` of a cell `s`: an own tag, or any unless others are
 * hidden.
 */
const maySeeTag = (sql: Sql, { id, hidesOthers }: Viewer) =>
  hidesOthers
    ? sql`(t.author_id = ${id} or exists (
        select from ratings own
        where own.task_id = s.parent_task_id and own.subtask_id = s.id and own.version = s.attempt
          and own.rater_id = ${id} and own.stars is not null
      ))`
    : sql`true`;

/**
 * Deletes a tag of a cell.
 *
 * @param mayChange allows deleting the tags of others
 * @returns `removed` also if the tag does not exist or the viewer may not see it
 */
export async function deleteCellTag(
  pool: Pool,
  { taskId, cell, tag, viewer, mayChange }: TaskCell & { tag: string; viewer: Viewer; mayChange: boolean },
): Promise<"removed" | "no_task" | "no_cell" | "not_theirs"> {
  return await pool.begin(async (sql) => {
    if (!await lockOpenTask(sql, taskId)) return "no_task";
    const [row] = await sql<{ id: string; author_id: string | null }[]>`
      select s.id, t.author_id
      from subtasks s
      left join cell_tags t
        on t.task_id = s.parent_task_id and t.subtask_id = s.id and t.tag = ${tag}
        and ${maySeeTag(sql, viewer)}
      where s.parent_task_id = ${taskId} and s.cell = ${cell}`;
    if (!row) return "no_cell";
    if (row.author_id === null) return "removed";
    if (!mayChange && row.author_id !== viewer.id) return "not_theirs";
    await sql`delete from cell_tags where task_id = ${taskId} and subtask_id = ${row.id} and tag = ${tag}`;
    await raiseRevision(sql, taskId, row.id);
    return "removed";
  }) as "removed" | "no_task" | "no_cell" | "not_theirs";
}

export interface CellTagRow {
  cell: number;
  tag: string;
  author_id: string;
  /** E-mail of the author; null for a share or a deleted user. */
  author: string | null;
  created_at: Date;
}

/** Lists all tags of a cell, in order of code points. */
export async function listCellTags(
  sql: Sql,
  { taskId, cell, viewer }: TaskCell & { viewer: Viewer },
): Promise<CellTagRow[]> {
  return await sql<CellTagRow[]>`
    select s.cell, t.tag, t.author_id, u.email as author, t.created_at
    from subtasks s
    join cell_tags t on t.task_id = s.parent_task_id and t.subtask_id = s.id
    left join users u on u.id = t.author_id
    where s.parent_task_id = ${taskId} and s.cell = ${cell} and ${maySeeTag(sql, viewer)}
    order by t.tag collate "C"`;
}

/** Lists the tags of a task in order of code points, each with the number of its cells. */
export async function countTags(
  sql: Sql,
  { taskId, viewer, after, limit }: { taskId: string; viewer: Viewer; after: string; limit: number },
): Promise<{ tag: string; cells: number }[]> {
  return await sql<{ tag: string; cells: number }[]>`
    select t.tag collate "C" as tag, count(*)::int as cells
    from cell_tags t
    join subtasks s on s.parent_task_id = t.task_id and s.id = t.subtask_id
    where t.task_id = ${taskId} and t.tag collate "C" > ${after} and ${maySeeTag(sql, viewer)}
    group by 1
    order by 1
    limit ${limit}`;
}

/** Lists the cells that have a tag, by cell number. */
export async function listTaggedCells(
  sql: Sql,
  { taskId, tag, viewer, after, limit }: {
    taskId: string;
    tag: string;
    viewer: Viewer;
    after: number;
    limit: number;
  },
): Promise<CellTagRow[]> {
  return await sql<CellTagRow[]>`
    select s.cell, t.tag, t.author_id, u.email as author, t.created_at
    from cell_tags t
    join subtasks s on s.parent_task_id = t.task_id and s.id = t.subtask_id
    left join users u on u.id = t.author_id
    where t.task_id = ${taskId} and t.tag = ${tag} and s.cell > ${after} and ${maySeeTag(sql, viewer)}
    order by s.cell
    limit ${limit}`;
}
