/** Takes a backup of PostgreSQL: a dump and its manifest, both of the same snapshot. */
import { connect } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { listApplied, requireSchema } from "../schema/runner.ts";
import { readAnswers, readPosition, readTables } from "./content.ts";
import { digestFile, dumpName, type Manifest, manifestHead, writeManifest } from "./manifest.ts";
import { findTool, runTool, saysDiskFull } from "./tools.ts";

export interface TakeOptions {
  url: string;
  /** Folder in which the backup gets a folder of its own. */
  to: string;
  /** Folder of pg_dump. */
  bin?: string | undefined;
  signal: AbortSignal;
  /** Receives one line for each part that is done. */
  onNote: (text: string) => void;
}

/** Returns `2026-01-31T020000Z`. */
const folderName = (at: Date): string => at.toISOString().replace(/\.\d+Z$/, "Z").replaceAll(":", "");

/** Reports the growth of the dump until it is disposed. */
function watchGrowth(path: string, onNote: (text: string) => void): Disposable {
  const timer = setInterval(async () => {
    const size = await Deno.stat(path).then(({ size }) => size, () => 0);
    onNote(`dump: ${Math.round(size / 1e6)} MB so far`);
  }, 5_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function dump(options: TakeOptions, folder: string): Promise<Manifest> {
  const { url, bin, signal, onNote } = options;
  const started = performance.now();
  const pool = connect(url, { max: 1, name: "contactsheet-backup" });
  const sql = await pool.reserve();
  try {
    await requireSchema(sql);
    const { major } = await readPosition(sql);
    const tool = await findTool("pg_dump", major, bin);
    await sql`begin isolation level repeatable read read only`;
    const [snapshot] = await sql<{ id: string; at: string }[]>`
      select pg_export_snapshot() as id, to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at`;
    const position = await readPosition(sql);
    const applied = (await listApplied(sql)).at(-1)!;
    const path = `${folder}/${dumpName}`;
    const args = ["--format=custom", "--no-owner", "--no-privileges", "--lock-wait-timeout=10s"];
    const dumping = async () => {
      using _growth = watchGrowth(path, onNote);
      const all = [...args, `--snapshot=${snapshot!.id}`, `--file=${path}`];
      await runTool(tool, all, { url, what: `writing the dump '${path}'`, signal });
    };
    const [tables] = await Promise.all([
      readTables(sql, ({ name, rows }) => onNote(`counted: ${name}, ${counted(rows, "row")}`)),
      dumping(),
    ]);
    const answers = await readAnswers(sql);
    await sql`commit`;
    const { size: bytes } = await Deno.stat(path);
    return {
      ...manifestHead,
      taken_at: snapshot!.at,
      seconds: Math.round((performance.now() - started) / 100) / 10,
      ...position,
      pg_dump: tool.version,
      schema: { steps: applied.number, last: applied.name, hash: applied.hash },
      dump: { bytes, sha256: await digestFile(path) },
      tables,
      answers,
    };
  } finally {
    sql.release();
    await pool.end({ timeout: 1 });
  }
}

/**
 * Takes a backup. Its folder appears under its name only when it is complete.
 *
 * @returns its folder and its manifest
 * @throws AppError disk_full, database_unsuitable, schema_mismatch, interrupted
 */
export async function takeBackup(options: TakeOptions): Promise<{ folder: string; manifest: Manifest }> {
  const folder = `${options.to}/${folderName(new Date())}`;
  const unfinished = `${folder}.unfinished`;
  try {
    await Deno.mkdir(unfinished, { recursive: true, mode: 0o700 });
    const manifest = await dump(options, unfinished);
    await writeManifest(unfinished, manifest);
    await Deno.rename(unfinished, folder);
    return { folder, manifest };
  } catch (error) {
    await Deno.remove(unfinished, { recursive: true }).catch(() => {});
    if (saysDiskFull(String((error as Error).message))) {
      throw new AppError("disk_full", `writing the backup '${folder}': the disk is full; nothing was kept`, {
        cause: error,
      });
    }
    throw error;
  }
}
