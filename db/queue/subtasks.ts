/** Subtasks under a lease: claimed, retried, settled and released by the lease holder. */
import { type AttemptOutcome, recordEnds, recordRetries } from "./attempts.ts";
import { needsCanary } from "./canary.ts";
import type { Sql } from "../pg/connect.ts";
import { raiseRevisions } from "./revisions.ts";
import { closing } from "./task_end.ts";
import { channels } from "./tasks.ts";

export const queues = ["high", "standard", "lumina"] as const;
export type Queue = (typeof queues)[number];

/** The ids of a subtask and its task. */
export interface SubtaskRef {
  task_id: string;
  id: string;
}

/** A subtask under a lease; JSON columns as text, bigints as text. */
export interface ClaimedSubtask extends SubtaskRef {
  lease_id: string;
  queue: Queue;
  cell: number | null;
  prompts: string;
  ratio: string;
  seed: string;
  use_polish: boolean;
  client_args: string | null;
  /** Remote job of an earlier worker, to be polled further. */
  remote_id: string | null;
  retry_count: number;
  attempt: number;
  /** Number of workers that died while they held its lease. */
  losses: number;
  /** Milliseconds since the start of the attempt, by the database's clock. */
  elapsed_ms: number;
  task_status: string;
}

/** A subtask and its lease. Writes apply only while the lease is valid. */
export interface LeasedSubtask extends SubtaskRef {
  lease_id: string;
}

const column = <T, K extends keyof T>(rows: T[], key: K): T[K][] => rows.map((row) => row[key]);

const distinctTasks = (refs: SubtaskRef[]): string[] => [...new Set(column(refs, "task_id"))];

const leaseRows = (sql: Sql, leased: LeasedSubtask[]) =>
  sql`unnest(
    ${column(leased, "task_id")}::uuid[],
    ${column(leased, "id")}::uuid[],
    ${column(leased, "lease_id")}::bigint[]
  )`;

// A constraint guarantees that a subtask with a lease is processing. A condition on the status as well would
// make the planner, without statistics, scan the partial index of that status once for each item.
const hasLease = (sql: Sql) => sql`s.parent_task_id = i.task_id and s.id = i.id and s.lease_id = i.lease_id`;

/**
 * Claims pending subtasks of open tasks for a worker, each under a new lease, and records the intent to pay
 * for an image. A subtask is missing from the answer if another worker has claimed it, if it has ended, if
 * its task is held, or if the worker counts as dead.
 */
export async function claimSubtasks(
  sql: Sql,
  worker: string,
  refs: SubtaskRef[],
): Promise<ClaimedSubtask[]> {
  const refRows = sql`unnest(${column(refs, "task_id")}::uuid[], ${column(refs, "id")}::uuid[])`;
  return await sql<ClaimedSubtask[]>`
    with open as materialized (
      select id, status
      from tasks
      where id = any(${distinctTasks(refs)}::uuid[])
        and status in ('pending', 'processing') and hold is null and not is_deleted
        and exists (select from workers where workers.id = ${worker})
      order by id
      for key share
    ), wanted as (
      select distinct * from ${refRows} as w (task_id, id)
    ), free as materialized (
      select s.parent_task_id, s.id, open.status as task_status
      from wanted w
      join open on open.id = w.task_id
      cross join lateral (
        select s.parent_task_id, s.id
        from subtasks s
        -- Not the bare column: if the statistics know of no pending cells, the planner scans the index of all
        -- pending cells of the task once for each wanted cell.
        where s.parent_task_id = w.task_id and s.id = w.id and coalesce(s.status, '') = 'pending'
          and (s.run_after is null or s.run_after <= now())
        for update skip locked
      ) s
    )
    update subtasks s -- locked and still pending: no condition on the status, see hasLease
    set status = 'processing', lease_id = nextval('lease_ids'), worker_id = ${worker}, run_after = null,
      started_at = coalesce(s.started_at, now()), updated_at = now(),
      attempt = s.attempt + (s.remote_id is null)::int,
      intent_at = case when s.remote_id is null then now() else coalesce(s.intent_at, now()) end
    from free
    where s.parent_task_id = free.parent_task_id and s.id = free.id
    returning
      s.parent_task_id as task_id, s.id, s.lease_id::text, s.queue, s.cell, s.prompts::text, s.ratio, s.seed::text,
      s.use_polish, s.client_args::text, s.remote_id, s.retry_count, s.attempt, s.losses,
      (extract(epoch from now() - s.intent_at) * 1000)::int as elapsed_ms, free.task_status`;
}

