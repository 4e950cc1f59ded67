/** Webhooks of tasks and their deliveries. */
import type { Sql } from "../pg/connect.ts";
import { type Actor, mayChange } from "../people/task_access.ts";

export interface WebhookRow {
  id: string;
  url: string;
  events: string[];
  created_by: string | null;
  created_at: Date;
}

const webhookColumns = (sql: Sql) => sql`w.id, w.url, w.events, u.email as created_by, w.created_at`;

/** Inserts a webhook. The task must be locked. @returns undefined if it has `webhooksMax` webhooks already */
export async function insertWebhook(
  sql: Sql,
  { taskId, url, secret, events, createdBy }: {
    taskId: string;
    url: string;
    secret: string;
    events: string[];
    createdBy: string;
  },
  webhooksMax: number,
): Promise<WebhookRow | undefined> {
  const [row] = await sql<WebhookRow[]>`
    with w as (
      insert into webhooks (task_id, url, secret, events, created_by)
      select ${taskId}, ${url}, ${secret}, ${events}, ${createdBy}
      where (select count(*) from webhooks where task_id = ${taskId}) < ${webhooksMax}::int
      returning *
    )
    select ${webhookColumns(sql)} from w left join users u on u.id = w.created_by`;
  return row;
}

/** Finds the secret of a webhook. */
export async function findWebhookSecret(sql: Sql, id: string): Promise<string | undefined> {
  const [row] = await sql<{ secret: string }[]>`select secret from webhooks where id = ${id}`;
  return row?.secret;
}

/** Lists the webhooks of a task, oldest first. */
export async function listWebhooks(sql: Sql, taskId: string): Promise<WebhookRow[]> {
  return await sql<WebhookRow[]>`
    select ${webhookColumns(sql)}
    from webhooks w
    left join users u on u.id = w.created_by
    where w.task_id = ${taskId}
    order by w.created_at, w.id`;
}

/** A webhook with its task and the outcome of its deliveries. */
export interface WebhookReport extends WebhookRow {
  task_id: string;
  task_name: string;
  waiting: number;
  arrived: number;
  given_up: number;
  /** Of the last try of the newest delivery that has one. */
  error: string | null;
}

/** Lists the webhooks of all tasks, newest first. */
export async function listAllWebhooks(
  sql: Sql,
  { before, limit }: { before: [at: string, id: string] | undefined; limit: number },
): Promise<WebhookReport[]> {
  const isAfterCursor = before === undefined
    ? sql`true`
    : sql`(w.created_at, w.id) < (${before[0]}::timestamptz, ${before[1]}::uuid)`;
  return await sql<WebhookReport[]>`
    select ${webhookColumns(sql)}, w.task_id, t.task_name, d.waiting, d.arrived, d.given_up, d.error
    from webhooks w
    join tasks t on t.id = w.task_id
    left join users u on u.id = w.created_by
    cross join lateral (
      select count(*) filter (where closed_at is null)::int as waiting,
        count(*) filter (where closed_at is not null and status between 200 and 299)::int as arrived,
        count(*) filter (where closed_at is not null and (status between 200 and 299) is not true)::int as given_up,
        (array_agg(error order by id desc) filter (where tries > 0))[1] as error
      from deliveries
      where webhook_id = w.id
    ) as d
    where not t.is_deleted and ${isAfterCursor}
    order by w.created_at desc, w.id desc
    limit ${limit}::int`;
}

const isChangeable = (sql: Sql, actor: Actor) =>
  sql`not t.is_deleted and ${mayChange(sql, actor, sql`t.username`)}`;

/** Deletes a webhook. @returns false if the task has no such webhook, or the actor may not change the task */
export async function deleteWebhook(
  sql: Sql,
  { taskId, webhookId, actor }: { taskId: string; webhookId: string; actor: Actor },
): Promise<boolean> {
  const rows = await sql`
    delete from webhooks w using tasks t
    where w.id = ${webhookId} and w.task_id = ${taskId} and t.id = w.task_id and ${isChangeable(sql, actor)}
    returning 1`;
  return rows.length > 0;
}

export interface DeliveryRow {
  id: string;
  event: string;
  created_at: Date;
  due_at: Date;
  tries: number;
  closed_at: Date | null;
  status: number | null;
  error: string | null;
}

const deliveryColumns = (sql: Sql) =>
  sql`d.id::text, d.event, d.created_at, d.due_at, d.tries, d.closed_at, d.status, d.error`;

/**
 * Inserts a test delivery.
 *
 * @returns undefined if the actor may not change such a webhook, or `waitingMax` tests wait already
 */
