/** The migrator lock: at most one migrator writes to a database at a time. */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";

/** Keys of the advisory locks. The schema runner uses another key. */
const lockKeys = [0x636f6e75, 0x636f6e76, 0x636f6e7a] as const;

/**
 * Tries to acquire the migrator lock. The server releases the lock of a killed process when its session ends.
 *
 * @param session number of the session: each session of a load holds its own lock
 */
export async function acquireMigratorLock(sql: Sql, session = 0): Promise<boolean> {
  const [lock] = await sql`select pg_try_advisory_lock(${lockKeys[session]!}) as acquired`;
  return lock?.acquired === true;
}

/** Releases the migrator lock. */
export async function releaseMigratorLock(sql: Sql, session = 0): Promise<void> {
  await sql`select pg_advisory_unlock(${lockKeys[session]!})`;
}

/** Reports whether a load, repair or replay holds the migrator lock of this database. Processes may share it meanwhile. */
export async function isMigratorLockHeld(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ held: boolean }[]>`
    select exists (
      select from pg_locks
      where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
        and mode = 'ExclusiveLock' and granted and objid = ${lockKeys[0]}
    ) as held`;
  return row!.held;
}

/**
 * Returns the error of a command that finds the migrator lock taken. Names a process that follows the source or writes
 * back to it, which does not end by itself.
 */
export async function migratorBusy(sql: Sql, action: string): Promise<AppError> {
  const running = await sql<{ role: string; holder: string }[]>`
    select role, holder from leaders where role in ('sync', 'back') and lease_until > now() order by role`;
  if (running.length === 0) {
    return new AppError(
      "busy",
      `${action}: another migrator is working on this database; wait for it to end`,
    );
  }
  const names = running.map(({ role, holder }) => `'${role}' (process ${holder})`).join(" and ");
  return new AppError(
    "busy",
    `${action}: ${names} is working on this database until it is stopped; stop it with Ctrl-C or SIGTERM, run this ` +
      "command, and start it again, which continues where it stopped",
  );
}

/**
 * Runs `work` while this process holds the migrator lock.
 *
 * @param action names the command in the error message
 * @throws AppError busy
 */
export async function withMigratorLock<T>(pool: Pool, action: string, work: () => Promise<T>): Promise<T> {
  const session = await pool.reserve();
  try {
    if (!await acquireMigratorLock(session)) throw await migratorBusy(session, action);
    try {
      return await work();
    } finally {
      await releaseMigratorLock(session);
    }
  } finally {
    session.release();
  }
}

/**
 * Runs `work` while this process shares the migrator lock with others that follow the source or write back to it, so
 * that no load, repair or replay runs meanwhile.
 *
 * @param action names the command in the error message
 * @throws AppError busy
 */
export async function withSharedMigratorLock<T>(
  pool: Pool,
  action: string,
  work: () => Promise<T>,
): Promise<T> {
  const session = await pool.reserve();
  try {
    const [lock] = await session`select pg_try_advisory_lock_shared(${lockKeys[0]}) as acquired`;
    if (lock?.acquired !== true) throw await migratorBusy(session, action);
    return await work();
  } finally {
    session.release();
  }
}
