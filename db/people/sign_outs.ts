/** Ends all sessions of a user. */
import type { Sql } from "../pg/connect.ts";

/** Ends all sessions of a user. The row of the user must be locked. */
export async function endSessions(
  sql: Sql,
  userId: string,
  reason: "signed_out" | "password" | "disabled",
): Promise<void> {
  await sql`
    update sessions set ended_at = now(), end_reason = ${reason} where user_id = ${userId} and ended_at is null`;
}
