/** Periodic deletion of expired rows by the leader. */
import type { Sql } from "../../db/pg/connect.ts";
import { deleteExpiredAnswers } from "../../db/people/idempotency.ts";
import { deleteOldSessions } from "../../db/people/sessions.ts";

/** Interval of the chores. */
export const choresMs = 600_000;

const chores: Record<string, (sql: Sql) => Promise<number>> = {
  "answers of repeated requests": deleteExpiredAnswers,
  "sessions that ended": deleteOldSessions,
};

/**
 * Runs each chore once.
 *
 * @returns the number of deleted rows of each chore that deleted any
 */
export async function runChores(sql: Sql): Promise<Record<string, number>> {
  const deleted: Record<string, number> = {};
  for (const [chore, deleteRows] of Object.entries(chores)) {
    const rows = await deleteRows(sql);
    if (rows > 0) deleted[chore] = rows;
  }
  return deleted;
}
