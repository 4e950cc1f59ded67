/** Writes a backup: a snapshot of the target's tables and, on request, the documents of a source. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import { formatBytes, formatTable } from "../tools/format.ts";
import { listApplied, requireSchema } from "../../schema/runner.ts";
import {
  formatName,
  listTables,
  type Manifest,
  manifestName,
  type PackedCollection,
  type PackedTable,
  PackedWriter,
  type Table,
} from "./format.ts";
import { rangeBytesDefault } from "../load/plan.ts";
import type { Progress } from "../tools/progress.ts";
import { type Collection, collections, type Range, type Source } from "../documents/source.ts";
import { counted } from "../../../phrases.ts";

export interface BackupOptions {
  progress: Progress;
  signal?: AbortSignal;
  /** Source whose documents the backup includes. */
  source?: Source;
}

/** @throws AppError interrupted; the folder then has no manifest and counts as unfinished */
function checkSignal(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new AppError("interrupted", "backing up: stopped on request; remove the folder and start again");
}

const openingBrace = 0x7b;
const newline = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;

async function packTable(
  sql: postgres.ReservedSql,
  { name, columns }: Table,
  folder: string,
  { progress, signal }: BackupOptions,
): Promise<PackedTable> {
  const file = `target/${name}.copy.gz`;
  const writer = await PackedWriter.open(`${folder}/${file}`);
  let rows = 0;
  // COPY reads a partitioned table only by a query.
  const stream = await sql.unsafe(`copy (select ${columns.join()} from ${name}) to stdout`).readable();
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    checkSignal(signal);
    // COPY escapes newlines inside values, so each newline ends a row.
    for (const byte of chunk) if (byte === newline) rows++;
    await writer.write(chunk);
    progress.add(chunk.length, 0);
  }
  // The driver does not resume its socket when the last chunk has paused it; see copyOut().
  (stream as unknown as { _read(bytes: number): void })._read(0);
  const packed = await writer.close(file);
  failpoint("backup.table_packed");
  return { ...packed, name, columns, rows };
}

/** Replaces line breaks by spaces. In JSON, line breaks occur only between tokens. */
const toOneLine = (json: Uint8Array): Uint8Array =>
  json.map((byte) => byte === newline || byte === carriageReturn ? space : byte);

/** Writes the original bytes of a collection: one line per document, or consecutive BSON documents. */
async function packCollection(
  source: Source,
  collection: Collection,
  ranges: Range[],
  folder: string,
  { progress, signal }: BackupOptions,
): Promise<PackedCollection> {
  const isText = source.kind === "mongoexport";
  const file = `source/${collection}.${isText ? "json" : "bson"}.gz`;
  const writer = await PackedWriter.open(`${folder}/${file}`);
  let documents = 0;
  for (const range of ranges) {
    checkSignal(signal);
    const parts: Uint8Array[] = [];
    for (const raw of await source.read(range)) {
      const bytes = raw.original();
      documents++;
      parts.push(isText && bytes[0] === openingBrace ? toOneLine(bytes) : bytes);
      if (isText) parts.push(new Uint8Array([newline]));
    }
    await writer.write(new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()));
    progress.add(range.bytes, range.documents);
  }
  const packed = await writer.close(file);
  failpoint("backup.collection_packed");
  return { ...packed, collection, documents };
}

async function packSource(
  source: Source,
  folder: string,
  options: BackupOptions,
): Promise<NonNullable<Manifest["source"]>> {
  const { progress } = options;
  progress.begin("checking the source", source.bytes);
  const ranges = new Map<Collection, Range[]>();
  for (const name of collections) {
    const onBytes = (bytes: number) => progress.add(bytes, 0);
    ranges.set(name, (await source.survey(name, { rangeBytes: rangeBytesDefault, onBytes })).ranges);
  }
  progress.begin("copying documents", source.bytes);
  const packed: PackedCollection[] = [];
  for (const name of collections) {
    packed.push(await packCollection(source, name, ranges.get(name)!, folder, options));
  }
  const { kind, location } = source;
  return { kind, location, fingerprint: source.fingerprint(), collections: packed };
}

async function packTarget(pool: Pool, folder: string, options: BackupOptions) {
  const sql = await pool.reserve();
  let isCommitted = false;
  try {
    // All tables are read from one snapshot.
    await sql`begin isolation level repeatable read read only`;
    const tables = await listTables(sql);
    failpoint("backup.snapshot_taken");
    const { progress } = options;
    progress.begin("copying tables", tables.reduce((sum, { bytes }) => sum + bytes, 0));
    const packed: PackedTable[] = [];
    for (const table of tables) packed.push(await packTable(sql, table, folder, options));
    const sequences = await sql<Manifest["sequences"]>`
      select schemaname || '.' || sequencename as name, last_value::text as last_value,
        start_value::text as start_value
      from pg_sequences
      where schemaname in ('public', 'migration')
      order by 1`;
    const schema = (await listApplied(sql)).map(({ name, hash }) => ({ name, hash }));
    await sql`commit`;
    isCommitted = true;
    return { tables: packed, sequences: [...sequences], schema };
  } finally {
    // A session that was interrupted inside a COPY cannot be reused.
    if (isCommitted) sql.release();
    else await pool.end({ timeout: 0 });
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true });
    for await (const entry of Deno.readDir(folder)) {
      throw new AppError(
        "usage",
        `--to '${folder}': wanted a new or empty folder, found '${entry.name}' in it`,
      );
    }
    for (const part of ["target", "source"]) await Deno.mkdir(`${folder}/${part}`);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const text = `--to '${folder}': the folder cannot be created: ${(cause as Error).message}`;
    throw new AppError("usage", text, { cause });
  }
}

/**
 * Writes a backup into a new folder. The manifest is written last; a folder without it is an unfinished backup.
 *
 * @throws AppError usage when the folder cannot be used; schema_mismatch, interrupted; errors of the source
 */
export async function backup(pool: Pool, folder: string, options: BackupOptions): Promise<Manifest> {
  await requireSchema(pool);
  await makeFolder(folder);
  failpoint("backup.folder_made");
  const { source, progress } = options;
  const target = await packTarget(pool, folder, options);
  const manifest: Manifest = {
    format: formatName,
    made_at: new Date().toISOString(),
    ...target,
    source: source ? await packSource(source, folder, options) : null,
  };
  failpoint("backup.before_manifest");
  await Deno.writeTextFile(`${folder}/${manifestName}`, `${JSON.stringify(manifest, null, 2)}\n`);
  progress.end();
  failpoint("backup.done");
  return manifest;
}

/** Returns the content of a backup as text. */
export function formatBackup(folder: string, { tables, source }: Manifest): string {
  const files = [...tables, ...source?.collections ?? []];
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const filled = tables.filter(({ rows }) => rows > 0);
  const lines: string[] = [];
  if (filled.length === 0) lines.push("the tables are empty");
  else lines.push(formatTable(["table", "rows"], filled.map(({ name, rows }) => [name, rows])));
  if (source) {
    const rows = source.collections.map(({ collection, documents }) => [collection, documents]);
    lines.push("", formatTable(["collection", "documents"], rows));
  }
  lines.push(
    "",
    `${counted(files.length, "gzip file")} in '${folder}', ${formatBytes(bytes)} unpacked`,
    `to check them: deno task migrate data restore --backup '${folder}' --dry-run`,
  );
  return lines.join("\n");
}
