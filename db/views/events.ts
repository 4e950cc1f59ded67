/** Reads for live views: the state of watched tasks, their changed cells, and the validity of credentials. */
import type { TaskStatus } from "../queue/task_fields.ts";
import type { Sql } from "../pg/connect.ts";

export interface TaskState {
  id: string;
  /** Stays below 2^53. */
  revision: number;
  status: TaskStatus;
  hold: string | null;
  blind: boolean;
  /** The task has ended, and no cell is left to cancel. */
  ended: boolean;
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
  /** Number of cells under a lease. */
  running: number;
}

/**
 * Numbers of cells under a lease, by task. The index of processing cells has as many entries as there are slots in use,
 * whatever the size of the tasks.
 */
export const runningByTask = (sql: Sql) =>
  sql`select parent_task_id, count(*)::int as running
    from subtasks
    where status = 'processing' and worker_id = any(array(select id from workers))
    group by 1`;

/** Lists the states of tasks, without deleted ones. */
export async function listTaskStates(sql: Sql, ids: string[]): Promise<TaskState[]> {
  return await sql<TaskState[]>`
    select t.id, t.revision::float8 as revision, t.status, t.hold, t.blind,
      t.status in ('completed', 'failed', 'cancelled') and not t.cancelling as ended, t.subtasks_total as total,
      t.subtasks_completed as completed, t.subtasks_failed as failed, t.subtasks_cancelled as cancelled,
      coalesce(r.running, 0) as running
    from tasks t
    left join (${runningByTask(sql)}) r on r.parent_task_id = t.id
    where t.id = any(${ids}::uuid[]) and not t.is_deleted`;
}

/** A changed cell as live views show it. */
export interface ChangedCell {
  cell: number;
  status: TaskStatus;
  /** The attempt that made its image. */
  version: number;
  image: string | null;
  rating_n: number;
  rating_sum: number;
  revision: number;
}

/**
 * Lists the cells of a task that changed after the revision `since`, latest first, and the present revision.
 * Every change of a cell locks the task's row, so all changes of a visible revision are visible.
 */
export async function listChangedCells(
  sql: Sql,
  { taskId, since, limit }: { taskId: string; since: number; limit: number },
): Promise<{ revision: number; cells: ChangedCell[] }> {
  const rows = await sql<(ChangedCell & { as_of: number; cell: number | null })[]>`
    select t.revision::float8 as as_of, c.*
    from tasks t
    left join lateral (
      select s.cell, s.status, s.attempt as version, case when s.status = 'completed' then s.image_url end as image,
        s.rating_n, s.rating_sum, s.revision::float8 as revision
      from subtasks s
      where s.parent_task_id = t.id and s.revision > ${since}::bigint and s.revision > 0 and s.cell is not null
      order by s.revision desc, s.cell desc
      limit ${limit}::int
    ) c on true
    where t.id = ${taskId}`;
  return { revision: rows[0]?.as_of ?? since, cells: rows.filter(({ cell }) => cell !== null) };
}

/** Lists the given raters and cells for which the rater gave stars to the cell's present image. */
export async function listRaterCells(
  sql: Sql,
  { taskId, raterIds, cells }: { taskId: string; raterIds: string[]; cells: number[] },
): Promise<{ rater_id: string; cell: number; version: number }[]> {
  return await sql<{ rater_id: string; cell: number; version: number }[]>`
    select r.rater_id, s.cell, r.version
    from subtasks s
    join ratings r on r.task_id = s.parent_task_id and r.subtask_id = s.id and r.version = s.attempt
    where s.parent_task_id = ${taskId} and s.cell = any(${cells}::int[]) and r.rater_id = any(${raterIds}::uuid[])
      and r.stars is not null`;
}

/** The credential of a connection: a session with the token version of its user, or a share. */
export type Credential = { kind: "session"; id: string; version: number } | { kind: "share"; id: string };

/** Lists the ids of credentials that are no longer valid: signed out, deactivated, revoked or expired. */
export async function listInvalidCredentials(sql: Sql, credentials: Credential[]): Promise<string[]> {
  const sessions = credentials.filter((credential) => credential.kind === "session");
  const shares = credentials.filter((credential) => credential.kind === "share");
  const sessionIds = sessions.map(({ id }) => id);
  const versions = sessions.map(({ version }) => version);
  const shareIds = shares.map(({ id }) => id);
  const rows = await sql<{ id: string }[]>`
    select c.id
    from unnest(${sessionIds}::uuid[], ${versions}::int[]) as c (id, version)
    where not exists (
      select from sessions s join users u on u.id = s.user_id
      where s.id = c.id and s.ended_at is null and s.expires_at > now() and u.is_active
        and u.token_version = c.version
    )
    union all
    select c.id
    from unnest(${shareIds}::uuid[]) as c (id)
    where not exists (select from shares s where s.id = c.id and s.revoked_at is null and s.expires_at > now())`;
  return rows.map(({ id }) => id);
}
