/** Restores the tables of a backup in one transaction, after all its files have been checked. */
import { requireWritableServer } from "../../../db/pg/server.ts";
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { isFenceUp, setFence } from "../../../db/traffic/fence.ts";
import { AppError } from "../../../errors.ts";
import { listApplied, requireSchema } from "../../schema/runner.ts";
import { checkFiles, listTables, type Manifest, readManifest, unpack } from "./format.ts";
import { copyIn } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { formatBytes, formatTable } from "../tools/format.ts";
import { acquireMigratorLock, migratorBusy, releaseMigratorLock } from "../ledger/lock.ts";
import type { Progress } from "../tools/progress.ts";
import { counted, inflect } from "../../../phrases.ts";

export interface RestoreOptions {
  progress: Progress;
  /** Deletes existing rows. */
  replace: boolean;
  /** Checks the files without writing. */
  dryRun: boolean;
}

export interface RestoreResult {
  checked: { files: number; bytes: number };
  /** Number of restored rows by table; empty for a dry run. */
  restored: Record<string, number>;
}

async function checkSchema(pool: Pool, { schema }: Manifest): Promise<void> {
  await requireWritableServer(pool);
  await requireSchema(pool);
  const applied = await listApplied(pool);
  const isSame = applied.length === schema.length &&
    applied.every(({ name, hash }, i) => name === schema[i]!.name && hash === schema[i]!.hash);
  if (isSame) return;
  throw new AppError(
    "schema_mismatch",
    `restoring: the backup has schema '${schema.at(-1)?.name ?? "none"}', the database has ` +
      `'${applied.at(-1)?.name ?? "none"}'; restore with the version that made the backup, then migrate`,
  );
}

/** Returns the result of a restore as text. */
export function formatRestore({ checked, restored }: RestoreResult): string {
  const rows = Object.entries(restored).filter(([, count]) => count > 0);
  const checks = `${counted(checked.files, "file")} checked against ${
    inflect(checked.files, "its", "their")
  } SHA-256 (${formatBytes(checked.bytes)})`;
  const outcome = Object.keys(restored).length > 0 ? ", restored" : "; nothing was written";
  return [
    ...(rows.length > 0 ? [formatTable(["table", "rows"], rows)] : []),
    `${checks}${outcome}`,
  ].join("\n");
}

const quote = (name: string) => name.split(".").map((part) => `"${part.replaceAll('"', '""')}"`).join(".");

/**
 * Checks that the manifest names only tables and columns of this schema, because the names become part of
 * statements.
 */
async function checkNames(sql: postgres.ReservedSql, { tables }: Manifest): Promise<void> {
  const known = new Map((await listTables(sql)).map(({ name, columns }) => [name, columns.join()]));
  for (const { name, columns } of tables) {
    if (known.get(name) === columns.join()) continue;
    throw new AppError(
      "not_a_dump",
      `restoring: the manifest's table '${name}' does not have the columns of this schema`,
    );
  }
}

/** Tables with user data or imported data. Rows of other tables are derived or belong to processes. */
const dataTables = new Set(["public.users", "public.tasks", "public.subtasks", "migration.sources"]);

/** @throws AppError conflict when a table with data is not empty */
async function checkEmpty(sql: postgres.ReservedSql, { tables }: Manifest): Promise<void> {
  for (const { name, rows } of tables.filter(({ name }) => dataTables.has(name))) {
    const [table] = await sql.unsafe(`select exists (select from ${quote(name)}) as "hasRows"`);
    if (!table!.hasRows) continue;
    throw new AppError(
      "conflict",
      `restoring: table ${name} is not empty (the backup has ${
        counted(rows, "row")
      } for it); --replace deletes existing rows`,
    );
  }
}

async function emptyTables(sql: postgres.ReservedSql, manifest: Manifest, replace: boolean): Promise<void> {
  const names = manifest.tables.map(({ name }) => quote(name));
  await sql.unsafe(`lock table ${names.join()} in access exclusive mode`);
  // The backup includes the counts that triggers maintain.
  for (const name of names) await sql.unsafe(`alter table ${name} disable trigger user`);
  if (!replace) await checkEmpty(sql, manifest);
  await sql.unsafe(`truncate ${names.join()}`);
}

