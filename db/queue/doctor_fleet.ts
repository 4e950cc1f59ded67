/** The state of the workers as a whole, from their rows: heartbeats, leader, queue loads, held tasks. */
import type { Sql } from "../pg/connect.ts";
import type { Queue } from "./subtasks.ts";

/** A worker without a recent heartbeat. */
export interface SilentWorker {
  id: string;
  host: string;
  pid: number;
  silent_s: number;
}

/**
 * Finds workers without a heartbeat for `deadAfterMs`. Just after a start of PostgreSQL, no worker counts as
 * silent.
 */
export async function findSilentWorkers(sql: Sql, deadAfterMs: number): Promise<SilentWorker[]> {
  return await sql<SilentWorker[]>`
    select id, host, pid, extract(epoch from now() - heartbeat_at)::int as silent_s
    from workers
    where heartbeat_at < now() - ${deadAfterMs}::int * interval '1 ms'
      and pg_postmaster_start_time() < now() - 2 * ${deadAfterMs}::int * interval '1 ms'`;
}

/** Deletes one silent worker. */
export async function deleteSilentWorker(sql: Sql, id: string, deadAfterMs: number): Promise<void> {
  await sql`
    delete from workers
    where id = ${id} and heartbeat_at < now() - ${deadAfterMs}::int * interval '1 ms'`;
}

/** The state of the leader lease. */
export interface Leadership {
  holder: string | null;
  /** The lease has not expired. */
  leads: boolean;
  workers: number;
}

/** Reads the state of the leader lease. */
export async function readLeadership(sql: Sql): Promise<Leadership> {
  const [row] = await sql<Leadership[]>`
    select (select holder from leaders where role = 'queue') as holder,
      exists (select from leaders where role = 'queue' and lease_until >= now()) as leads,
      (select count(*)::int from workers) as workers`;
  return row!;
}

/** The slots and the load of a queue. */
export interface QueueLoad {
  queue: Queue;
  /** Slots over all workers; null if the queue has no row. */
  slots: number | null;
  /** Slots that the live workers hold. */
  room: number;
  running: number;
  /** Number of live workers that serve it. */
  workers: number;
  /** Number of pending cells that could start, counted up to 1,000. */
  backlog: number;
}

/** What is wrong with a queue's slots. A person must act. */
export type LoadFault = "unserved" | "no slots" | "unset" | "over";

/** Returns what is wrong with the slots of a queue. */
export function listLoadFaults({ slots, room, running, workers, backlog }: QueueLoad): LoadFault[] {
  const faults: [LoadFault, boolean][] = [
    ["unserved", backlog > 0 && workers === 0],
    ["no slots", backlog > 0 && workers > 0 && room === 0],
    ["unset", slots === null && workers > 0],
    ["over", slots !== null && running > Math.max(slots, room)],
  ];
  return faults.filter(([, isWrong]) => isWrong).map(([fault]) => fault);
}

/** Lists the slots and the load of queues. */
export async function listQueueLoads(
  sql: Sql,
  queues: readonly Queue[],
  deadAfterMs: number,
): Promise<QueueLoad[]> {
  return await sql<QueueLoad[]>`
    select q.queue, l.slots, coalesce(w.room, 0)::int as room, coalesce(w.workers, 0)::int as workers,
      (
        select count(*)::int
        from subtasks s
        where s.status = 'processing' and s.lease_id is not null and s.queue = q.queue
      ) as running,
      (
        select count(*)::int
        from (
          select 1
          from tasks t
          join subtasks s on s.parent_task_id = t.id and s.queue = q.queue and s.status = 'pending'
          where t.status in ('pending', 'processing') and t.hold is null and not t.is_deleted
          limit 1000
        ) as found
      ) as backlog
    from unnest(${[...queues]}::text[]) as q (queue)
    left join queue_slots l on l.queue = q.queue
    left join lateral (
      select count(*) as workers, sum(coalesce((slots ->> q.queue)::int, 0)) as room
      from workers
      where q.queue = any(queues) and heartbeat_at >= now() - ${deadAfterMs}::int * interval '1 ms'
    ) w on true
    order by q.queue`;
}

/** Lists the ids of all registered workers. */
export async function listWorkerIds(sql: Sql): Promise<Set<string>> {
  const rows = await sql<{ id: string }[]>`select id from workers`;
  return new Set(rows.map(({ id }) => id));
}

/** Counts open held tasks by the kind of their hold. */
export async function countHeldTasks(sql: Sql): Promise<{ hold: string; tasks: number }[]> {
  return await sql<{ hold: string; tasks: number }[]>`
    select hold, count(*)::int as tasks
    from tasks
    where hold is not null and status in ('pending', 'processing') and not is_deleted
    group by 1
    order by 1`;
}

/** Makes a notice due now. */
export async function makeNoticeDue(sql: Sql, id: string): Promise<void> {
  await sql`update outbox set due_at = now() where id = ${id}::bigint and closed_at is null`;
}
