/** Recent speed of the queues, and requests that have an image already. */
import type { Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";

/** The recent speed of one queue, from a sample of the cells of the newest tasks. */
export interface Pace {
  queue: Queue;
  /** Number of completed cells in the sample. */
  observed: number;
  /** Mean duration in seconds of the attempts that made an image. */
  mean: number | null;
  p50: number | null;
  p90: number | null;
  /** Mean number of attempts per image. */
  attempts: number | null;
  /** Present slots; null if the queue has no row. */
  slots: number | null;
  /** Maximum slots within the last 20 changes. An idle queue has few slots at present. */
  slots_reached: number | null;
}

const tasksSampled = 20;
const cellsSampled = 200;

/** Reads the speed of queues from a bounded number of rows. */
export async function readPaces(sql: Sql, queues: Queue[]): Promise<Pace[]> {
  return await sql<Pace[]>`
    with newest as materialized (
      select id
      from tasks
      where not is_deleted and subtasks_completed > 0
      order by created_at desc, id desc
      limit ${tasksSampled}::int
    ), sample as materialized (
      select s.queue, extract(epoch from s.completed_at - s.intent_at)::float8 as seconds, s.retry_count
      from newest n
      cross join lateral (
        select queue, status, completed_at, intent_at, retry_count
        from subtasks
        where parent_task_id = n.id
        limit ${cellsSampled}::int
      ) s
      where s.status = 'completed' and s.intent_at < s.completed_at
    )
    select q.queue, count(s.seconds)::int as observed, avg(s.seconds) as mean,
      percentile_cont(0.5) within group (order by s.seconds) as p50,
      percentile_cont(0.9) within group (order by s.seconds) as p90,
      (1 + avg(s.retry_count))::float8 as attempts,
      (select slots from queue_slots where queue = q.queue) as slots,
      (
        select max(slots_after) from (
          select slots_after from slot_changes where queue = q.queue order by id desc limit 20
        ) as c
      ) as slots_reached
    from unnest(${queues}::text[]) as q (queue)
    left join sample s on s.queue = q.queue
    group by q.queue`;
}

/**
 * Finds the fingerprints for which a task that is not deleted has an image.
 *
 * @param fingerprints each of 32 hexadecimal digits
 */
export async function findDrawnFingerprints(sql: Sql, fingerprints: string[]): Promise<Set<string>> {
  if (fingerprints.length === 0) return new Set();
  const rows = await sql<{ fingerprint: string }[]>`
    select distinct replace(s.fingerprint::text, '-', '') as fingerprint
    from subtasks s
    join tasks t on t.id = s.parent_task_id
    where s.fingerprint = any(${fingerprints}::uuid[]) and s.status = 'completed' and s.image_url is not null
      and not t.is_deleted`;
  return new Set(rows.map(({ fingerprint }) => fingerprint));
}
