/** History of attempts that failed, noted in the statement that ends them; dead letters: subtasks that failed for good. */
import type { Sql } from "../pg/connect.ts";

/** `lost`: its worker was lost after it may have sent the POST, before the job's id was saved. */
export type AttemptOutcome = "done" | "timeout" | "illegal" | "error" | "lost";

/** As one attempt ended; times by the database's clock. */
export interface AttemptRow {
  attempt: number;
  worker_id: string | null;
  started_at: Date | null;
  ended_at: Date | null;
  outcome: AttemptOutcome;
  reason: string | null;
  /** The generator's job. */
  remote_id: string | null;
  /** Of an image that a re-run put away. */
  image_url: string | null;
}

/** What a write says of the attempt it ends. */
interface Noted {
  task_id: string;
  id: string;
  lease_id: string;
  outcome?: AttemptOutcome;
  reason?: string;
}

const notedRows = (sql: Sql, noted: Noted[], fallback: (noted: Noted) => AttemptOutcome) =>
  sql`unnest(
    ${noted.map(({ task_id }) => task_id)}::uuid[], ${noted.map(({ id }) => id)}::uuid[],
    ${noted.map(({ lease_id }) => lease_id)}::bigint[],
    ${noted.map((one) => one.outcome ?? fallback(one))}::text[],
    ${noted.map(({ reason }) => reason ?? null)}::text[]
  ) as i (task_id, id, lease_id, outcome, reason)`;

/** Reads the rows as they were before the write `moved`, of which only the leases are asked. */
const noteMoved = (sql: Sql, rows: ReturnType<typeof notedRows>, attempt: ReturnType<typeof notedRows>) =>
  sql`, before as materialized (
      select s.parent_task_id, s.id, s.lease_id, s.attempt, s.worker_id, s.intent_at, s.remote_id, i.outcome, i.reason
      from ${rows}
      join subtasks s on s.parent_task_id = i.task_id and s.id = i.id and s.lease_id = i.lease_id
    ), noted as (
      insert into attempts (task_id, subtask_id, attempt, worker_id, started_at, outcome, reason, remote_id)
      select b.parent_task_id, b.id, ${attempt}, b.worker_id, b.intent_at, b.outcome, b.reason, b.remote_id
      from before b join moved m on m.lease_id = b.lease_id
      on conflict on constraint attempts_pkey do nothing
    )`;

/**
 * A part of the statement that begins another attempt, after its `moved`.
 *
 * @param retries `attempt` is the number of the next one
 */
export function noteRetries(sql: Sql, retries: (Noted & { attempt: number })[]) {
  const next = sql`(
    select n.attempt - 1
    from unnest(${retries.map(({ lease_id }) => lease_id)}::bigint[], ${
    retries.map(({ attempt }) => attempt)
  }::int[]) as n (lease_id, attempt)
    where n.lease_id = b.lease_id
  )`;
  return noteMoved(sql, notedRows(sql, retries, () => "error"), next);
}

/** A part of the statement that ends subtasks, after its `moved`: empty where all succeeded at once. */
export function noteEnds(sql: Sql, ends: (Noted & { status: string; retry_count: number })[]) {
  const noted = ends.filter(({ status, retry_count }) => status === "failed" || retry_count > 0);
  if (noted.length === 0) return sql``;
  const failed = new Set(noted.filter(({ status }) => status === "failed").map(({ lease_id }) => lease_id));
  const rows = notedRows(sql, noted, ({ lease_id }) => failed.has(lease_id) ? "error" : "done");
  return noteMoved(sql, rows, sql`b.attempt`);
}

/** A part of the statement that takes subtasks from lost workers, after its `gone` and `released`. */
export const noteLosses = (sql: Sql) =>
  sql`, lost as (
      insert into attempts (task_id, subtask_id, attempt, worker_id, started_at, outcome, reason)
      select
        g.parent_task_id, g.id, g.attempt, g.worker_id, g.intent_at, 'lost',
        'its worker was lost before a job id was saved'
      from gone g join released r on r.task_id = g.parent_task_id and r.id = g.id
      where g.remote_id is null and g.intent_at is not null
      on conflict on constraint attempts_pkey do nothing
    )`;

