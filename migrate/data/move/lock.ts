/** At most one guide runs on a database at a time. */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";

/** Key of the advisory lock. The server releases it when the process ends. */
const lockKey = 0x636f6e78;
const namePrefix = "contactsheet-move ";

/** A guide that runs now. */
export interface MoveHolder {
  /** Who runs it, and its process. */
  holder: string;
  /** ISO 8601. */
  since: string;
}

/** Returns the guide that runs now, if there is one. */
export async function findMoveHolder(sql: Sql): Promise<MoveHolder | undefined> {
  const [row] = await sql<MoveHolder[]>`
    select substr(a.application_name, ${namePrefix.length + 1}) as holder,
      to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
    from pg_locks l
    join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.objid = ${lockKey}
      and l.database = (select oid from pg_database where datname = current_database())`;
  return row;
}

/**
 * Runs `work` while no other guide runs on this database.
 *
 * @param by who runs it
 * @throws AppError busy
 */
export async function withMoveLock<T>(pool: Pool, by: string, work: () => Promise<T>): Promise<T> {
  const session = await pool.reserve();
  try {
    // PostgreSQL keeps 63 bytes of it.
    await session`select set_config('application_name', ${`${namePrefix}${by}, process ${Deno.pid}`}, false)`;
    const [lock] = await session`select pg_try_advisory_lock(${lockKey}) as acquired`;
    if (lock?.acquired !== true) {
      const other = await findMoveHolder(session);
      const who = other === undefined ? "" : ` by ${other.holder} since ${other.since}`;
      throw new AppError(
        "busy",
        `move: another move is running${who}; wait for its end, or look with 'deno task migrate data move --status'`,
      );
    }
    return await work();
  } finally {
    session.release();
  }
}
