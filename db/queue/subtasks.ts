/** Subtasks on their way to an image: fed, claimed under a lease, ended by who holds the lease. */
import { type AttemptOutcome, noteEnds, noteRetries } from "./attempts.ts";
import type { Sql } from "../pg/connect.ts";
import { channels } from "./tasks.ts";

export const queues = ["high", "standard", "lumina"] as const;
export type Queue = (typeof queues)[number];

/** Points to a subtask. */
export interface Ref {
  task_id: string;
  id: string;
}

/** A subtask under a lease; JSON columns as text, bigints as text. */
export interface Claimed extends Ref {
  lease_id: string;
  queue: Queue;
  cell: number | null;
  prompts: string;
  ratio: string;
  seed: string;
  use_polish: boolean;
  client_args: string | null;
  /** Job of an earlier worker, to be polled on. */
  remote_id: string | null;
  retry_count: number;
  attempt: number;
  /** Workers that were lost while they held it. */
  losses: number;
  /** Since the attempt began, by the database's clock. */
  elapsed_ms: number;
  task_status: string;
}

/** A subtask and the lease under which it may be written. */
export interface Held extends Ref {
  lease_id: string;
}

const column = <T, K extends keyof T>(rows: T[], key: K): T[K][] => rows.map((row) => row[key]);

const heldRows = (sql: Sql, held: Held[]) =>
  sql`unnest(
    ${column(held, "task_id")}::uuid[], ${column(held, "id")}::uuid[], ${
    column(held, "lease_id")
  }::bigint[])`;

// A constraint says that whoever has a lease is processing; asking for the state too would lead the planner, on a
// table it knows nothing of yet, to walk the partial index of that state once for each item.
const isHeld = (sql: Sql) => sql`s.parent_task_id = i.task_id and s.id = i.id and s.lease_id = i.lease_id`;

/**
 * Takes pending subtasks of open tasks for a worker, each under a new lease; the intent to pay for an image is
 * written with it. A row that is missing from the answer is somebody else's, ended, held back, or its worker was
 * declared dead.
 */
