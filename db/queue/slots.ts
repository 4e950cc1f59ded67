/** Slots of the queues: the decisions of the scaler, their history, and slot overrides. */
import type { Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";
import { channels } from "./tasks.ts";

/** `wanted`: the slots that the backlog alone would get; `slots`: the slots in force. */
export interface QueueSlots {
  queue: Queue;
  slots: number;
  wanted: number;
}

/** Lists the slots of all queues. */
export async function listQueueSlots(sql: Sql): Promise<QueueSlots[]> {
  return await sql<QueueSlots[]>`select queue, slots, wanted from queue_slots order by queue`;
}

/** The slots of a queue with the reason and time of their last change. */
export type QueueSlotReason = QueueSlots & { reason: string; changed_at: Date };

/** Lists the slots of all queues with the reason and time of their last change. */
export async function listQueueSlotReasons(sql: Sql): Promise<QueueSlotReason[]> {
  return await sql<QueueSlotReason[]>`
    select queue, slots, wanted, reason, changed_at from queue_slots order by queue`;
}

/** Inserts the first slots of queues that have none. */
export async function insertQueueSlots(sql: Sql, first: { queue: Queue; slots: number }[]): Promise<void> {
  const queues = first.map(({ queue }) => queue);
  const slots = first.map((one) => one.slots);
  await sql`
    insert into queue_slots (queue, slots, wanted, reason)
    select queue, slots, slots, 'at first'
    from unnest(${queues}::text[], ${slots}::int[]) as f (queue, slots)
    on conflict (queue) do nothing`;
}

export type SlotsDecision = QueueSlots & { reason: string };

/**
 * Saves slots over all workers in one statement. Each change of `slots` is recorded with its reason and
 * notified.
 */
export async function saveQueueSlots(sql: Sql, decisions: SlotsDecision[]): Promise<void> {
  const column = <K extends keyof SlotsDecision>(key: K) => decisions.map((decision) => decision[key]);
  const rows = sql`unnest(
        ${column("queue")}::text[],
        ${column("slots")}::int[],
        ${column("wanted")}::int[],
        ${column("reason")}::text[]
      ) as d (queue, slots, wanted, reason)`;
  await sql`
    with decided as (
      select q.queue, q.slots as slots_before, d.slots, d.wanted, d.reason
      from ${rows}
      join queue_slots q using (queue)
      order by queue
    ), saved as (
      update queue_slots q
      set slots = d.slots, wanted = d.wanted,
        reason = case when d.slots = q.slots then q.reason else d.reason end,
        changed_at = case when d.slots = q.slots then q.changed_at else now() end
      from decided d
      where q.queue = d.queue
      returning q.queue, d.slots_before, d.slots, d.reason
    ), recorded as (
      insert into slot_changes (queue, slots_before, slots_after, reason)
      select queue, slots_before, slots, reason from saved where slots <> slots_before
      returning 1
    )
    select pg_notify(${channels.slots}, '') from recorded limit 1`;
}

export interface SlotChange {
  queue: Queue;
  slots_before: number;
  slots_after: number;
  reason: string;
  changed_at: Date;
}

/** Lists the latest changes of the slots of each queue, newest first. @param limit maximum for each queue */
export async function listSlotChanges(
  sql: Sql,
  queues: readonly Queue[],
  limit: number,
): Promise<SlotChange[]> {
  return await sql<SlotChange[]>`
    select c.queue, c.slots_before, c.slots_after, c.reason, c.changed_at
    from unnest(${[...queues]}::text[]) as q (queue)
    cross join lateral (
      select * from slot_changes where queue = q.queue order by id desc limit ${limit}::int
    ) as c
    order by c.id desc`;
}

/** A slot override: slots that an operator set by hand. */
export interface SlotOverride {
  queue: Queue;
  slots: number;
  reason: string;
  made_by: string;
  expires_at: Date;
}

/**
 * Saves a slot override for `forMs`. The leader applies it within a second, regardless of backlog and health.
 */
export async function saveSlotOverride(
  sql: Sql,
  { queue, slots, reason, made_by, forMs }: Omit<SlotOverride, "expires_at"> & { forMs: number },
): Promise<SlotOverride> {
  const [row] = await sql<SlotOverride[]>`
    insert into slot_overrides (queue, slots, reason, made_by, expires_at)
    values (${queue}, ${slots}, ${reason}, ${made_by}, now() + ${forMs}::float8 * interval '1 ms')
    on conflict (queue) do update
    set slots = excluded.slots, reason = excluded.reason, made_by = excluded.made_by, made_at = now(),
      expires_at = excluded.expires_at
    returning queue, slots, reason, made_by, expires_at`;
  return row!;
}

/** Deletes a slot override. @returns whether there was one */
export async function deleteSlotOverride(sql: Sql, queue: Queue): Promise<boolean> {
  return (await sql`delete from slot_overrides where queue = ${queue} returning 1`).length > 0;
}

/** Lists the slot overrides that have not expired by the database's clock. */
export async function listSlotOverrides(sql: Sql): Promise<SlotOverride[]> {
  return await sql<SlotOverride[]>`
    select queue, slots, reason, made_by, expires_at
    from slot_overrides
    where expires_at > now()
    order by queue`;
}