export async function insertTestDelivery(
  sql: Sql,
  { taskId, webhookId, actor, waitingMax }: {
    taskId: string;
    webhookId: string;
    actor: Actor;
    waitingMax: number;
  },
): Promise<DeliveryRow | undefined> {
  const [row] = await sql<DeliveryRow[]>`
    insert into deliveries as d (webhook_id, event)
    select w.id, 'test'
    from webhooks w
    join tasks t on t.id = w.task_id
    where w.id = ${webhookId} and w.task_id = ${taskId} and ${isChangeable(sql, actor)} and (
      select count(*) from deliveries where webhook_id = w.id and event = 'test' and closed_at is null
    ) < ${waitingMax}::int
    returning ${deliveryColumns(sql)}`;
  return row;
}

/** Reports whether a task has a webhook. */
export async function hasWebhook(sql: Sql, taskId: string, webhookId: string): Promise<boolean> {
  const rows = await sql`select 1 from webhooks where id = ${webhookId} and task_id = ${taskId}`;
  return rows.length > 0;
}

/** Lists the deliveries of a webhook, newest first. */
export async function listDeliveries(
  sql: Sql,
  { webhookId, before, limit }: { webhookId: string; before: string | undefined; limit: number },
): Promise<DeliveryRow[]> {
  const isAfterCursor = before === undefined ? sql`true` : sql`d.id < ${before}::bigint`;
  return await sql<DeliveryRow[]>`
    select ${deliveryColumns(sql)}
    from deliveries d
    where d.webhook_id = ${webhookId} and ${isAfterCursor}
    order by d.id desc
    limit ${limit}`;
}

/** A due delivery, with the task fields that it reports. */
export interface DueDelivery {
  id: string;
  event: string;
  tries: number;
  created_at: Date;
  webhook_id: string;
  url: string;
  secret: string;
  task_id: string;
  task_name: string;
  status: string;
  hold_reason: string | null;
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
  task_created_at: Date;
  completed_at: Date | null;
}

/**
 * Claims due deliveries for `leaseMs`. Only the oldest open delivery of each webhook is claimed; later ones
 * wait for it. If the sender dies, the deliveries become due again.
 *
 * @param options.fullHosts hosts (with ports) that have their maximum of running deliveries
 * @param options.hostMax maximum deliveries to one host
 */
export async function claimDueDeliveries(
  sql: Sql,
  { limit, leaseMs, fullHosts, hostMax }: {
    limit: number;
    leaseMs: number;
    fullHosts: string[];
    hostMax: number;
  },
): Promise<DueDelivery[]> {
  return await sql<DueDelivery[]>`
    with open as (
      select d.id, row_number() over (partition by split_part(w.url, '/', 3) order by d.due_at, d.id) as host_rank
      from deliveries d
      join webhooks w on w.id = d.webhook_id
      where d.closed_at is null and d.due_at <= now() and split_part(w.url, '/', 3) <> all(${fullHosts}::text[])
        and not exists (
          select from deliveries e where e.webhook_id = d.webhook_id and e.id < d.id and e.closed_at is null
        )
    ), due as (
      select d.id
      from deliveries d
      join open on open.id = d.id
      where open.host_rank <= ${hostMax}::int
      order by d.due_at, d.id
      limit ${limit}
      for update of d skip locked
    ), claimed as (
      update deliveries d
      set due_at = now() + ${leaseMs}::int * interval '1 ms', tries = d.tries + 1
      from due
      -- Checked again on the locked version of the row.
      where d.id = due.id and d.closed_at is null and d.due_at <= now()
      returning d.*
    )
    select d.id::text, d.event, d.tries, d.created_at, d.webhook_id, w.url, w.secret, w.task_id, t.task_name, t.status,
      t.hold_reason, t.subtasks_total as total, t.subtasks_completed as completed, t.subtasks_failed as failed,
      t.subtasks_cancelled as cancelled, t.created_at as task_created_at, t.completed_at
    from claimed d
    join webhooks w on w.id = d.webhook_id
    join tasks t on t.id = w.task_id
    order by d.id`;
}

/** Saves the result of a try: closed, or due again after `againMs`. A later try is left unchanged. */
export async function saveDelivery(
  sql: Sql,
  { id, tries, closed, againMs, status, error }: {
    id: string;
    tries: number;
    closed: boolean;
    againMs: number;
    status: number | null;
    error: string | null;
  },
): Promise<void> {
  await sql`
    update deliveries
    set status = ${status}, error = ${error}, closed_at = case when ${closed} then now() end,
      due_at = now() + ${againMs}::int * interval '1 ms'
    where id = ${id}::bigint and tries = ${tries} and closed_at is null`;
}
