/** Puts a backup's tables back, after every file of it was checked, in one transaction. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { listApplied, requireSchema } from "../../schema/runner.ts";
import { checkFiles, listTables, type Manifest, readManifest, unpack } from "./format.ts";
import { sayBytes } from "../assess/verdict.ts";
import { copyIn } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { dropFence, takeFence } from "../ledger/ledger.ts";
import type { Progress } from "../tools/progress.ts";
import { formatTable } from "../ledger/status.ts";

export interface RestoreOptions {
  progress: Progress;
  /** Rows that are there are removed. */
  replace: boolean;
  /** Only checks the files. */
  dryRun: boolean;
}

export interface RestoreResult {
  checked: { files: number; bytes: number };
  /** Rows put back by table; empty where files were only checked. */
  restored: Record<string, number>;
}

async function checkSchema(pool: Pool, { schema }: Manifest): Promise<void> {
  await requireSchema(pool);
  const applied = await listApplied(pool);
  const fits = applied.length === schema.length &&
    applied.every(({ name, hash }, i) => name === schema[i]!.name && hash === schema[i]!.hash);
  if (fits) return;
  throw new AppError(
    "schema_mismatch",
    `restoring: the backup is of schema '${schema.at(-1)?.name ?? "none"}', the database has ` +
      `'${applied.at(-1)?.name ?? "none"}'; restore with the version that made it, then migrate`,
  );
}

/** What was done, for people. */
export function formatRestore({ checked, restored }: RestoreResult): string {
  const rows = Object.entries(restored).filter(([, count]) => count > 0);
  return [
    ...(rows.length > 0 ? [formatTable(["table", "rows"], rows)] : []),
    `${checked.files} files checked against their SHA-256 (${sayBytes(checked.bytes)})${
      Object.keys(restored).length > 0 ? ", restored" : "; nothing was written"
    }`,
  ].join("\n");
}

const quote = (name: string) => name.split(".").map((part) => `"${part.replaceAll('"', '""')}"`).join(".");

/** Only tables and columns of this very schema are written to, whatever a manifest says. */
async function checkNames(sql: postgres.ReservedSql, { tables }: Manifest): Promise<void> {
  const known = new Map((await listTables(sql)).map(({ name, columns }) => [name, columns.join()]));
  for (const { name, columns } of tables) {
    if (known.get(name) === columns.join()) continue;
    throw new AppError(
      "not_a_dump",
      `restoring: the manifest names table '${name}' with other columns than here`,
    );
  }
}

/** Rows here are somebody's; others count, or are made by the programs themselves. */
const precious = new Set(["public.users", "public.tasks", "public.subtasks", "migration.sources"]);

async function makeRoom(sql: postgres.ReservedSql, { tables }: Manifest, replace: boolean): Promise<void> {
  const names = tables.map(({ name }) => quote(name));
  await sql.unsafe(`lock table ${names.join()} in access exclusive mode`);
  // Counts that triggers keep are in the backup, too.
  for (const name of names) await sql.unsafe(`alter table ${name} disable trigger user`);
  if (replace) return void await sql.unsafe(`truncate ${names.join()}`);
  for (const { name, rows } of tables.filter(({ name }) => precious.has(name))) {
    const [has] = await sql.unsafe(`select exists (select from ${quote(name)}) as rows`);
    if (!has!.rows) continue;
    throw new AppError(
      "conflict",
      `restoring: table ${name} holds rows already (the backup has ${rows}); --replace removes what is there`,
    );
  }
  await sql.unsafe(`truncate ${names.join()}`);
}

async function fill(
  sql: postgres.ReservedSql,
  folder: string,
  { tables, sequences }: Manifest,
  progress: Progress,
): Promise<Record<string, number>> {
  const restored: Record<string, number> = {};
  for (const { name, columns, file, rows, bytes } of tables) {
    const statement = `copy ${quote(name)} (${columns.join()}) from stdin`;
    if (bytes > 0) await copyIn(sql, statement, unpack(`${folder}/${file}`));
    const [count] = await sql.unsafe(`select count(*)::float8 as rows from ${quote(name)}`);
    if (count!.rows !== rows) {
      throw new AppError(
        "internal",
        `restoring ${name}: wanted ${rows} rows, found ${count!.rows}; nothing was kept`,
      );
    }
    restored[name] = rows;
    failpoint("restore.filled");
    progress.add(bytes, rows);
  }
  for (const { name, last_value, start_value } of sequences) {
    await sql`select setval(${quote(name)}::regclass, ${last_value ?? start_value}::bigint, ${
      last_value !== null
    })`;
  }
  for (const { name } of tables) await sql.unsafe(`alter table ${quote(name)} enable trigger user`);
  // What was compared before the backup is no proof of what is here now.
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
  let whole = false;
  try {
    if (!await takeFence(sql)) {
      throw new AppError("busy", "restoring: another migrator works on this database; wait for it to end");
    }
    await sql`begin`;
    await checkNames(sql, manifest);
    await makeRoom(sql, manifest, replace);
    failpoint("restore.emptied");
    progress.begin("restoring", manifest.tables.reduce((sum, { bytes }) => sum + bytes, 0));
    const restored = await fill(sql, folder, manifest, progress);
    failpoint("restore.before_commit");
    await sql`commit`;
    failpoint("restore.committed");
    for (const { name } of manifest.tables) await sql.unsafe(`analyze ${quote(name)}`);
    await dropFence(sql);
    whole = true;
    return restored;
  } finally {
    progress.end();
    // The end of the session rolls back, wherever in COPY's protocol it is.
    if (whole) sql.release();
    else await pool.end({ timeout: 0 });
  }
}

/**
 * Checks a backup, then puts its tables back.
 *
 * @throws AppError source_missing, not_a_dump, invalid_source (a damaged file), schema_mismatch, conflict (rows are
 * there), busy
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
