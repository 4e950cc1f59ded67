/** The history of failed attempts, recorded by the statement that ends them; and dead letters. */
import type { Sql } from "../pg/connect.ts";

/** `lost`: its worker died after it may have sent the POST and before the id of the remote job was saved. */
export type AttemptOutcome = "done" | "timeout" | "illegal" | "error" | "lost";

/** An ended attempt. Times are those of the database's clock. */
export interface AttemptRow {
  attempt: number;
  worker_id: string | null;
  started_at: Date | null;
  ended_at: Date | null;
  outcome: AttemptOutcome;
  reason: string | null;
  /** Id of the remote job. */
  remote_id: string | null;
  /** The image, if a re-run replaced it. */
  image_url: string | null;
}

/** The end of an attempt, as the write that ends it knows it. */
interface EndedAttempt {
  task_id: string;
  id: string;
  lease_id: string;
  outcome?: AttemptOutcome;
  reason?: string;
}

const endedRows = (sql: Sql, ended: EndedAttempt[], fallback: (ended: EndedAttempt) => AttemptOutcome) =>
  sql`unnest(
    ${ended.map(({ task_id }) => task_id)}::uuid[], ${ended.map(({ id }) => id)}::uuid[],
    ${ended.map(({ lease_id }) => lease_id)}::bigint[],
    ${ended.map((one) => one.outcome ?? fallback(one))}::text[],
    ${ended.map(({ reason }) => reason ?? null)}::text[]
  ) as i (task_id, id, lease_id, outcome, reason)`;

type Fragment = ReturnType<typeof endedRows>;

/**
 * Inserts the attempts of the leases that the CTE `moved` returns, from the rows as they were before that
 * write.
 */
const recordMoved = (sql: Sql, rows: Fragment, attempt: Fragment) =>
  sql`, before as materialized (
      select s.parent_task_id, s.id, s.lease_id, s.attempt, s.worker_id, s.intent_at, s.remote_id, i.outcome, i.reason
      from ${rows}
      join subtasks s on s.parent_task_id = i.task_id and s.id = i.id and s.lease_id = i.lease_id
    ), recorded as (
      insert into attempts (task_id, subtask_id, attempt, worker_id, started_at, outcome, reason, remote_id)
      select b.parent_task_id, b.id, ${attempt}, b.worker_id, b.intent_at, b.outcome, b.reason, b.remote_id
      from before b join moved m on m.lease_id = b.lease_id
      on conflict on constraint attempts_pkey do nothing
    )`;

/**
 * Returns CTEs that record the attempts which end with a retry. They follow the CTE `moved`.
 *
 * @param retries `attempt` is the number of the next attempt
 */
export function recordRetries(sql: Sql, retries: (EndedAttempt & { attempt: number })[]) {
  const leases = retries.map(({ lease_id }) => lease_id);
  const nextAttempts = retries.map(({ attempt }) => attempt);
  const endedAttempt = sql`(
    select n.attempt - 1
    from unnest(${leases}::bigint[], ${nextAttempts}::int[]) as n (lease_id, attempt)
    where n.lease_id = b.lease_id
  )`;
  return recordMoved(sql, endedRows(sql, retries, () => "error"), endedAttempt);
}

/**
 * Returns CTEs that record the last attempts of subtasks. They follow the CTE `moved`. A success in the first
 * attempt is not recorded, because the subtask's own row tells it.
 */
export function recordEnds(sql: Sql, ends: (EndedAttempt & { status: string; retry_count: number })[]) {
  const recorded = ends.filter(({ status, retry_count }) => status === "failed" || retry_count > 0);
  if (recorded.length === 0) return sql``;
  const failed = new Set(
    recorded.filter(({ status }) => status === "failed").map(({ lease_id }) => lease_id),
  );
  const rows = endedRows(sql, recorded, ({ lease_id }) => failed.has(lease_id) ? "error" : "done");
  return recordMoved(sql, rows, sql`b.attempt`);
}

