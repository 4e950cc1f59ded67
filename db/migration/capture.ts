/** The triggers that record changes of rows for the way back. */
import type { Sql } from "../pg/connect.ts";

/** Triggers of a complete schema. */
export const captureTriggers = 13;

export interface CaptureTriggers {
  found: number;
  /** Those that record changes. One that is enabled only for replicas is neither enabled nor disabled. */
  enabled: number;
  disabled: number;
}

/** Counts the triggers that exist. */
export async function countCaptureTriggers(sql: Sql): Promise<CaptureTriggers> {
  const [row] = await sql<CaptureTriggers[]>`
    select count(*)::int as found, count(*) filter (where tgenabled in ('O', 'A'))::int as enabled,
      count(*) filter (where tgenabled = 'D')::int as disabled
    from pg_trigger
    where tgname like '%\\_capture\\_%'
      and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)`;
  return row!;
}
