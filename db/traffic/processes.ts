/** The API processes that stand before both systems, and the last writes of users through them. */
import type { Sql } from "../pg/connect.ts";

/** Age of the last look from which a process serves no writes any more, in milliseconds. */
export const confirmWithinMs = 2_000;

/**
 * Age of the last look from which a process counts as gone. It is longer than `confirmWithinMs` and a look together:
 * such a process has stopped serving writes by itself.
 */
export const goneAfterMs = 5_000;

export interface FrontProcess {
  id: string;
  host: string;
  pid: number;
  product: string;
  key_digest: string;
  acknowledged: number;
  writes_in_flight: number;
  writes_held: number;
}

/** Stores what a process works by, and what it has under way. */
export async function saveFrontProcess(sql: Sql, process: FrontProcess): Promise<void> {
  const { id, host, pid, product, key_digest, acknowledged, writes_in_flight, writes_held } = process;
  await sql`
    insert into migration.front_processes
      (id, host, pid, product, key_digest, acknowledged, writes_in_flight, writes_held)
    values (${id}, ${host}, ${pid}, ${product}, ${key_digest}, ${acknowledged}, ${writes_in_flight}, ${writes_held})
    on conflict (id) do update
    set acknowledged = excluded.acknowledged, writes_in_flight = excluded.writes_in_flight,
      writes_held = excluded.writes_held, seen_at = now()`;
}

/** Removes a process that ends. */
export async function deleteFrontProcess(sql: Sql, id: string): Promise<void> {
  await sql`delete from migration.front_processes where id = ${id}`;
}

/** Lists the processes that were seen within `goneAfterMs`, and deletes those that are gone for an hour. */
export async function listFrontProcesses(sql: Sql): Promise<(FrontProcess & { seen_ms: number })[]> {
  await sql`delete from migration.front_processes where seen_at < now() - interval '1 hour'`;
  return await sql<(FrontProcess & { seen_ms: number })[]>`
    select id, host, pid, product, key_digest, acknowledged::float8 as acknowledged, writes_in_flight, writes_held,
      (extract(epoch from now() - seen_at) * 1000)::float8 as seen_ms
    from migration.front_processes
    where seen_at > now() - ${goneAfterMs}::int * interval '1 ms'
    order by host, pid`;
}

/** Time after which a write has ended even if its end was not noted, in minutes. */
const writeMinutesMax = 10;

/** Notes that a write of a user through the front begins: their reads go to the old backend from now on. */
export async function beginFrontWrite(sql: Sql, userKey: string): Promise<void> {
  await sql`
    insert into migration.front_writes as w (user_key, pending) values (${userKey}, 1)
    on conflict (user_key) do update
    set at = now(),
      pending = 1 + case when w.at > now() - ${writeMinutesMax}::int * interval '1 min' then w.pending else 0 end`;
}

/** Notes that writes of a user have ended: their reads come here when they are applied. */
export async function endFrontWrite(sql: Sql, userKey: string, count: number): Promise<void> {
  await sql`
    update migration.front_writes
    set at = now(), pending = greatest(0, pending - ${count}::int)
    where user_key = ${userKey}`;
}

/** Age of the applied position from which a system that only follows is too far behind to answer, in seconds. */
const behindSecondsMax = 10;

/**
 * Reports whether this system can answer a user's reads while the old backend is in charge: it follows closely, and all
 * writes of the user through the front have ended and are applied. The position has whole seconds, and clocks may differ
 * by a second, so it must be two seconds later than the write.
 */
export async function canServeReads(sql: Sql, userKey: string): Promise<boolean> {
  const [row] = await sql`
    select
    from migration.follows f
    where f.state = 'following' and f.position_at > now() - ${behindSecondsMax}::int * interval '1 s'
      and not exists (
        select from migration.front_writes w
        where w.user_key = ${userKey}
          and f.position_at < w.at + interval '2 s'
            + case when w.pending > 0 then ${writeMinutesMax}::int else 0 end * interval '1 min'
      )`;
  return row !== undefined;
}