/** Returns a CTE that records the attempts of lost workers. It follows the CTEs `orphans` and `released`. */
export const recordLosses = (sql: Sql) =>
  sql`, lost as (
      insert into attempts (task_id, subtask_id, attempt, worker_id, started_at, outcome, reason)
      select
        o.parent_task_id, o.id, o.attempt, o.worker_id, o.intent_at, 'lost',
        'its worker was lost before a job id was saved'
      from orphans o join released r on r.task_id = o.parent_task_id and r.id = o.id
      where o.remote_id is null and o.intent_at is not null
      on conflict on constraint attempts_pkey do nothing
    )`;

/**
 * Lists the attempts of a subtask, oldest first. A success in the first attempt comes from the subtask's own
 * row.
 */
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

/** Selects dead letters. */
export interface DeadLetterFilter {
  taskId?: string;
  /** Part of the cause, in any case. */
  cause?: string;
  /** Earliest time of the failure. */
  since?: Date;
}

/** A dead letter: a subtask that failed for good. */
export interface DeadLetter {
  task_id: string;
  task_name: string;
  /** Status of the task. Failed cells of cancelled or deleted tasks cannot be drawn again. */
  task_status: string;
  id: string;
  cell: number | null;
  cause: string;
  error: string | null;
  attempt: number;
  failed_at: Date;
}

/** Returns the condition that the cause of the subtask `s` contains a text. */
export const matchesCause = (sql: Sql, { cause }: { cause?: string }) =>
  cause === undefined ? sql`true` : sql`position(lower(${cause}) in lower(failure_cause(s.error))) > 0`;

function matchesFilter(sql: Sql, { taskId, since, cause }: DeadLetterFilter) {
  const ofTask = taskId === undefined ? sql`true` : sql`s.parent_task_id = ${taskId}`;
  const failedSince = since === undefined ? sql`true` : sql`s.completed_at >= ${since}`;
  const withCause = matchesCause(sql, cause === undefined ? {} : { cause });
  return sql`s.status = 'failed' and not t.is_deleted and ${ofTask} and ${failedSince} and ${withCause}`;
}

/**
 * Lists dead letters, newest first.
 *
 * @param options.after time and id of the last dead letter of the page before
 */
export async function listDeadLetters(
  sql: Sql,
  filter: DeadLetterFilter,
  { limit, after }: { limit: number; after?: [failedAt: string, id: string] | undefined },
): Promise<DeadLetter[]> {
  const isAfterCursor = after === undefined ? sql`true` : sql`s.completed_at <= ${after[0]}::timestamptz
      and (s.completed_at < ${after[0]}::timestamptz or s.id > ${after[1]}::uuid)`;
  return await sql<DeadLetter[]>`
    select s.parent_task_id as task_id, t.task_name, t.status as task_status, s.id, s.cell,
      failure_cause(s.error) as cause, s.error, s.attempt, s.completed_at as failed_at
    from subtasks s join tasks t on t.id = s.parent_task_id
    where ${matchesFilter(sql, filter)} and ${isAfterCursor}
    order by s.completed_at desc, s.id
    limit ${limit}::int`;
}

/** Counts dead letters by cause, most frequent first; at most 100 causes. */
export async function countCauses(
  sql: Sql,
  filter: DeadLetterFilter,
): Promise<{ cause: string; cells: number }[]> {
  return await sql<{ cause: string; cells: number }[]>`
    select failure_cause(s.error) as cause, count(*)::int as cells
    from subtasks s join tasks t on t.id = s.parent_task_id
    where ${matchesFilter(sql, filter)}
    group by 1
    order by 2 desc, 1
    limit 100`;
}

/** Lists tasks with dead letters that can be drawn again, latest failure first. */
export async function listDeadLetterTasks(
  sql: Sql,
  filter: DeadLetterFilter,
  limit: number,
): Promise<string[]> {
  const rows = await sql<{ task_id: string }[]>`
    select s.parent_task_id as task_id
    from subtasks s join tasks t on t.id = s.parent_task_id
    where ${matchesFilter(sql, filter)} and t.status <> 'cancelled'
    group by 1
    order by max(s.completed_at) desc
    limit ${limit}::int`;
  return rows.map(({ task_id }) => task_id);
}
