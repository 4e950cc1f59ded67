/** Facts about this system's side: its schema, its processes, its backup and the state of earlier switches. */
import type { Sql } from "../../../db/pg/connect.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import { readShadowCounts, type ShadowCounts } from "../../../db/traffic/differences.ts";
import { readTraffic, type Traffic } from "../../../db/traffic/traffic.ts";
import { checkApplied, listApplied, readSteps } from "../../schema/runner.ts";
import { listUnfinished } from "../ledger/unfinished.ts";
import type { SwitchOptions } from "./options.ts";

const workerSecondsMax = 15;
/** Hours whose compared answers count. */
export const shadowHours = 24;

/** Key of the lock that a load, repair or replay holds, see withMigratorLock(). */
const migratorLock = 0x636f6e75;

interface TargetRow {
  triggers: number;
  enabled: number;
  changes: number;
  backup_seconds: number | null;
  backup_folder: string | null;
  restored_after: boolean;
  database_bytes: number;
  queues: string[];
  back_holder: string | null;
  is_loading: boolean;
  running_cutovers: number;
}

export interface TargetFacts extends TargetRow {
  schemaFault: string | undefined;
  unfinishedTasks: number;
  traffic: Traffic;
  shadow: ShadowCounts;
  processes: Awaited<ReturnType<typeof listFrontProcesses>>;
  options: SwitchOptions;
  /** Version of the product and digest of SECRET_KEY that the processes must have. */
  product: string;
  keyDigest: string;
}

/** Returns what is wrong with the schema; undefined if it is current. */
export async function findSchemaFault(sql: Sql): Promise<string | undefined> {
  try {
    const steps = await readSteps();
    const applied = await listApplied(sql);
    checkApplied(steps, applied);
    const missing = steps.slice(applied.length).map(({ name }) => name);
    return missing.length === 0 ? undefined : `not applied: ${missing.join(", ")}`;
  } catch (error) {
    return (error as Error).message;
  }
}

export async function readTargetFacts(
  sql: Sql,
  options: SwitchOptions,
  { product, keyDigest }: { product: string; keyDigest: string },
): Promise<TargetFacts> {
  const [row] = await sql<TargetRow[]>`
    with backup as (
      select value ->> 'folder' as folder, decided_at from migration.decisions where name = 'backup'
    )
    select
      (
        select count(*)::int from pg_trigger
        where tgname like '%\\_capture\\_%'
          and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)
      ) as triggers,
      (
        select count(*)::int from pg_trigger
        where tgname like '%\\_capture\\_%' and tgenabled <> 'D'
          and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)
      ) as enabled,
      (select count(*)::float8 from migration.changes) as changes,
      (select extract(epoch from now() - decided_at)::float8 from backup) as backup_seconds,
      (select folder from backup) as backup_folder,
      exists (
        select from migration.decisions d, backup b
        where d.name = 'accept:backup_restored' and d.decided_at >= b.decided_at
      ) as restored_after,
      pg_database_size(current_database())::float8 as database_bytes,
      array(
        select distinct q from workers, unnest(queues) as q
        where heartbeat_at > now() - ${workerSecondsMax}::int * interval '1 s'
      ) as queues,
      (select holder from leaders where role = 'back' and lease_until > now()) as back_holder,
      exists (
        select from pg_locks
        where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
          and mode = 'ExclusiveLock' and granted and objid = ${migratorLock}
      ) as is_loading,
      (select count(*)::int from migration.cutovers where state = 'running') as running_cutovers`;
  const held = await listUnfinished(sql);
  return Object.assign(row!, {
    schemaFault: await findSchemaFault(sql),
    unfinishedTasks: held.reduce((sum, { tasks }) => sum + tasks, 0),
    traffic: await readTraffic(sql),
    shadow: await readShadowCounts(sql, shadowHours),
    processes: await listFrontProcesses(sql),
    options,
    product,
    keyDigest,
  });
}