export async function claimSubtasks(sql: Sql, worker: string, refs: Ref[]): Promise<Claimed[]> {
  return await sql<Claimed[]>`
    with open as materialized (
      select id, status
      from tasks
      where id = any(${[...new Set(column(refs, "task_id"))]}::uuid[])
        and status in ('pending', 'processing') and hold is null and not is_deleted
        and exists (select from workers where workers.id = ${worker})
      order by id
      for key share
    ), wanted as (
      select distinct * from unnest(${column(refs, "task_id")}::uuid[], ${
    column(refs, "id")
  }::uuid[]) as w (task_id, id)
    ), free as materialized (
      select s.parent_task_id, s.id, open.status as task_status
      from wanted w
      join open on open.id = w.task_id
      cross join lateral (
        select s.parent_task_id, s.id
        from subtasks s
        -- Not the bare column: where the statistics know of no pending cells, the planner would walk the index of
        -- all pending ones of the task for each that is wanted.
        where s.parent_task_id = w.task_id and s.id = w.id and coalesce(s.status, '') = 'pending'
          and (s.run_after is null or s.run_after <= now())
        for update skip locked
      ) s
    )
    update subtasks s -- locked and still pending: no state here, see isHeld
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

/** Saves the generator's job ids, so that another worker can go on polling. @returns leases still held */
export async function saveRemoteIds(sql: Sql, saved: (Held & { remote_id: string })[]): Promise<Set<string>> {
  const rows = await sql<{ lease_id: string }[]>`
    update subtasks s
    set remote_id = i.remote_id
    from rows from (${heldRows(sql, saved)}, unnest(${column(saved, "remote_id")}::text[]))
      as i (task_id, id, lease_id, remote_id)
    where ${isHeld(sql)}
    returning s.lease_id::text`;
  return new Set(column([...rows], "lease_id"));
}

/** What the history says of an attempt that ended. */
export interface Ended {
  outcome?: AttemptOutcome;
  reason?: string;
}

/** A failed attempt with another to come: `retry_count` is the new one, so that writing twice counts once. */
export type Retry = Held & Ended & { retry_count: number; attempt: number; error: string; wait_ms: number };

/** Notes failed attempts and begins the next, not before `wait_ms`. @returns leases still held */
export async function retrySubtasks(sql: Sql, retries: Retry[]): Promise<Set<string>> {
  const rows = await sql<{ lease_id: string }[]>`
    with moved as (
      update subtasks s
      set retry_count = i.retry_count, attempt = i.attempt, error = i.error, remote_id = null, updated_at = now(),
        intent_at = null, run_after = now() + i.wait_ms * interval '1 ms'
      from rows from (
        ${heldRows(sql, retries)}, unnest(${column(retries, "retry_count")}::int[]),
        unnest(${column(retries, "attempt")}::int[]), unnest(${column(retries, "error")}::text[]),
        unnest(${column(retries, "wait_ms")}::int[])
      ) as i (task_id, id, lease_id, retry_count, attempt, error, wait_ms)
      where ${isHeld(sql)}
      returning s.lease_id
    )${noteRetries(sql, retries)}
    select lease_id::text from moved`;
  return new Set(column([...rows], "lease_id"));
}

/** Writes the intent to pay, just before the POST of a further attempt. @returns leases still held */
export async function beginAttempts(sql: Sql, held: Held[]): Promise<Set<string>> {
  const rows = await sql<{ lease_id: string }[]>`
    update subtasks s
    set intent_at = now(), run_after = null
    from ${heldRows(sql, held)} as i (task_id, id, lease_id)
    where ${isHeld(sql)}
    returning s.lease_id::text`;
  return new Set(column([...rows], "lease_id"));
}

/** How a subtask ends. */
export type Settlement = Held & Ended & {
  status: "completed" | "failed";
  retry_count: number;
  /** JSON text; null for a failure. */
  result: string | null;
  image_url: string | null;
  /** Null leaves the one that is there. */
  error: string | null;
};

/**
 * Ends subtasks: rows, the counters and state of their tasks, and the notices of tasks that end with them, in one
 * statement. Tasks are locked first, by id, as cancelling locks them.
 *
 * @returns leases that were still held, tasks that ended, and open ones that begin with many failures
 */
export async function settleSubtasks(
  sql: Sql,
  ends: Settlement[],
): Promise<{ leases: Set<string>; closed: string[]; doubtful: string[] }> {
  const rows = await sql<{ lease_id: string; task_id: string; closed: boolean; doubtful: boolean }[]>`
    with open as materialized (
      select id, revision, status in ('pending', 'processing') as is_open
      from tasks
      where id = any(${[...new Set(column(ends, "task_id"))]}::uuid[])
      order by id
      for no key update
    ), moved as (
      update subtasks s
      set status = i.status, retry_count = i.retry_count, result = i.result::json, image_url = i.image_url,
        error = coalesce(i.error, s.error), updated_at = now(), completed_at = now(),
        lease_id = null, worker_id = null, run_after = null, revision = open.revision + 1
      from rows from (
        ${heldRows(sql, ends)}, unnest(${column(ends, "status")}::text[]),
        unnest(${column(ends, "retry_count")}::int[]), unnest(${column(ends, "result")}::text[]),
        unnest(${column(ends, "image_url")}::text[]), unnest(${column(ends, "error")}::text[])
      ) as i (task_id, id, lease_id, status, retry_count, result, image_url, error)
      join open on open.id = i.task_id
      where ${isHeld(sql)}
      returning s.parent_task_id as task_id, s.status, i.lease_id
    )${noteEnds(sql, ends)}, counted as (
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
      returning t.id, c.is_open and t.status in ('completed', 'failed') as closed, ${
    doubtful(sql)
  } as doubtful,
        case when t.subtasks_completed = t.subtasks_total then 'completed' when t.subtasks_completed > 0 then 'partial'
          else 'failed' end as kind
    ), notices as (
      insert into outbox (task_id, kind)
      select id, kind from tallied where closed
      on conflict on constraint outbox_task_id_kind_key do nothing
    )
    select m.lease_id::text, m.task_id, t.closed, t.doubtful from moved m join tallied t on t.id = m.task_id`;
  const tasksOf = (chosen: typeof rows[number][]) => [...new Set(column(chosen, "task_id"))];
  return {
    leases: new Set(column([...rows], "lease_id")),
    closed: tasksOf(rows.filter(({ closed }) => closed)),
    doubtful: tasksOf(rows.filter(({ doubtful }) => doubtful)),
  };
}

/** How many of a task's cells end before they are judged, and how many may have when it is done for the last time. */
export const canary = { cellsMin: 20, cellsMax: 200 } as const;

/** Worth a look by `holdCanaries`: most of a task's first cells failed, and there are more to come. */
function doubtful(sql: Sql) {
  const ended = sql`(t.subtasks_completed + t.subtasks_failed)`;
  return sql`
    t.status = 'processing' and t.hold is null and not t.canary_lifted and ${ended} >= ${canary.cellsMin}::int
      and ${ended} - c.ended < ${canary.cellsMax}::int and 2 * t.subtasks_failed > ${ended}`;
}

/** The assignments that end a task with its last subtask (EXECUTION.md «Retries and outcome»). */
function closing(sql: Sql) {
  const left =
    sql`t.subtasks_total - t.subtasks_completed - t.subtasks_failed - t.subtasks_cancelled - c.ended`;
  return sql`
    all_subtasks_completed = ${left} = 0,
    hold = case when ${left} > 0 then t.hold end,
    hold_reason = case when ${left} > 0 then t.hold_reason end,
    completed_at = case when c.is_open and ${left} = 0 then now() else t.completed_at end,
    status = case
      when not c.is_open then t.status
      when ${left} > 0 then 'processing'
      when t.subtasks_failed + c.failed = t.subtasks_total then 'failed'
      else 'completed'
    end`;
}

/** Tells whoever feeds or watches that subtasks ended. */
export async function announceSettled(sql: Sql): Promise<void> {
  await sql`select pg_notify(${channels.settled}, '')`;
}

/** What was given back; `unsaved`: of these, POSTs that may have been made and whose job's id nobody knows. */
export interface Released {
  released: number;
  unsaved: number;
}

/**
 * Gives back what a worker holds and will not go on with: pending again, a remote job kept, no attempt burned.
 *
 * @param unsent leases whose POST was never sent: their attempt is taken back
 */
export async function releaseSubtasks(sql: Sql, held: Held[], unsent: Set<string>): Promise<Released> {
  const rows = await sql<{ is_unsaved: boolean }[]>`
    update subtasks s
    set status = 'pending', lease_id = null, worker_id = null, updated_at = now(),
      attempt = greatest(s.attempt - i.unsent, 0),
      intent_at = case when i.unsent = 1 then null else s.intent_at end
    from rows from (
      ${heldRows(sql, held)}, unnest(${held.map(({ lease_id }) => Number(unsent.has(lease_id)))}::int[])
    ) as i (task_id, id, lease_id, unsent)
    where ${isHeld(sql)}
    returning s.intent_at is not null and s.remote_id is null as is_unsaved`;
  return { released: rows.length, unsaved: rows.filter(({ is_unsaved }) => is_unsaved).length };
}
