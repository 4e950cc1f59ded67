/** Restores a backup into an empty database, and compares it with the manifest. */
import { connect, connectError, describeUrl } from "../../db/pg/connect.ts";
import { requireWritableServer } from "../../db/pg/server.ts";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { countRelations, readAnswers, readPosition, readTables } from "./content.ts";
import { checkBackup, dumpName, type Manifest } from "./manifest.ts";
import { findTool, runTool } from "./tools.ts";

export interface RestoreOptions {
  folder: string;
  /** URL of the empty database. */
  url: string;
  /** Folder of pg_restore. */
  bin?: string | undefined;
  signal: AbortSignal;
  onNote: (text: string) => void;
}

/** The result of a restore. */
export interface Restored {
  manifest: Manifest;
  seconds: { restore: number; compare: number };
  tables: number;
  rows: number;
  answers: number;
  /** What differs from the manifest, one text each. */
  differences: string[];
}

/** Compares a restored database with its manifest. */
export async function compare(url: string, manifest: Manifest): Promise<string[]> {
  const pool = connect(url, { max: 1, name: "contactsheet-backup" });
  try {
    const tables = new Map((await readTables(pool, () => {})).map((table) => [table.name, table]));
    const differences: string[] = [];
    for (const { name, rows, checksum } of manifest.tables) {
      const found = tables.get(name);
      tables.delete(name);
      if (!found) differences.push(`table ${name} is missing`);
      else if (found.rows !== rows) {
        differences.push(`table ${name} has ${found.rows} of ${counted(rows, "row")}`);
      } else if (found.checksum !== checksum) differences.push(`table ${name} has other values`);
    }
    for (const name of tables.keys()) differences.push(`table ${name} is not in the backup`);
    const answers = await readAnswers(pool, manifest.answers.map(({ task }) => task));
    for (const [index, { task, detail, matrix }] of manifest.answers.entries()) {
      const found = answers[index]!;
      if (found.detail !== detail) differences.push(`v1 answers another detail of task ${task}`);
      if (found.matrix !== matrix) differences.push(`v1 answers another matrix of task ${task}`);
    }
    return differences;
  } finally {
    await pool.end({ timeout: 1 });
  }
}

/** @throws AppError conflict, database_unsuitable */
async function requireTarget(url: string, { major, server_version }: Manifest): Promise<number> {
  const pool = connect(url, { max: 1, name: "contactsheet-backup" });
  try {
    await requireWritableServer(pool);
    const target = await readPosition(pool);
    if (target.major < major) {
      throw new AppError(
        "database_unsuitable",
        `restoring into '${describeUrl(url)}': it is PostgreSQL ${target.server_version}, the backup is of ` +
          `${server_version}; restore into ${major} or newer`,
      );
    }
    const relations = await countRelations(pool);
    if (relations > 0) {
      throw new AppError(
        "conflict",
        `restoring into '${describeUrl(url)}': it has ${
          counted(relations, "table, view or sequence", "tables, views and sequences")
        }; ` +
          "name an empty database, so that nothing is overwritten",
      );
    }
    return target.major;
  } catch (error) {
    throw connectError(error, url);
  } finally {
    await pool.end({ timeout: 1 });
  }
}

/**
 * Checks a backup, restores it into an empty database, and compares rows, checksums and answers of v1.
 *
 * @throws AppError source_truncated, invalid_source, schema_mismatch, conflict, disk_full, interrupted
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { folder, url, bin, signal, onNote } = options;
  const manifest = await checkBackup(folder);
  onNote(`checked: ${counted(manifest.dump.bytes, "byte")}, taken at ${manifest.taken_at}`);
  await requireTarget(url, manifest);
  const tool = await findTool(
    "pg_restore",
    Number(/\) (\d+)/.exec(manifest.pg_dump)?.[1] ?? manifest.major),
    bin,
  );
  const started = performance.now();
  const database = new URL(url).pathname.slice(1);
  const args = [
    "--no-owner",
    "--no-privileges",
    "--exit-on-error",
    `--jobs=${navigator.hardwareConcurrency}`,
  ];
  await runTool(tool, [...args, `--dbname=${decodeURIComponent(database)}`, `${folder}/${dumpName}`], {
    url,
    what: `restoring '${folder}'`,
    signal,
  });
  const restoredAt = performance.now();
  onNote(`restored in ${Math.round((restoredAt - started) / 1000)} s`);
  const differences = await compare(url, manifest);
  const seconds = (from: number, to: number) => Math.round((to - from) / 100) / 10;
  return {
    manifest,
    seconds: { restore: seconds(started, restoredAt), compare: seconds(restoredAt, performance.now()) },
    tables: manifest.tables.length,
    rows: manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
    answers: manifest.answers.length,
    differences,
  };
}

/** Returns the result for people. */
export function formatRestored({ manifest, seconds, tables, rows, answers, differences }: Restored): string {
  const head = `backup of ${manifest.taken_at}, position ${manifest.lsn}, schema ${manifest.schema.last}: ` +
    `${counted(tables, "table")}, ${counted(rows, "row")}, ${counted(answers, "task")} with v1's answers`;
  const times = `restored in ${seconds.restore} s, compared in ${seconds.compare} s`;
  const verdict = differences.length === 0
    ? "equal: rows, checksums and answers are those of the backup"
    : `DIFFERENT:\n${differences.map((text) => `  ${text}`).join("\n")}`;
  return [head, times, verdict].join("\n");
}

/** @throws AppError differences_found */
export function requireEqual({ differences }: Restored): void {
  if (differences.length === 0) return;
  throw new AppError(
    "differences_found",
    `comparing with the backup: ${counted(differences.length, "difference")}; do not use this database`,
  );
}
