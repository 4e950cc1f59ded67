/** Facts about this system's side: its schema, its processes, its backup and the state of earlier switches. */
import { type CaptureTriggers, countCaptureTriggers } from "../../../db/migration/capture.ts";
import type { Sql } from "../../../db/pg/connect.ts";
import { findLeaseHolder } from "../../../db/queue/workers.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import { readShadowCounts, type ShadowCounts } from "../../../db/traffic/differences.ts";
import { readTraffic, type Traffic } from "../../../db/traffic/traffic.ts";
import { checkApplied, listApplied, readSteps } from "../../schema/runner.ts";
import { isMigratorLockHeld } from "../ledger/lock.ts";
import { listUnfinished } from "../ledger/unfinished.ts";
import type { SwitchOptions } from "./options.ts";

const workerSecondsMax = 15;
/** Hours whose compared answers count. */
export const shadowHours = 24;

interface TargetRow {
  changes: number;
  backup_seconds: number | null;
  backup_folder: string | null;
  restored_after: boolean;
  database_bytes: number;
  /** Of migration.changes, which the way back empties. */
  changes_bytes: number;
  /** Write-ahead log that the slowest replication slot keeps from being removed; 0 without slots. */
  slot_bytes: number;
  queues: string[];
  running_cutovers: number;
}

export interface TargetFacts extends TargetRow {
  schemaFault: string | undefined;
  triggers: CaptureTriggers;
  /** The process that writes back. */
  backHolder: string | undefined;
  /** A load, repair or replay is running. */
  isLoading: boolean;
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
      (select count(*)::float8 from migration.changes) as changes,
      (select extract(epoch from now() - decided_at)::float8 from backup) as backup_seconds,
      (select folder from backup) as backup_folder,
      exists (
        select from migration.decisions d, backup b
        where d.name = 'accept:backup_restored' and d.decided_at >= b.decided_at
      ) as restored_after,
      pg_database_size(current_database())::float8 as database_bytes,
      pg_total_relation_size('migration.changes')::float8 as changes_bytes,
      (select coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::float8 from pg_replication_slots)
        as slot_bytes,
      array(
        select distinct q from workers, unnest(queues) as q
        where heartbeat_at > now() - ${workerSecondsMax}::int * interval '1 s'
      ) as queues,
      (select count(*)::int from migration.cutovers where state = 'running') as running_cutovers`;
  const held = await listUnfinished(sql);
  return Object.assign(row!, {
    schemaFault: await findSchemaFault(sql),
    triggers: await countCaptureTriggers(sql),
    backHolder: await findLeaseHolder(sql, "back"),
    isLoading: await isMigratorLockHeld(sql),
    unfinishedTasks: held.reduce((sum, { tasks }) => sum + tasks, 0),
    traffic: await readTraffic(sql),
    shadow: await readShadowCounts(sql, shadowHours),
    processes: await listFrontProcesses(sql),
    options,
    product,
    keyDigest,
  });
}
