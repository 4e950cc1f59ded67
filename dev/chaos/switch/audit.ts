/** What the rig records in its own database: every write of the API processes, with the phase at that moment. */
import type { Pool } from "../../../db/pg/connect.ts";

const triggers = `
  create schema chaos;
  create table chaos.writes (
    n bigint generated always as identity, at timestamptz not null default clock_timestamp(), operation text, kind text,
    id uuid, phase text
  );
  create function chaos.note_write() returns trigger language plpgsql as $$
  begin
    if current_setting('application_name') = 'contactsheet api' then
      insert into chaos.writes (operation, kind, id, phase)
      select tg_op, tg_table_name, coalesce(new.id, old.id), coalesce(phase_before, phase) from migration.traffic;
    end if;
    return null;
  end $$;
  create trigger chaos_users after insert or update or delete on users
    for each row execute function chaos.note_write();
  create trigger chaos_tasks after insert or update or delete on tasks
    for each row execute function chaos.note_write();
  create trigger chaos_subtasks after insert or update or delete on subtasks
    for each row execute function chaos.note_write();
`;

/** Installs the triggers. */
export async function installAudit(sql: Pool): Promise<void> {
  await sql.unsafe(triggers);
}

/** Lists writes of an API process while the old backend was in charge. */
export async function listForeignWrites(sql: Pool): Promise<string[]> {
  const rows = await sql`
    select operation, kind, id, phase from chaos.writes where phase <> 'new' order by n limit 5`;
  return rows.map(({ operation, kind, id, phase }) =>
    `this system wrote in phase '${phase}': ${operation} of ${kind} ${id}`
  );
}

/** Returns the ids of tasks that an API process has inserted: this system made them. */
export async function readMadeHere(sql: Pool): Promise<Set<string>> {
  const rows = await sql<{ id: string }[]>`
    select id::text as id from chaos.writes where operation = 'INSERT' and kind = 'tasks'`;
  return new Set(rows.map(({ id }) => id));
}

/** Times in which this system was in charge, in milliseconds since 1970; the last one may be open. */
export async function readChargeTimes(sql: Pool): Promise<[from: number, to: number][]> {
  const rows = await sql<{ at: number; phase: string; before: string }[]>`
    select extract(epoch from at)::float8 * 1000 as at, phase_after as phase, phase_before as before
    from migration.traffic_changes order by version`;
  const times: [number, number][] = [];
  for (const { at, phase, before } of rows) {
    const open = times.at(-1)?.[1] === Infinity ? times.at(-1)! : undefined;
    if (phase === "new" && !open) times.push([at, Infinity]);
    // A hold during a rollback leaves this system in charge until the return.
    if (phase !== "new" && phase !== "holding" && open && before === "holding") open[1] = at;
  }
  return times;
}
