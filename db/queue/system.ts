/** The state of the installation for administrators: schema, queues, workers. */
import type { Sql } from "../pg/connect.ts";
import type { SlotOverride } from "./slots.ts";
import type { Queue } from "./subtasks.ts";

/** Finds the last applied step of the schema. */
export async function findSchemaStep(sql: Sql): Promise<{ number: number; name: string } | undefined> {
  const [row] = await sql<{ number: number; name: string }[]>`
    select number, name from migration.schema_steps order by number desc limit 1`;
  return row;
}

export interface QueueState {
  queue: Queue;
  slots: number;
  wanted: number;
  reason: string;
  changed_at: Date;
  override: (Omit<SlotOverride, "queue" | "expires_at"> & { made_at: string; expires_at: string }) | null;
}

/** Lists all queues that have slots, with their unexpired slot overrides. */
export async function listQueueStates(sql: Sql): Promise<QueueState[]> {
  return await sql<QueueState[]>`
    select q.queue, q.slots, q.wanted, q.reason, q.changed_at,
      case when o.queue is not null then json_build_object(
        'slots', o.slots, 'reason', o.reason, 'made_by', o.made_by, 'made_at', o.made_at, 'expires_at', o.expires_at
      ) end as override
    from unnest('{high,standard,lumina}'::text[]) with ordinality as known (queue, ordinal)
    join queue_slots q using (queue)
    left join slot_overrides o on o.queue = q.queue and o.expires_at > now()
    order by known.ordinal`;
}

export interface WorkerState {
  id: string;
  host: string;
  pid: number;
  queues: Queue[];
  slots: Record<string, number>;
  running: number;
  started_at: Date;
  heartbeat_at: Date;
  alive: boolean;
}

/** Lists the registered workers in order of registration; `alive` by the database's clock. */
export async function listWorkers(sql: Sql, deadAfterMs: number): Promise<WorkerState[]> {
  return await sql<WorkerState[]>`
    select w.id, w.host, w.pid, w.queues, w.slots, w.started_at, w.heartbeat_at,
      (select count(*)::int from subtasks s where s.worker_id = w.id and s.status = 'processing') as running,
      w.heartbeat_at >= now() - ${deadAfterMs}::int * interval '1 ms' as alive
    from workers w
    order by w.started_at, w.id`;
}
