/** `deno task migrate partition`: partitions the tables of subtasks by hash of the task. */
import type postgres from "postgres";
import type { Pool, Sql } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { acquireMigratorLock, migratorBusy, releaseMigratorLock } from "../data/ledger/lock.ts";
import { formatBytes, formatCounted, formatSeconds, formatTable } from "../data/tools/format.ts";
import type { Stage } from "../data/tools/eta.ts";
import type { Progress } from "../data/tools/progress.ts";
import { requireSchema, withSchemaLock } from "../schema/runner.ts";
import { convert } from "./convert.ts";
import { readDefinition } from "./definitions.ts";
import { partitionsDefault, readTableStates, summarize, type TableState } from "./tables.ts";

/** Partitioned tables with an identity column need it. */
const versionMin = 17;
/** Bytes of tables and indexes that are converted in a second, on two busy cores: see docs/scaling.md. */
const bytesPerSecond = 8e6;
/** Work of a byte of an index, in bytes of a table that are copied: to create it, and to check references with it. */
const indexWork = { create: 2.3, check: 3 };

export interface PartitionOptions {
  /** Number of partitions; by default that of the tables that are partitioned already, or 16. */
  partitions?: number | undefined;
  /** Nothing else works with the database, so tables with rows may be copied. */
  offline: boolean;
  dryRun: boolean;
  progress: Progress;
  signal?: AbortSignal;
  /** How long to wait for the locks, in milliseconds. */
  lockMs?: number;
}

export interface PartitionPlan {
  partitions: number;
  tables: TableState[];
  rows: number;
  bytes: number;
  /** Predicted duration in seconds. */
  seconds: number;
}

export interface PartitionResult extends PartitionPlan {
  /** Copied rows by table; undefined for a dry run, and if there was nothing to do. */
  copied?: Record<string, number>;
  /** Duration in seconds. */
  took?: number;
}

async function requireVersion(sql: Sql): Promise<void> {
  const [server] = await sql<{ version: number; text: string }[]>`
    select current_setting('server_version_num')::int / 10000 as version, current_setting('server_version') as text`;
  if (server!.version >= versionMin) return;
  throw new AppError(
    "database_unsuitable",
    `partitioning: the server is PostgreSQL ${
      server!.text
    }; partitioned tables with identity columns need ${versionMin} or newer`,
  );
}

/** Plans the conversion of the plain tables. @throws AppError conflict when a table has another number of partitions */
async function plan(sql: Sql, wanted: number | undefined): Promise<PartitionPlan> {
  const states = await readTableStates(sql);
  const existing = summarize(states).partitions;
  if (existing > 0 && wanted !== undefined && wanted !== existing) {
    throw new AppError(
      "conflict",
      `partitioning: the tables have ${counted(existing, "partition")} already, wanted ${wanted}; ` +
        "to change the number, restore a backup of the rows into a database with other partitions",
    );
  }
  const tables = states.filter(({ partitions }) => partitions === 0);
  const sum = (key: "rows" | "bytes" | "indexBytes") =>
    tables.reduce((total, table) => total + table[key], 0);
  return {
    partitions: existing || (wanted ?? partitionsDefault),
    tables,
    rows: sum("rows"),
    bytes: sum("bytes") + sum("indexBytes"),
    seconds: (sum("bytes") + sum("indexBytes")) / bytesPerSecond,
  };
}

const howTo = "Stop the API, the workers and what follows the source, back up, then run 'deno task migrate " +
  "partition --offline'";

async function hasRows(sql: Sql, tables: TableState[]): Promise<boolean> {
  for (const { name } of tables) {
    const [row] = await sql.unsafe(`select exists (select from public.${name}) as filled`);
    if (row!.filled) return true;
  }
  return false;
}

/** What a copy costs, in one sentence. */
const describeCost = ({ bytes, seconds }: PartitionPlan): string =>
  `copying ${formatBytes(bytes)} takes about ${
    formatSeconds(seconds)
  } and needs as much free disk, and nothing can ` +
  "read or write the tables meanwhile";

/** Returns the error for tables with rows, without `--offline`. */
const refuseRows = (planned: PartitionPlan): AppError =>
  new AppError("conflict", `partitioning: the tables have rows; ${describeCost(planned)}. ${howTo}`);

/** @throws AppError conflict when the API or workers work with the database; migrators hold a lock */
async function requireOffline(sql: Sql): Promise<void> {
  const others = await sql<{ name: string; sessions: number }[]>`
    select application_name as name, count(*)::int as sessions
    from pg_stat_activity
    where datname = current_database() and application_name like 'contactsheet %'
    group by application_name
    order by application_name`;
  if (others.length === 0) return;
  const names = others.map(({ name, sessions }) => `'${name}' (${counted(sessions, "session")})`).join(", ");
  throw new AppError(
    "conflict",
    `partitioning: other processes work with this database: ${names}; stop them, and start them again afterwards`,
  );
}

