/** What live views read: where watched tasks stand, and which of their cells changed. */
import type { TaskStatus } from "../queue/task_fields.ts";
import type { Sql } from "../pg/connect.ts";

export interface TaskState {
  id: string;
  /** Below 2^53 for as long as anything is. */
  revision: number;
  status: TaskStatus;
  hold: string | null;
  blind: boolean;
  /** Nothing of it is to come. */
  ended: boolean;
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
  /** Cells that a worker holds. */
  running: number;
}

/** Where tasks stand; those that are deleted are left out. */
export async function listTaskStates(sql: Sql, ids: string[]): Promise<TaskState[]> {
  return await sql<TaskState[]>`
    select t.id, t.revision::float8 as revision, t.status, t.hold, t.blind,
      t.status in ('completed', 'failed', 'cancelled') and not t.cancelling as ended, t.subtasks_total as total,
      t.subtasks_completed as completed, t.subtasks_failed as failed, t.subtasks_cancelled as cancelled,
      coalesce(r.running, 0) as running
    from tasks t
    left join (
      -- By who holds them: the index of held cells is as small as there are slots, however large the tasks are.
      select parent_task_id, count(*)::int as running
      from subtasks
      where status = 'processing' and worker_id = any(array(select id from workers))
      group by 1
    ) r on r.parent_task_id = t.id
    where t.id = any(${ids}::uuid[]) and not t.is_deleted`;
}

/** A cell as live views show it. */
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
 * The cells of a task that changed after the revision `since`, the latest first, with the revision that this is as of.
 * Whoever changes a cell has the task's row locked, so a revision that is seen is seen whole.
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

/** Which of these cells' images were given stars by which of these raters. */
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

/** By what somebody came in: a session under a user's number of tokens, or a share. */
export type Door = { kind: "session"; id: string; version: number } | { kind: "share"; id: string };

/** Ids of doors that are shut: signed out, disabled, revoked, expired. */
export async function listShutDoors(sql: Sql, doors: Door[]): Promise<string[]> {
  const sessions = doors.filter((door) => door.kind === "session");
  const shares = doors.filter((door) => door.kind === "share");
  const rows = await sql<{ id: string }[]>`
    select d.id
    from unnest(${sessions.map(({ id }) => id)}::uuid[], ${
    sessions.map(({ version }) => version)
  }::int[]) as d (id, version)
    where not exists (
      select from sessions s join users u on u.id = s.user_id
      where s.id = d.id and s.ended_at is null and s.expires_at > now() and u.is_active
        and u.token_version = d.version
    )
    union all
    select d.id
    from unnest(${shares.map(({ id }) => id)}::uuid[]) as d (id)
    where not exists (select from shares s where s.id = d.id and s.revoked_at is null and s.expires_at > now())`;
  return rows.map(({ id }) => id);
}
