/** Who works, who leads, and how many slots each queue has. */
import type { Pool, Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";
import { channels } from "./tasks.ts";
import { transact } from "../pg/transaction.ts";

export interface WorkerRow {
  id: string;
  host: string;
  pid: number;
  queues: Queue[];
}

/** What the rows say of a queue's slots, to one worker. */
export interface Room {
  queue: Queue;
  /** Slots of the queue over all workers. */
  slots: number;
  /** Of these: held by other workers, or by rows whose worker is gone. */
  others: number;
  /** This worker's own. */
  own: number;
  /** This worker's place among those that serve the queue, from 0, and how many these are. */
  place: number;
  workers: number;
}

/** Signs a worker in: the others hear that there is one more to share with. */
export async function insertWorker(sql: Sql, { id, host, pid, queues }: WorkerRow): Promise<void> {
  await sql`
    with one as (
      insert into workers (id, host, pid, queues) values (${id}, ${host}, ${pid}, ${queues}) returning 1
    )
    select pg_notify(${channels.slots}, '') from one`;
}

/**
 * Says that a worker lives, and how the image API answered it.
 *
 * @param health JSON text, by backend
 * @returns false where it was declared dead: what it held is others' now
 */
export async function beat(sql: Sql, id: string, health = "{}"): Promise<boolean> {
  const rows = await sql`
    update workers set heartbeat_at = now(), health = ${health}::text::jsonb where id = ${id} returning 1`;
  return rows.length > 0;
}

/** The room of every queue as a worker sees it. */
async function listRooms(sql: Sql, id: string): Promise<Room[]> {
  return await sql<Room[]>`
    with held as (
      select key as queue, sum(value::int) filter (where id <> ${id}) as others, sum(value::int) filter (where id = ${id}) as own
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
      (select count(*) from workers w where q.queue = any(w.queues) and w.id < ${id})::int as place,
      (select count(*) from workers w where q.queue = any(w.queues))::int as workers
    from queue_slots q
    left join held h using (queue)
    left join orphans o using (queue)`;
}

const saveSlots = (sql: Sql, id: string, slots: Record<string, number>) =>
  sql`update workers set slots = ${JSON.stringify(slots)}::text::jsonb where id = ${id}`;

/**
 * Takes slots for a worker. Giving some up needs nothing; who takes more does so alone, over what all others had by
 * then, so that together they never have more than there are.
 *
 * @param decide what to hold from now on, by queue; called again where the first look was without the lock
 * @returns what is held now
 * @throws after half a second where somebody keeps the slots' rows locked: nothing has changed then
 */
export async function takeSlots(
  pool: Pool,
  id: string,
  decide: (rooms: Room[]) => Record<string, number>,
): Promise<Record<string, number>> {
  const rooms = await listRooms(pool, id);
  const held = decide(rooms);
  const changes = rooms.map(({ queue, own }) => (held[queue] ?? 0) - own);
  if (changes.every((more) => more === 0)) return held;
  if (changes.every((more) => more <= 0)) {
    await saveSlots(pool, id, held);
    return held;
  }
  return await transact(pool, async (sql) => {
    await sql`select from queue_slots order by queue for no key update`;
    const taken = decide(await listRooms(sql, id));
    await saveSlots(sql, id, taken);
    return taken;
  }, { lock_timeout: "500" });
}

/** Signs a worker out. */
export async function deleteWorker(sql: Sql, id: string): Promise<void> {
  await sql`
    with one as (delete from workers where id = ${id} returning 1)
    select pg_notify(${channels.slots}, '') from one`;
}

/** Removes workers whose last sign of life is older than `deadAfterMs`, by the database's clock. */
export async function deleteDeadWorkers(sql: Sql, deadAfterMs: number): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    delete from workers where heartbeat_at < now() - ${deadAfterMs}::int * interval '1 ms' returning id`;
  return rows.map(({ id }) => id);
}

/** What a worker said of a backend with its last sign of life. */
export interface HealthRow {
  worker: string;
  backend: string;
  creates: number;
  createMs: number;
  calls: number;
  failures: number;
  throttled: number;
}

export async function listHealth(sql: Sql): Promise<HealthRow[]> {
  return await sql<HealthRow[]>`
    select w.id as worker, h.key as backend, c.creates, c."createMs", c.calls, c.failures, c.throttled
    from workers w, jsonb_each(w.health) h,
      jsonb_to_record(h.value) as c (creates int, "createMs" int, calls int, failures int, throttled int)`;
}

/** Slots that the living workers have, by queue. */
export async function sumSlots(sql: Sql): Promise<Map<Queue, number>> {
  const rows = await sql<{ queue: Queue; slots: number }[]>`
    select key as queue, sum(value::int)::int as slots from workers, jsonb_each_text(slots) group by 1`;
  return new Map(rows.map(({ queue, slots }) => [queue, slots]));
}

/**
 * Takes or keeps the lead; a term ends `leaseMs` after its last renewal.
 *
 * @returns the term, or undefined while somebody else leads
 */
export async function takeLead(
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

/** Lays the lead down, so that another may take it at once. */
export async function leaveLead(sql: Sql, role: string, holder: string): Promise<void> {
  await sql`update leaders set lease_until = now() where role = ${role} and holder = ${holder}`;
}
