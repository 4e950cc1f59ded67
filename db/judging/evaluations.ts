/**
 * Evaluations of images. The column `evaluate` of a cell lists the texts about its present image, in order.
 */
import type { Sql } from "../pg/connect.ts";
import { maySee, type Viewer } from "./ratings.ts";

export interface EvaluationRow {
  id: string;
  cell: number;
  version: number;
  author_id: string;
  /** E-mail of the author; null for a share or a deleted user. */
  author: string | null;
  text: string;
  tags: string[];
  created_at: Date;
  edited_at: Date | null;
}

const columns = (sql: Sql) =>
  sql`e.id, s.cell, e.version, e.author_id, u.email as author, e.text, e.tags, e.created_at, e.edited_at`;

const source = (sql: Sql) =>
  sql`evaluations e
    join subtasks s on s.parent_task_id = e.task_id and s.id = e.subtask_id
    left join users u on u.id = e.author_id`;

/**
 * Locks a task within a transaction, unless it is deleted. The next statement sees everything committed
 * before.
 */
export async function lockOpenTask(sql: Sql, taskId: string): Promise<boolean> {
  const rows = await sql`select 1 from tasks where id = ${taskId} and not is_deleted for no key update`;
  return rows.length > 0;
}

/** Updates the column `evaluate` of a cell. The task must be locked. */
async function projectTexts(sql: Sql, taskId: string, subtaskId: string): Promise<void> {
  await sql`
    with task as (
      update tasks set revision = revision + 1 where id = ${taskId} returning revision
    )
    update subtasks s
    set revision = task.revision,
      evaluate = (
        select array_agg(e.text order by e.created_at, e.id)
        from evaluations e
        where e.task_id = ${taskId} and e.subtask_id = ${subtaskId} and e.version = s.attempt
      )
    from task
    where s.parent_task_id = ${taskId} and s.id = ${subtaskId}`;
}

export interface NewEvaluation {
  taskId: string;
  cell: number;
  authorId: string;
  text: string;
  tags: string[];
  /** The image that was judged, by the attempt that made it; null for the present one. */
  version: number | null;
}

/**
 * Inserts an evaluation of a cell's present image. The task must be locked.
 *
 * @returns the id of the evaluation
 */
export async function insertEvaluation(
  sql: Sql,
  { taskId, cell, authorId, text, tags, version }: NewEvaluation,
): Promise<string | "no_cell" | "no_image" | "changed"> {
  const [row] = await sql<{ id: string | null; subtask_id: string; has_image: boolean }[]>`
    with target as (
      select id, attempt, status = 'completed' and image_url is not null as has_image
      from subtasks
      where parent_task_id = ${taskId} and cell = ${cell}
    ), inserted as (
      insert into evaluations (task_id, subtask_id, version, author_id, text, tags, created_at)
      -- The wall clock instead of the transaction's start, and later than the previous text: the order of the
      -- texts is the order in which the lock was granted.
      select ${taskId}, id, attempt, ${authorId}, ${text}, ${tags}::text[], greatest(clock_timestamp(), (
        select max(e.created_at) + interval '1 ms'
        from evaluations e
        where e.task_id = ${taskId} and e.subtask_id = target.id
      ))
      from target
      where has_image and attempt = coalesce(${version}::int, attempt)
      returning id
    )
    select inserted.id, target.id as subtask_id, target.has_image from target left join inserted on true`;
  if (!row) return "no_cell";
  if (row.id === null) return row.has_image ? "changed" : "no_image";
  await projectTexts(sql, taskId, row.subtask_id);
  return row.id;
}

/** Finds an evaluation that the viewer may see. */
export async function findEvaluation(
  sql: Sql,
  { taskId, id, viewer }: { taskId: string; id: string; viewer: Viewer },
): Promise<EvaluationRow | undefined> {
  const [row] = await sql<EvaluationRow[]>`
    select ${columns(sql)}
    from ${source(sql)}
    where e.id = ${id} and e.task_id = ${taskId} and ${maySee(sql, viewer, "e", "author_id")}`;
  return row;
}

/** Updates an evaluation of its author. The task must be locked. @returns whether it was found */
export async function updateEvaluation(
  sql: Sql,
  { taskId, id, authorId, text, tags }: {
    taskId: string;
    id: string;
    authorId: string;
    text: string | null;
    tags: string[] | null;
  },
): Promise<boolean> {
  const [row] = await sql<{ subtask_id: string }[]>`
    update evaluations
    set text = coalesce(${text}, text), tags = coalesce(${tags}::text[], tags), edited_at = clock_timestamp()
    where id = ${id} and task_id = ${taskId} and author_id = ${authorId}
    returning subtask_id`;
  if (row) await projectTexts(sql, taskId, row.subtask_id);
  return row !== undefined;
}

/**
 * Deletes an evaluation. The task must be locked.
 *
 * @param authorId the required author; null if the owner of the task or an admin deletes it
 * @returns whether it was found
 */
export async function deleteEvaluation(
  sql: Sql,
  { taskId, id, authorId }: { taskId: string; id: string; authorId: string | null },
): Promise<boolean> {
  const [row] = await sql<{ subtask_id: string }[]>`
    delete from evaluations
    where id = ${id} and task_id = ${taskId} and (${authorId}::uuid is null or author_id = ${authorId})
    returning subtask_id`;
  if (row) await projectTexts(sql, taskId, row.subtask_id);
  return row !== undefined;
}

/** The last evaluation of the previous page. */
export interface EvaluationCursor {
  at: string;
  id: string;
}

/** Lists the evaluations of all images of a cell, oldest first. */
export async function listCellEvaluations(
  sql: Sql,
  { taskId, cell, viewer, after, limit }: {
    taskId: string;
    cell: number;
    viewer: Viewer;
    after: EvaluationCursor | undefined;
    limit: number;
  },
): Promise<EvaluationRow[]> {
  const isAfterCursor = after
    ? sql`(e.created_at, e.id) > (${after.at}::timestamptz, ${after.id}::uuid)`
    : sql`true`;
  const isVisible = maySee(sql, viewer, "e", "author_id");
  return await sql<EvaluationRow[]>`
    select ${columns(sql)}
    from ${source(sql)}
    where e.task_id = ${taskId} and s.parent_task_id = ${taskId} and s.cell = ${cell}
      and ${isVisible} and ${isAfterCursor}
    order by e.created_at, e.id
    limit ${limit}`;
}

/** Lists the evaluations of a task's images, newest first. */
export async function listTaskEvaluations(
  sql: Sql,
  { taskId, viewer, after, limit }: {
    taskId: string;
    viewer: Viewer;
    after: EvaluationCursor | undefined;
    limit: number;
  },
): Promise<EvaluationRow[]> {
  const isAfterCursor = after
    ? sql`(e.created_at, e.id) < (${after.at}::timestamptz, ${after.id}::uuid)`
    : sql`true`;
  const isVisible = maySee(sql, viewer, "e", "author_id");
  return await sql<EvaluationRow[]>`
    select ${columns(sql)}
    from ${source(sql)}
    where e.task_id = ${taskId} and ${isVisible} and ${isAfterCursor}
    order by e.created_at desc, e.id desc
    limit ${limit}`;
}