/**
 * Saves the ids of remote jobs, so that another worker can continue polling.
 *
 * @returns the leases that are still valid
 */
export async function saveRemoteIds(
  sql: Sql,
  saved: (LeasedSubtask & { remote_id: string })[],
): Promise<Set<string>> {
  const rows = await sql<{ lease_id: string }[]>`
    update subtasks s
    set remote_id = i.remote_id
    from rows from (${leaseRows(sql, saved)}, unnest(${column(saved, "remote_id")}::text[]))
      as i (task_id, id, lease_id, remote_id)
    where ${hasLease(sql)}
    returning s.lease_id::text`;
  return new Set(column([...rows], "lease_id"));
}

/** The end of an attempt, for its history. */
export interface AttemptEnd {
  outcome?: AttemptOutcome;
  reason?: string;
}

/**
 * A failed attempt that will be retried. `retry_count` is the new value, so that a repeated write counts
 * once.
 */
export type SubtaskRetry = LeasedSubtask & AttemptEnd & {
  retry_count: number;
  attempt: number;
  error: string;
  wait_ms: number;
};

/**
 * Records failed attempts and schedules the next ones after `wait_ms`.
 *
 * @returns the leases that are still valid
 */
export async function retrySubtasks(sql: Sql, retries: SubtaskRetry[]): Promise<Set<string>> {
  const rows = await sql<{ lease_id: string }[]>`
    with moved as (
      update subtasks s
      set retry_count = i.retry_count, attempt = i.attempt, error = i.error, remote_id = null, updated_at = now(),
        intent_at = null, run_after = now() + i.wait_ms * interval '1 ms'
      from rows from (
        ${leaseRows(sql, retries)}, unnest(${column(retries, "retry_count")}::int[]),
        unnest(${column(retries, "attempt")}::int[]), unnest(${column(retries, "error")}::text[]),
        unnest(${column(retries, "wait_ms")}::int[])
      ) as i (task_id, id, lease_id, retry_count, attempt, error, wait_ms)
      where ${hasLease(sql)}
      returning s.lease_id
    )${recordRetries(sql, retries)}
    select lease_id::text from moved`;
  return new Set(column([...rows], "lease_id"));
}

/**
 * Records the intent to pay, just before the POST of a further attempt.
 *
 * @returns the leases that are still valid
 */
export async function beginAttempts(sql: Sql, leased: LeasedSubtask[]): Promise<Set<string>> {
  const rows = await sql<{ lease_id: string }[]>`
    update subtasks s
    set intent_at = now(), run_after = null
    from ${leaseRows(sql, leased)} as i (task_id, id, lease_id)
    where ${hasLease(sql)}
    returning s.lease_id::text`;
  return new Set(column([...rows], "lease_id"));
}

/** The end of a subtask. */
export type Settlement = LeasedSubtask & AttemptEnd & {
  status: "completed" | "failed";
  retry_count: number;
  /** JSON text; null for a failure. */
  result: string | null;
  image_url: string | null;
  /** Null keeps the stored error. */
  error: string | null;
};

/**
 * Settles subtasks in one statement: their rows, the counters and status of their tasks, and the notices of
 * tasks that end with them. Tasks are locked first, in order of ids, as in a cancellation.
 *
 * @returns the leases that were still valid, the tasks that ended, and the open tasks that the canary must
 * judge
 */
