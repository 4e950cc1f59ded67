/** Workers, their heartbeats and slots, and the leader lease. */
import type { Pool, Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";
import { channels } from "./tasks.ts";
import { takeOverAfterMs } from "./times.ts";
import { transact } from "../pg/transaction.ts";
import { wait } from "../../wait.ts";

export interface WorkerRow {
  id: string;
  host: string;
  pid: number;
  queues: Queue[];
}

/** The use of a queue's slots, from the view of one worker. */
export interface SlotUsage {
  queue: Queue;
  /** Slots over all workers. */
  slots: number;
  /** Slots that other workers hold, or that cells of deleted workers still occupy. */
  others: number;
  /** Slots that this worker holds. */
  own: number;
  /** Rank of this worker, from 0, among the workers that serve the queue and are not silent. */
  rank: number;
  /** Number of workers that serve the queue and are not silent; this one counts in any case. */
  workers: number;
}

/** Registers a worker, and notifies the others that the slots are shared anew. */
export async function insertWorker(sql: Sql, { id, host, pid, queues }: WorkerRow): Promise<void> {
  await sql`
    with inserted as (
      insert into workers (id, host, pid, queues)
      values (${id}, ${host}, ${pid}, ${queues})
      returning 1
    )
    select pg_notify(${channels.slots}, '') from inserted`;
}

/**
 * Saves the heartbeat of a worker, and how the image API answered it.
 *
 * @param health JSON text with the counters of each backend
 * @returns false if the worker was removed as dead; others then own its subtasks
 */
export async function saveHeartbeat(sql: Sql, id: string, health = "{}"): Promise<boolean> {
  const rows = await sql`
    update workers
    set heartbeat_at = now(), health = ${health}::text::jsonb
    where id = ${id}
    returning 1`;
  return rows.length > 0;
}

/** Lists the slot usage of all queues, from the view of one worker. */
async function listSlotUsage(sql: Sql, id: string): Promise<SlotUsage[]> {
  return await sql<SlotUsage[]>`
    with present as (
      select id, queues
      from workers
      where id = ${id} or heartbeat_at >= now() - ${takeOverAfterMs}::int * interval '1 ms'
    ), held as (
      select key as queue, sum(value::int) filter (where id <> ${id}) as others,
        sum(value::int) filter (where id = ${id}) as own
      from workers, jsonb_each_text(slots)
      group by 1
    ), orphans as (
      select queue, count(*) as cells
      from subtasks s
      where s.status = 'processing' and s.worker_id is not null
        and not exists (select from workers w where w.id = s.worker_id)
      group by 1
    )
    select
      q.queue, q.slots, (coalesce(h.others, 0) + coalesce(o.cells, 0))::int as others, coalesce(h.own, 0)::int as own,
      (select count(*) from present p where q.queue = any(p.queues) and p.id < ${id})::int as rank,
      (select count(*) from present p where q.queue = any(p.queues))::int as workers
    from queue_slots q
    left join held h using (queue)
    left join orphans o using (queue)`;
}

const saveSlots = (sql: Sql, id: string, slots: Record<string, number>) =>
  sql`update workers set slots = ${JSON.stringify(slots)}::text::jsonb where id = ${id}`;

/**
 * Acquires and gives up slots for a worker. Giving up needs no lock. A worker that wants more locks the slot
 * rows and decides on the usage at that time, so that all workers together never hold more slots than exist.
 *
 * @param decide returns the slots to hold, by queue; called a second time under the lock
 * @returns the slots that the worker holds now
 * @throws Error after half a second if another session keeps the rows locked; nothing has changed then
 */
export async function acquireSlots(
  pool: Pool,
  id: string,
  decide: (usage: SlotUsage[]) => Record<string, number>,
): Promise<Record<string, number>> {
  const usage = await listSlotUsage(pool, id);
  const slots = decide(usage);
  const changes = usage.map(({ queue, own }) => (slots[queue] ?? 0) - own);
  if (changes.every((change) => change === 0)) return slots;
  if (changes.every((change) => change <= 0)) {
    await saveSlots(pool, id, slots);
    return slots;
  }
  return await transact(pool, async (sql) => {
    await sql`select from queue_slots order by queue for no key update`;
    const acquired = decide(await listSlotUsage(sql, id));
    await saveSlots(sql, id, acquired);
    return acquired;
  }, { lock_timeout: "500" });
}

/** Deletes a worker, and notifies the others that the slots are shared anew. */
export async function deleteWorker(sql: Sql, id: string): Promise<void> {
  await sql`
    with deleted as (delete from workers where id = ${id} returning 1)
    select pg_notify(${channels.slots}, '') from deleted`;
}

/**
 * Deletes workers whose last heartbeat is older than `deadAfterMs`, by the database's clock.
 *
 * @returns their ids
 */
export async function deleteDeadWorkers(sql: Sql, deadAfterMs: number): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    delete from workers
    where heartbeat_at < now() - ${deadAfterMs}::int * interval '1 ms'
    returning id`;
  return rows.map(({ id }) => id);
}

/**
 * Leaves each silent worker only the slots that its running cells occupy, and notifies the others that the
 * slots are shared anew. A worker that sends heartbeats again acquires its slots before it starts anything.
 */
export async function withdrawSlots(sql: Sql): Promise<void> {
  const silent = sql`heartbeat_at < now() - ${takeOverAfterMs}::int * interval '1 ms'`;
  await sql`
    with occupied as (
      select w.id, coalesce(jsonb_object_agg(s.queue, s.cells) filter (where s.queue is not null), '{}') as slots
      from workers w
      left join lateral (
        select queue, count(*) as cells
        from subtasks
        where worker_id = w.id and status = 'processing'
        group by 1
      ) s on true
      where ${silent}
      group by 1
    ), withdrawn as (
      update workers w
      set slots = o.slots
      from occupied o
      where w.id = o.id and w.slots <> o.slots and ${silent}
      returning 1
    )
    select pg_notify(${channels.slots}, '') from withdrawn`;
}

/** Counters of a backend that a worker sent with its last heartbeat. */
export interface HealthRow {
  worker: string;
  backend: string;
  creates: number;
  createMs: number;
  calls: number;
  failures: number;
  throttled: number;
}

/** Lists the counters of all workers and backends. */
export async function listHealth(sql: Sql): Promise<HealthRow[]> {
  return await sql<HealthRow[]>`
    select w.id as worker, h.key as backend, c.creates, c."createMs", c.calls, c.failures, c.throttled
    from workers w, jsonb_each(w.health) h,
      jsonb_to_record(h.value) as c (creates int, "createMs" int, calls int, failures int, throttled int)`;
}

/** What the leader must know of all workers. */
export interface Fleet {
  /** Slots that the workers hold together, by queue. */
  slots: Map<Queue, number>;
  /** Ages of the last heartbeats in milliseconds, by the database's clock. */
  heartbeatAges: number[];
}

/** Reads the slots and the heartbeats of all workers. */
export async function readFleet(sql: Sql): Promise<Fleet> {
  const rows = await sql<{ slots: string; age: number }[]>`
    select slots::text, (extract(epoch from now() - heartbeat_at) * 1000)::float8 as age from workers`;
  const slots = new Map<Queue, number>();
  for (const row of rows) {
    for (const [queue, count] of Object.entries(JSON.parse(row.slots) as Record<Queue, number>)) {
      slots.set(queue as Queue, (slots.get(queue as Queue) ?? 0) + count);
    }
  }
  return { slots, heartbeatAges: rows.map(({ age }) => age) };
}

/**
 * Acquires or renews the leader lease, which expires `leaseMs` after its last renewal.
 *
 * @returns the number of the term; undefined while another worker holds the lease
 */
export async function acquireLeaderLease(
  sql: Sql,
  role: string,
  holder: string,
  leaseMs: number,
): Promise<number | undefined> {
  const [row] = await sql<{ term: number }[]>`
    insert into leaders as l (role, holder, lease_until)
    values (${role}, ${holder}, now() + ${leaseMs}::int * interval '1 ms')
    on conflict (role) do update
    set holder = excluded.holder, lease_until = excluded.lease_until,
      term = l.term + (l.holder <> excluded.holder)::int,
      since = case when l.holder = excluded.holder then l.since else now() end
    where l.holder = excluded.holder or l.lease_until < now()
    returning term::int`;
  return row?.term;
}

/** Releases the leader lease, so that another worker can acquire it at once. */
export async function releaseLeaderLease(sql: Sql, role: string, holder: string): Promise<void> {
  await sql`update leaders set lease_until = now() - interval '1 ms' where role = ${role} and holder = ${holder}`;
}

/** Returns who holds a lease now, if anyone does. */
export async function findLeaseHolder(sql: Sql, role: string): Promise<string | undefined> {
  const [row] = await sql<{ holder: string }[]>`
    select holder from leaders where role = ${role} and lease_until > now()`;
  return row?.holder;
}

/**
 * Maximum wait for the end of a lease, and interval between two reads of it, in milliseconds. The leases of sync and back
 * expire within this time.
 */
const leaseEnd = { waitMs: 10_000, pollMs: 250 };

/**
 * Waits until nobody holds a lease, for at most ten seconds. A process that is ending gives its lease back soon, and the
 * lease of a killed one expires.
 *
 * @returns the process that still holds the lease, if one does
 */
export async function waitForLeaseEnd(sql: Sql, role: string): Promise<string | undefined> {
  const deadline = performance.now() + leaseEnd.waitMs;
  while (true) {
    const holder = await findLeaseHolder(sql, role);
    if (holder === undefined || performance.now() >= deadline) return holder;
    await wait(leaseEnd.pollMs);
  }
}