async function fillTables(
  sql: postgres.ReservedSql,
  folder: string,
  { tables, sequences }: Manifest,
  { progress, isFenced }: { progress: Progress; isFenced: boolean },
): Promise<Record<string, number>> {
  const restored: Record<string, number> = {};
  for (const { name, columns, file, rows, bytes } of tables) {
    const statement = `copy ${quote(name)} (${columns.join()}) from stdin`;
    if (bytes > 0) await copyIn(sql, statement, unpack(`${folder}/${file}`));
    const [count] = await sql.unsafe(`select count(*)::float8 as rows from ${quote(name)}`);
    if (count!.rows !== rows) {
      throw new AppError(
        "internal",
        `restoring ${name}: wanted ${counted(rows, "row")}, found ${
          count!.rows
        }; the transaction was rolled back`,
      );
    }
    restored[name] = rows;
    failpoint("restore.filled");
    progress.add(bytes, rows);
  }
  for (const { name, last_value, start_value } of sequences) {
    const value = last_value ?? start_value;
    const isCalled = last_value !== null;
    await sql`select setval(${quote(name)}::regclass, ${value}::bigint, ${isCalled})`;
  }
  for (const { name } of tables) await sql.unsafe(`alter table ${quote(name)} enable trigger user`);
  // What a restore changes is not recorded, so a way back cannot go on from before.
  await sql`call migration.set_capture(false)`;
  // Without a followed source nobody else is in charge.
  const [follow] = await sql`select from migration.follows`;
  await setFence(sql, isFenced && follow !== undefined);
  // The checkpoints of unfinished verifications do not describe the restored rows.
  await sql`delete from migration.verifications where ended_at is null`;
  return restored;
}

async function restoreTarget(
  pool: Pool,
  folder: string,
  manifest: Manifest,
  { progress, replace }: RestoreOptions,
): Promise<Record<string, number>> {
  const sql = await pool.reserve();
  let isCommitted = false;
  try {
    if (!await acquireMigratorLock(sql)) throw await migratorBusy(sql, "restoring");
    await sql`begin`;
    await checkNames(sql, manifest);
    const isFenced = await isFenceUp(sql);
    await emptyTables(sql, manifest, replace);
    failpoint("restore.emptied");
    progress.begin("restoring", manifest.tables.reduce((sum, { bytes }) => sum + bytes, 0));
    const restored = await fillTables(sql, folder, manifest, { progress, isFenced });
    failpoint("restore.before_commit");
    await sql`commit`;
    failpoint("restore.committed");
    for (const { name } of manifest.tables) await sql.unsafe(`analyze ${quote(name)}`);
    await releaseMigratorLock(sql);
    isCommitted = true;
    return restored;
  } finally {
    progress.end();
    // Closing the session rolls the transaction back, even inside a COPY.
    if (isCommitted) sql.release();
    else await pool.end({ timeout: 0 });
  }
}

/**
 * Checks all files of a backup, then restores its tables.
 *
 * @throws AppError source_missing, not_a_dump; invalid_source for a damaged file; schema_mismatch; conflict when
 * tables are not empty; busy
 */
export async function restore(pool: Pool, folder: string, options: RestoreOptions): Promise<RestoreResult> {
  const { progress, dryRun } = options;
  const manifest = await readManifest(folder);
  const files = [...manifest.tables, ...manifest.source?.collections ?? []];
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  progress.begin("checking files", bytes);
  await checkFiles(folder, files, (read) => progress.add(read, 0));
  progress.end();
  failpoint("restore.checked");
  const checked = { files: files.length, bytes };
  if (dryRun) return { checked, restored: {} };
  await checkSchema(pool, manifest);
  return { checked, restored: await restoreTarget(pool, folder, manifest, options) };
}