/** All that is known of a subtask's attempts, oldest first; one that succeeded at once is told by its own row. */
export async function listAttempts(sql: Sql, taskId: string, subtaskId: string): Promise<AttemptRow[]> {
  return await sql<AttemptRow[]>`
    select attempt, worker_id, started_at, ended_at, outcome, reason, remote_id, image_url
    from attempts
    where task_id = ${taskId} and subtask_id = ${subtaskId}
    union all
    select s.attempt, null, s.intent_at, s.completed_at, 'done', null, s.remote_id, s.image_url
    from subtasks s
    where s.parent_task_id = ${taskId} and s.id = ${subtaskId} and s.status = 'completed'
      and not exists (
        select from attempts a where a.task_id = ${taskId} and a.subtask_id = s.id and a.attempt = s.attempt
      )
    order by attempt`;
}

/** Which failed subtasks are meant. */
export interface DeadFilter {
  taskId?: string;
  /** A part of the cause, in any case. */
  cause?: string;
  /** Failed at this moment or later. */
  since?: Date;
}

/** A subtask that failed for good. */
export interface DeadLetter {
  task_id: string;
  task_name: string;
  /** Of the task: only the failed cells of one that was neither cancelled nor deleted can be drawn again. */
  task_status: string;
  id: string;
  cell: number | null;
  cause: string;
  error: string | null;
  attempt: number;
  failed_at: Date;
}

/** @param alias of `subtasks` in the statement is `s` */
export const causeFits = (sql: Sql, { cause }: { cause?: string }) =>
  cause === undefined ? sql`true` : sql`position(lower(${cause}) in lower(failure_cause(s.error))) > 0`;

const deadFits = (sql: Sql, filter: DeadFilter) =>
  sql`s.status = 'failed' and not t.is_deleted
    and ${filter.taskId === undefined ? sql`true` : sql`s.parent_task_id = ${filter.taskId}`}
    and ${filter.since === undefined ? sql`true` : sql`s.completed_at >= ${filter.since}`}
    and ${causeFits(sql, filter)}`;

/** Dead letters, newest first. */
export async function listDeadLetters(sql: Sql, filter: DeadFilter, limit: number): Promise<DeadLetter[]> {
  return await sql<DeadLetter[]>`
    select s.parent_task_id as task_id, t.task_name, t.status as task_status, s.id, s.cell,
      failure_cause(s.error) as cause, s.error, s.attempt, s.completed_at as failed_at
    from subtasks s join tasks t on t.id = s.parent_task_id
    where ${deadFits(sql, filter)}
    order by s.completed_at desc, s.id
    limit ${limit}::int`;
}

/** How many dead letters there are by cause, the most frequent first. */
export async function countCauses(sql: Sql, filter: DeadFilter): Promise<{ cause: string; cells: number }[]> {
  return await sql<{ cause: string; cells: number }[]>`
    select failure_cause(s.error) as cause, count(*)::int as cells
    from subtasks s join tasks t on t.id = s.parent_task_id
    where ${deadFits(sql, filter)}
    group by 1
    order by 2 desc, 1
    limit 100`;
}

/** Tasks with dead letters, those that failed last first. */
export async function listDeadTasks(sql: Sql, filter: DeadFilter, limit: number): Promise<string[]> {
  const rows = await sql<{ task_id: string }[]>`
    select s.parent_task_id as task_id
    from subtasks s join tasks t on t.id = s.parent_task_id
    where ${deadFits(sql, filter)} and t.status <> 'cancelled'
    group by 1
    order by max(s.completed_at) desc
    limit ${limit}::int`;
  return rows.map(({ task_id }) => task_id);
}
