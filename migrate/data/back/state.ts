/** Statements on the state of the way back: one row, written with each batch. */
import type { Sql } from "../../../db/pg/connect.ts";

export interface Back {
  target_identity: string;
  state: "running" | "stopped" | "ended";
  stop_reason: string | null;
  position_at: string | null;
  documents: number;
}

/** Returns the state of the way back, if it ever ran. */
export async function findBack(sql: Sql): Promise<Back | undefined> {
  const [row] = await sql<Back[]>`
    select target_identity, state, stop_reason, to_char(position_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as position_at,
      documents::float8 as documents
    from migration.backs`;
  return row;
}

/** Reports whether the way back was ended, by its process or by a rollback. */
export const isBackEnded = async (sql: Sql): Promise<boolean> => (await findBack(sql))?.state === "ended";

/** Begins or continues the way back. */
export async function startBack(sql: Sql, identity: string): Promise<void> {
  await sql`
    insert into migration.backs (target_identity, state)
    values (${identity}, 'running')
    on conflict (id) do update
    set target_identity = excluded.target_identity, state = 'running', stop_reason = null`;
}

/**
 * Records that MongoDB has confirmed documents.
 *
 * @param ageMs age of the newest change among them; null if there is none
 */
export async function saveBack(sql: Sql, documents: number, ageMs: number | null): Promise<void> {
  await sql`
    update migration.backs
    set documents = documents + ${documents}, applied_at = now(),
      position_at = greatest(position_at, now() - ${ageMs}::float8 * interval '1 ms')`;
}

/** Ends the way back, or stops it for a reason that an operator must remove. */
export async function endBack(sql: Sql, reason: string | null): Promise<void> {
  await sql`
    update migration.backs
    set state = ${reason === null ? "ended" : "stopped"}, stop_reason = ${reason}`;
}
