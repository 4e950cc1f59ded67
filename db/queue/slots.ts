/** How many attempts of each queue may run at once: decided, set by hand, and why. */
import type { Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";
import { channels } from "./tasks.ts";

/** `wanted`: what the backlog alone would have; `slots`: what holds. */
export interface QueueSlots {
  queue: Queue;
  slots: number;
  wanted: number;
}

export async function listQueueSlots(sql: Sql): Promise<QueueSlots[]> {
  return await sql<QueueSlots[]>`select queue, slots, wanted from queue_slots order by queue`;
}

/** The same, with why it is so, and since when. */
export type QueueReason = QueueSlots & { reason: string; changed_at: Date };

export async function listQueueReasons(sql: Sql): Promise<QueueReason[]> {
  return await sql<QueueReason[]>`
    select queue, slots, wanted, reason, changed_at from queue_slots order by queue`;
}

/** Gives queues that have none their first slots. */
export async function insertQueueSlots(sql: Sql, first: { queue: Queue; slots: number }[]): Promise<void> {
  await sql`
    insert into queue_slots (queue, slots, wanted, reason)
    select queue, slots, slots, 'at first'
    from unnest(${first.map(({ queue }) => queue)}::text[], ${first.map(({ slots }) => slots)}::int[])
      as f (queue, slots)
    on conflict (queue) do nothing`;
}

export type SlotsDecision = QueueSlots & { reason: string };

/** Sets slots over all workers, all in one statement; a change of `slots` is kept with its reason and told of. */
export async function saveQueueSlots(sql: Sql, decisions: SlotsDecision[]): Promise<void> {
  const column = <K extends keyof SlotsDecision>(key: K) => decisions.map((decision) => decision[key]);
  await sql`
    with decided as (
      select q.queue, q.slots as slots_before, d.slots, d.wanted, d.reason
      from unnest(${column("queue")}::text[], ${column("slots")}::int[], ${column("wanted")}::int[],
        ${column("reason")}::text[]) as d (queue, slots, wanted, reason)
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
    ), noted as (
      insert into slot_changes (queue, slots_before, slots_after, reason)
      select queue, slots_before, slots, reason from saved where slots <> slots_before
      returning 1
    )
    select pg_notify(${channels.slots}, '') from noted limit 1`;
}

export interface SlotChange {
  queue: Queue;
  slots_before: number;
  slots_after: number;
  reason: string;
  changed_at: Date;
}

/** The latest changes of a queue's slots, newest first. */
export async function listSlotChanges(sql: Sql, queue: Queue, limit: number): Promise<SlotChange[]> {
  return await sql<SlotChange[]>`
    select queue, slots_before, slots_after, reason, changed_at
    from slot_changes
    where queue = ${queue}
    order by id desc
    limit ${limit}::int`;
}

/** Slots set by hand. */
export interface SlotOverride {
  queue: Queue;
  slots: number;
  reason: string;
  made_by: string;
  expires_at: Date;
}

/** Sets a queue's slots by hand for `forMs`; the leader obeys within a second, whatever backlog and health say. */
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

/** Takes back what was set by hand. @returns false where there was nothing */
export async function deleteSlotOverride(sql: Sql, queue: Queue): Promise<boolean> {
  return (await sql`delete from slot_overrides where queue = ${queue} returning 1`).length > 0;
}

/** What is set by hand and has not expired, by the database's clock. */
export async function listSlotOverrides(sql: Sql): Promise<SlotOverride[]> {
  return await sql<SlotOverride[]>`
    select queue, slots, reason, made_by, expires_at from slot_overrides where expires_at > now() order by queue`;
}