export async function settleSubtasks(
  sql: Sql,
  ends: Settlement[],
): Promise<{ leases: Set<string>; closed: string[]; canaryTasks: string[] }> {
  const items = sql`rows from (
        ${leaseRows(sql, ends)}, unnest(${column(ends, "status")}::text[]),
        unnest(${column(ends, "retry_count")}::int[]), unnest(${column(ends, "result")}::text[]),
        unnest(${column(ends, "image_url")}::text[]), unnest(${column(ends, "error")}::text[])
      ) as i (task_id, id, lease_id, status, retry_count, result, image_url, error)`;
  const rows = await sql<{ lease_id: string; task_id: string; closed: boolean; needs_canary: boolean }[]>`
    with open as materialized (
      select id, revision, status in ('pending', 'processing') as is_open
      from tasks
      where id = any(${distinctTasks(ends)}::uuid[])
      order by id
      for no key update
    ), moved as (
      update subtasks s
      set status = i.status, retry_count = i.retry_count, result = i.result::json, image_url = i.image_url,
        error = coalesce(i.error, s.error), updated_at = now(), completed_at = now(),
        lease_id = null, worker_id = null, run_after = null, revision = open.revision + 1
      from ${items}
      join open on open.id = i.task_id
      where ${hasLease(sql)}
      returning s.parent_task_id as task_id, s.status, i.lease_id
    )${recordEnds(sql, ends)}, counted as (
      select m.task_id, open.is_open, count(*) as ended, count(*) filter (where m.status = 'completed') as completed,
        count(*) filter (where m.status = 'failed') as failed
      from moved m join open on open.id = m.task_id
      group by 1, 2
    ), tallied as (
      update tasks t
      set subtasks_completed = t.subtasks_completed + c.completed,
        subtasks_failed = t.subtasks_failed + c.failed,
        updated_at = now(),
        revision = t.revision + 1,
        started_at = coalesce(t.started_at, now()),
        ${closing(sql)}
      from counted c
      where t.id = c.task_id
      returning t.id, c.is_open and t.status in ('completed', 'failed') as closed,
        ${needsCanary(sql)} as needs_canary,
        case
          when t.subtasks_completed = t.subtasks_total then 'completed'
          when t.subtasks_completed > 0 then 'partial'
          else 'failed'
        end as kind
    ), notices as (
      insert into outbox (task_id, kind)
      select id, kind from tallied where closed
      on conflict on constraint outbox_task_id_kind_key do nothing
    )
    select m.lease_id::text, m.task_id, t.closed, t.needs_canary
    from moved m
    join tallied t on t.id = m.task_id`;
  const tasksOf = (chosen: typeof rows[number][]) => [...new Set(column(chosen, "task_id"))];
  return {
    leases: new Set(column([...rows], "lease_id")),
    closed: tasksOf(rows.filter(({ closed }) => closed)),
    canaryTasks: tasksOf(rows.filter((row) => row.needs_canary)),
  };
}

/** Notifies the feed and the live views that subtasks have ended. */
export async function announceSettled(sql: Sql): Promise<void> {
  await sql`select pg_notify(${channels.settled}, '')`;
}

export interface ReleaseResult {
  /** Number of subtasks that are pending again. */
  released: number;
  /** Number of these whose POST may have been sent although no job id is saved. */
  unsaved: number;
}

/**
 * Releases subtasks that their worker will not finish: they become pending again and keep their remote job.
 *
 * @param unsent the leases whose POST was never sent; their attempt does not count
 */
export async function releaseSubtasks(
  sql: Sql,
  leased: LeasedSubtask[],
  unsent: Set<string>,
): Promise<ReleaseResult> {
  const isUnsent = leased.map(({ lease_id }) => Number(unsent.has(lease_id)));
  const tasks = sql`select unnest(${distinctTasks(leased)}::uuid[])`;
  const rows = await sql<{ is_unsaved: boolean }[]>`
    with ${raiseRevisions(sql, tasks)}
    update subtasks s
    set status = 'pending', lease_id = null, worker_id = null, updated_at = now(),
      attempt = greatest(s.attempt - i.unsent, 0),
      intent_at = case when i.unsent = 1 then null else s.intent_at end
    from rows from (
      ${leaseRows(sql, leased)}, unnest(${isUnsent}::int[])
    ) as i (task_id, id, lease_id, unsent)
    join locked on locked.id = i.task_id
    where ${hasLease(sql)}
    returning s.intent_at is not null and s.remote_id is null as is_unsaved`;
  return { released: rows.length, unsaved: rows.filter((row) => row.is_unsaved).length };
}
