/** What people write about images. A cell shows the texts of the image it has now, in their order, as `evaluate`. */
import type { Sql } from "../pg/connect.ts";
import { type Looker, maySee } from "./ratings.ts";

export interface EvaluationRow {
  id: string;
  cell: number;
  version: number;
  author_id: string;
  /** The e-mail; null for a link's, and for an author who has gone. */
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

/** Locks a task that is there, within a transaction; the next statement sees what was committed meanwhile. */
export async function lockOpenTask(sql: Sql, taskId: string): Promise<boolean> {
  const rows = await sql`select 1 from tasks where id = ${taskId} and not is_deleted for no key update`;
  return rows.length > 0;
}

/** Says anew what the cell shows; the task must be locked. */
async function projectTexts(sql: Sql, taskId: string, subtaskId: string): Promise<void> {
  await sql`
    with told as (
      update tasks set revision = revision + 1 where id = ${taskId} returning revision
    )
    update subtasks s
    set revision = told.revision,
      evaluate = (
        select array_agg(e.text order by e.created_at, e.id)
        from evaluations e
        where e.task_id = ${taskId} and e.subtask_id = ${subtaskId} and e.version = s.attempt
      )
    from told
    where s.parent_task_id = ${taskId} and s.id = ${subtaskId}`;
}

export interface NewEvaluation {
  taskId: string;
  cell: number;
  authorId: string;
  text: string;
  tags: string[];
}

/** Adds a text to the image that a cell has now; the task must be locked. @returns its id */
export async function insertEvaluation(
  sql: Sql,
  { taskId, cell, authorId, text, tags }: NewEvaluation,
): Promise<string | "no_cell" | "no_image"> {
  const [row] = await sql<{ id: string | null; subtask_id: string }[]>`
    with target as (
      select id, attempt, status = 'completed' and image_url is not null as has_image
      from subtasks
      where parent_task_id = ${taskId} and cell = ${cell}
    ), said as (
      insert into evaluations (task_id, subtask_id, version, author_id, text, tags, created_at)
      -- By the clock, not by the transaction's start, and after the one before: as the lock lets them, so they stand.
      select ${taskId}, id, attempt, ${authorId}, ${text}, ${tags}::text[], greatest(clock_timestamp(), (
        select max(e.created_at) + interval '1 ms'
        from evaluations e
        where e.task_id = ${taskId} and e.subtask_id = target.id
      ))
      from target
      where has_image
      returning id
    )
    select said.id, target.id as subtask_id from target left join said on true`;
  if (!row) return "no_cell";
  if (row.id === null) return "no_image";
  await projectTexts(sql, taskId, row.subtask_id);
  return row.id;
}

/** An evaluation that `looker` may see. */
export async function findEvaluation(
  sql: Sql,
  { taskId, id, looker }: { taskId: string; id: string; looker: Looker },
): Promise<EvaluationRow | undefined> {
  const [row] = await sql<EvaluationRow[]>`
    select ${columns(sql)}
    from ${source(sql)}
    where e.id = ${id} and e.task_id = ${taskId} and ${maySee(sql, looker, "e", "author_id")}`;
  return row;
}

/** Changes a text of its author; the task must be locked. @returns whether there was one */
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
 * Removes a text; the task must be locked.
 *
 * @param authorId whose it must be; null where an owner or admin removes it
 * @returns whether there was one
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

/** After which text a page begins. */
export interface TextPlace {
  at: string;
  id: string;
}

/** What was written of a cell, of all its images, oldest first. */
export async function listCellEvaluations(
  sql: Sql,
  { taskId, cell, looker, after, limit }: {
    taskId: string;
    cell: number;
    looker: Looker;
    after: TextPlace | undefined;
    limit: number;
  },
): Promise<EvaluationRow[]> {
  return await sql<EvaluationRow[]>`
    select ${columns(sql)}
    from ${source(sql)}
    where e.task_id = ${taskId} and s.parent_task_id = ${taskId} and s.cell = ${cell}
      and ${maySee(sql, looker, "e", "author_id")}
      and ${after ? sql`(e.created_at, e.id) > (${after.at}::timestamptz, ${after.id}::uuid)` : sql`true`}
    order by e.created_at, e.id
    limit ${limit}`;
}

/** What was written of a task's images, newest first. */
export async function listTaskEvaluations(
  sql: Sql,
  { taskId, looker, after, limit }: {
    taskId: string;
    looker: Looker;
    after: TextPlace | undefined;
    limit: number;
  },
): Promise<EvaluationRow[]> {
  return await sql<EvaluationRow[]>`
    select ${columns(sql)}
    from ${source(sql)}
    where e.task_id = ${taskId} and ${maySee(sql, looker, "e", "author_id")}
      and ${after ? sql`(e.created_at, e.id) < (${after.at}::timestamptz, ${after.id}::uuid)` : sql`true`}
    order by e.created_at desc, e.id desc
    limit ${limit}`;
}
