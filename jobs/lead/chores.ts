/** What is cleared away now and then by whoever leads: rows that had their day. One line a chore. */
import type { Sql } from "../../db/pg/connect.ts";
import { forgetOldAnswers } from "../../db/people/idempotency.ts";
import { forgetOldSessions } from "../../db/people/sessions.ts";

/** Between two rounds. */
export const choresMs = 600_000;

const chores: Record<string, (sql: Sql) => Promise<number>> = {
  "answers of repeated requests": forgetOldAnswers,
  "sessions that ended": forgetOldSessions,
};

/** Does each chore once. @returns how many rows each has cleared away, where there were any */
export async function runChores(sql: Sql): Promise<Record<string, number>> {
  const cleared: Record<string, number> = {};
  for (const [chore, clear] of Object.entries(chores)) {
    const rows = await clear(sql);
    if (rows > 0) cleared[chore] = rows;
  }
  return cleared;
}