async function lockTables(sql: Sql, tables: TableState[]): Promise<void> {
  const names = ["users", "tasks", ...tables.map(({ name }) => name)].map((name) => `public.${name}`);
  await sql.unsafe(`lock table ${names.join(", ")} in access exclusive mode`).catch((cause) => {
    if (cause.code !== "55P03") throw cause;
    throw new AppError(
      "busy",
      "partitioning: another session uses the tables and did not end its transaction; nothing was changed. Try again, or " +
        "stop what works with the database",
      { cause },
    );
  });
}

/** Converts the tables in one transaction, which an abort of the signal cancels. */
async function convertAll(
  pool: Pool,
  sql: postgres.ReservedSql,
  planned: PartitionPlan,
  { offline, progress, signal, lockMs = 10_000 }: PartitionOptions,
): Promise<Record<string, number>> {
  const [session] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const cancel = () => void pool`select pg_cancel_backend(${session!.pid})`.catch(() => {});
  signal?.addEventListener("abort", cancel, { once: true });
  await sql`begin`;
  try {
    await sql`select set_config('lock_timeout', ${String(lockMs)}, true)`;
    await lockTables(sql, planned.tables);
    // An empty table may have got rows while this waited for the lock.
    if (!offline && await hasRows(sql, planned.tables)) throw refuseRows(planned);
    const definitions = [];
    for (const table of planned.tables) definitions.push(await readDefinition(sql, table));
    const states = new Map(planned.tables.map((table) => [table.name, table]));
    const copied = await convert(sql, definitions, states, { partitions: planned.partitions, progress });
    signal?.throwIfAborted();
    await sql`commit`;
    return copied;
  } catch (cause) {
    progress.end();
    await sql`rollback`.catch(() => {});
    if (!signal?.aborted) throw cause;
    throw new AppError("interrupted", "partitioning: stopped on request; nothing was changed", { cause });
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/**
 * Partitions those task tables that are plain. Does nothing if there are none.
 *
 * @throws AppError schema_mismatch, database_unsuitable, busy; conflict when tables with rows would be copied without
 * `offline`, or while other processes work with the database; interrupted
 */
export async function partition(pool: Pool, options: PartitionOptions): Promise<PartitionResult> {
  await requireSchema(pool);
  return await withSchemaLock(pool, async (sql) => {
    await requireVersion(sql);
    const planned = await plan(sql, options.partitions);
    if (options.dryRun || planned.tables.length === 0) return planned;
    const filled = await hasRows(sql, planned.tables);
    if (filled && !options.offline) throw refuseRows(planned);
    if (filled) await requireOffline(sql);
    if (!await acquireMigratorLock(sql)) throw await migratorBusy(sql, "partitioning");
    try {
      const start = performance.now();
      options.progress.plan(listStages(planned.tables));
      const copied = await convertAll(pool, sql, planned, options);
      return { ...planned, copied, took: (performance.now() - start) / 1000 };
    } finally {
      await releaseMigratorLock(sql).catch(() => {});
    }
  });
}

/** The stages of a conversion, for the estimate of the time left. */
function listStages(tables: TableState[]): Stage[] {
  const indexBytes = tables.reduce((sum, table) => sum + table.indexBytes, 0);
  return [
    { name: "copying rows", units: tables.reduce((sum, { bytes }) => sum + bytes, 0) },
    { name: "creating indexes", units: indexBytes * indexWork.create },
    { name: "checking references", units: indexBytes * indexWork.check },
  ];
}

/** Returns a plan or a result as text. */
export function formatPartition(result: PartitionResult): string {
  const { partitions, tables, copied, took } = result;
  if (tables.length === 0) return `nothing to do: the tables have ${counted(partitions, "partition")} each`;
  if (copied !== undefined) {
    const rows = Object.values(copied).reduce((sum, count) => sum + count, 0);
    return `partitioned ${counted(tables.length, "table")} into ${counted(partitions, "partition")} each: ${
      formatCounted(rows, "row")
    } copied in ${formatSeconds(took!)}`;
  }
  const rows = tables.map(({ name, key, rows, bytes, indexBytes }) => [
    name,
    `hash (${key})`,
    rows,
    formatBytes(bytes + indexBytes),
  ]);
  return [
    formatTable(["table", `${counted(partitions, "partition")} by`, "rows, estimated", "size"], rows),
    "",
    result.bytes > 0 ? `If the tables have rows, ${describeCost(result)}.` : "",
    "Nothing was changed. Without --dry-run the tables are converted.",
  ].join("\n");
}
