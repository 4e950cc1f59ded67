/** The outbox: notices to send, one per task and kind. */
import type { Sql } from "../pg/connect.ts";

/** A due notice, with the task fields that it reports. */
export interface DueNotice {
  id: string;
  kind: "submitted" | "completed" | "partial" | "failed" | "held";
  tries: number;
  /** Hashes of the URLs that have received it. */
  delivered: string[];
  task_id: string;
  task_name: string;
  username: string;
  at: Date;
  images_expected: number;
  took_ms: number;
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
  /** Reason of the task's hold; empty if it is not held any more. */
  hold_reason: string;
}

/** Claims due notices for `leaseMs`. If the sender dies, they become due again. */
export async function claimDueNotices(sql: Sql, limit: number, leaseMs: number): Promise<DueNotice[]> {
  return await sql<DueNotice[]>`
    with due as (
      select id from outbox
      where closed_at is null and due_at <= now()
      order by due_at, id
      limit ${limit}
      for update skip locked
    ), claimed as (
      update outbox o
      set due_at = now() + ${leaseMs}::int * interval '1 ms', tries = o.tries + 1
      from due
      where o.id = due.id
      returning o.*
    )
    select
      o.id::text, o.kind, o.tries, o.delivered, o.task_id, t.task_name, t.username, o.created_at as at,
      coalesce(o.images_expected, t.total_images) as images_expected,
      coalesce(extract(epoch from t.completed_at - t.created_at) * 1000, 0)::float8 as took_ms,
      t.subtasks_total as total, t.subtasks_completed as completed, t.subtasks_failed as failed,
      t.subtasks_cancelled as cancelled, coalesce(t.hold_reason, '') as hold_reason
    from claimed o join tasks t on t.id = o.task_id
    order by o.id`;
}

/**
 * Saves the result of a try: the URLs that have received it, and whether it is closed or due again after
 * `againMs`.
 */
export async function saveNotice(
  sql: Sql,
  { id, delivered, closed, againMs, error }: {
    id: string;
    delivered: string[];
    closed: boolean;
    againMs: number;
    error: string | null;
  },
): Promise<void> {
  await sql`
    update outbox
    set delivered = ${delivered}, error = ${error}, closed_at = case when ${closed} then now() end,
      due_at = now() + ${againMs}::int * interval '1 ms'
    where id = ${id}::bigint`;
}

/** Closes all open notices, for an installation without notice URLs. */
export async function closeDueNotices(sql: Sql): Promise<void> {
  await sql`update outbox set closed_at = now() where closed_at is null`;
}
