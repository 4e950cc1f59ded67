/** A snapshot of the target's tables, and of the source's documents with it where one is named. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { sayBytes } from "../assess/verdict.ts";
import { failpoint } from "../tools/failpoint.ts";
import { formatTable } from "../ledger/status.ts";
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
import { rangeBytesDefault } from "../load/load.ts";
import type { Progress } from "../tools/progress.ts";
import { type Collection, collections, type Range, type Source } from "../documents/source.ts";

export interface BackupOptions {
  progress: Progress;
  signal?: AbortSignal;
  /** Its documents' bytes are kept, too. */
  source?: Source;
}

/** Ends a backup that was interrupted: without its manifest it counts as unfinished. */
function check(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new AppError("interrupted", "backing up: stopped as asked; remove the folder and start again");
}

async function packTable(
  sql: postgres.ReservedSql,
  { name, columns }: Table,
  folder: string,
  { progress, signal }: BackupOptions,
): Promise<PackedTable> {
  const file = `target/${name}.copy.gz`;
  const writer = await PackedWriter.open(`${folder}/${file}`);
  let rows = 0;
  const stream = await sql.unsafe(`copy ${name} (${columns.join()}) to stdout`).readable();
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    check(signal);
    // Newlines inside a value are escaped.
    for (const byte of chunk) if (byte === 10) rows++;
    await writer.write(chunk);
    progress.add(chunk.length, 0);
  }
  // As in copyOut(): the driver forgets to resume its socket.
  (stream as unknown as { _read(bytes: number): void })._read(0);
  const packed = await writer.close(file);
  failpoint("backup.table_packed");
  return { ...packed, name, columns, rows };
}

const brace = 123;
const newline = 10;
const carriage = 13;
const space = 32;

/** One line a document, or BSON one after the other, as they came. */
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
    check(signal);
    const parts: Uint8Array[] = [];
    for (const raw of await source.read(range)) {
      const bytes = raw.original();
      documents++;
      if (!isText || bytes[0] !== brace) parts.push(bytes);
      // A document of an array may stand over many lines; between tokens a space says the same.
      else parts.push(bytes.map((byte) => byte === newline || byte === carriage ? space : byte));
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
  const surveys = new Map<Collection, Range[]>();
  for (const name of collections) {
    const onBytes = (bytes: number) => progress.add(bytes, 0);
    surveys.set(name, (await source.survey(name, { rangeBytes: rangeBytesDefault, onBytes })).ranges);
  }
  progress.begin("keeping documents", source.bytes);
  const packed: PackedCollection[] = [];
  for (const name of collections) {
    packed.push(await packCollection(source, name, surveys.get(name)!, folder, options));
  }
  const { kind, location } = source;
  return { kind, location, fingerprint: source.fingerprint(), collections: packed };
}

async function packTarget(pool: Pool, folder: string, options: BackupOptions) {
  const sql = await pool.reserve();
  let whole = false;
  try {
    // One snapshot for all tables, whatever is written meanwhile.
    await sql`begin isolation level repeatable read read only`;
    const tables = await listTables(sql);
    failpoint("backup.snapshot_taken");
    const { progress } = options;
    progress.begin("keeping tables", tables.reduce((sum, { bytes }) => sum + bytes, 0));
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
    whole = true;
    return { tables: packed, sequences: [...sequences], schema };
  } finally {
    // Stopped within a COPY the session is of no more use.
    if (whole) sql.release();
    else await pool.end({ timeout: 0 });
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true });
    for await (const entry of Deno.readDir(folder)) {
      throw new AppError("usage", `--to '${folder}': wanted a new or empty folder, it holds '${entry.name}'`);
    }
    for (const part of ["target", "source"]) await Deno.mkdir(`${folder}/${part}`);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("usage", `--to '${folder}': it cannot be made: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/**
 * Writes a backup into a new folder. The manifest comes last: a folder without it is no backup.
 *
 * @throws AppError usage (the folder), schema_mismatch, interrupted, and what reading the source throws
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

/** What was kept, for people. */
export function formatBackup(folder: string, { tables, source }: Manifest): string {
  const files = [...tables, ...source?.collections ?? []];
  const filled = tables.filter(({ rows }) => rows > 0);
  return [
    filled.length === 0
      ? "the tables are empty"
      : formatTable(["table", "rows"], filled.map(({ name, rows }) => [name, rows])),
    ...(source
      ? [
        "",
        formatTable(
          ["documents of", "documents"],
          source.collections.map((c) => [c.collection, c.documents]),
        ),
      ]
      : []),
    "",
    `${files.length} files of ${
      sayBytes(files.reduce((sum, { bytes }) => sum + bytes, 0))
    }, gzip, in '${folder}'`,
    `check them: deno task migrate data restore --backup '${folder}' --dry-run`,
  ].join("\n");
}
