/**
 * The capture of changes for the way back: triggers on users, tasks and subtasks, which are disabled at first. While they
 * are enabled, they write the key of every changed row to migration.changes.
 */
import { captureTriggers, countCaptureTriggers } from "../../../db/migration/capture.ts";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { transact } from "../../../db/pg/transaction.ts";
import { setFence } from "../../../db/traffic/fence.ts";
import { AppError } from "../../../errors.ts";
import { isLockTimeout, isRolledBack } from "../../../passing.ts";

/** Time that a statement waits for writers of the tables; others wait behind it. */
const lockMs = 1000;
const attemptsMax = 20;

/**
 * Reports whether changes are recorded.
 *
 * @throws AppError internal when only some of the triggers are enabled
 */
export async function isCaptureEnabled(sql: Sql): Promise<boolean> {
  const { enabled, found } = await countCaptureTriggers(sql);
  if (enabled === 0) return false;
  if (enabled === captureTriggers && found === captureTriggers) return true;
  throw new AppError(
    "internal",
    `checking the capture of changes: ${enabled} of ${captureTriggers} triggers are enabled, so changes may be missing; ` +
      "disable it, compare both sides, and enable it again",
  );
}

async function setCapture(pool: Pool, isEnabled: boolean): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return await transact(pool, async (sql) => {
        await sql`call migration.set_capture(${isEnabled})`;
        // Whoever records changes for MongoDB has put this system in charge.
        if (isEnabled) await setFence(sql, false);
        // The documents of these tasks are written, and are read again before the next capture.
        if (!isEnabled) await sql`delete from migration.recounted_tasks`;
      }, { lock_timeout: String(lockMs) });
    } catch (error) {
      if (attempt === attemptsMax || !isLockTimeout(error) && !isRolledBack(error)) throw error;
    }
  }
}

/** Begins to record changes. Waits for transactions that write now, which are not recorded. */
export const enableCapture = (pool: Pool): Promise<void> => setCapture(pool, true);

/** Ends the recording of changes. Those that are recorded stay. */
export const disableCapture = (pool: Pool): Promise<void> => setCapture(pool, false);

/** Returns the number of recorded changes that MongoDB does not have yet. */
export async function countChanges(sql: Sql): Promise<number> {
  const [row] = await sql<{ changes: number }[]>`select count(*)::float8 as changes from migration.changes`;
  return row!.changes;
}
