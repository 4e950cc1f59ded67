/** The format of a backup: gzip files, and a manifest with their counts and digests that is written last. */
import { createHash } from "node:crypto";
import type { Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { counted } from "../../../phrases.ts";

export const formatName = "contactsheet backup 1";
export const manifestName = "manifest.json";

/** A file of a backup. Size and digest are those of the unpacked content. */
export interface PackedFile {
  file: string;
  bytes: number;
  sha256: string;
}

export interface PackedTable extends PackedFile {
  name: string;
  columns: string[];
  rows: number;
}

export interface PackedCollection extends PackedFile {
  collection: string;
  documents: number;
}

export interface Manifest {
  format: typeof formatName;
  made_at: string;
  /** Applied steps of the schema. */
  schema: { name: string; hash: string }[];
  /** Tables in the order of their foreign keys, referenced tables first. */
  tables: PackedTable[];
  sequences: { name: string; last_value: string | null; start_value: string }[];
  /** Documents of the source, in a folder that can be loaded again; null without a source. */
  source: { kind: string; location: string; fingerprint: string; collections: PackedCollection[] } | null;
}

/** Tables that a backup leaves out. Registered workers and the leader lease describe running processes. */
const excludedTables = ["migration.schema_steps", "public.workers", "public.leaders"];

export interface Table {
  name: string;
  columns: string[];
  bytes: number;
}

/** Returns the rows in an order in which each table follows the tables that it references. */
function sortByReferences(rows: (Table & { oid: number; references: number[] })[]): Table[] {
  const known = new Set(rows.map(({ oid }) => oid));
  const sorted = new Set<number>();
  const tables: Table[] = [];
  while (tables.length < rows.length) {
    const next = rows.find(({ oid, references }) =>
      !sorted.has(oid) && references.every((other) => sorted.has(other) || !known.has(other))
    );
    if (!next) throw new AppError("internal", "sorting tables: their foreign keys form a cycle");
    sorted.add(next.oid);
    const { name, columns, bytes } = next;
    tables.push({ name, columns, bytes });
  }
  return tables;
}

/** Lists the tables with the columns that COPY writes, referenced tables first. */
export async function listTables(sql: Sql): Promise<Table[]> {
  const rows = await sql<(Table & { oid: number; references: number[] })[]>`
    select c.oid::int as oid, n.nspname || '.' || c.relname as name,
      (pg_table_size(c.oid)
        + coalesce((select sum(pg_table_size(inhrelid)) from pg_inherits where inhparent = c.oid), 0))::float8 as bytes,
      array(
        select quote_ident(a.attname)
        from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum
      ) as columns,
      array(
        select k.confrelid::int
        from pg_constraint k
        where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid and k.conparentid = 0
      ) as "references"
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname in ('public', 'migration')
      and n.nspname || '.' || c.relname <> all (${excludedTables})
    order by n.nspname, c.relname collate "C"`;
  return sortByReferences(rows);
}

/** Writes one gzip file, and counts and hashes its content. */
export class PackedWriter {
  bytes = 0;
  readonly #hash = createHash("sha256");
  readonly #writer: WritableStreamDefaultWriter<BufferSource>;
  readonly #written: Promise<void>;

  private constructor(file: Deno.FsFile) {
    const gzip = new CompressionStream("gzip");
    this.#written = gzip.readable.pipeTo(file.writable);
    this.#written.catch(() => {});
    this.#writer = gzip.writable.getWriter();
  }

  static async open(path: string): Promise<PackedWriter> {
    return new PackedWriter(await Deno.open(path, { write: true, createNew: true }));
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    await this.#writer.write(chunk as Uint8Array<ArrayBuffer>);
  }

  async close(file: string): Promise<PackedFile> {
    await this.#writer.close();
    await this.#written;
    return { file, bytes: this.bytes, sha256: this.#hash.digest("hex") };
  }
}

/** Yields the unpacked content of a gzip file. */
export async function* unpack(path: string): AsyncGenerator<Uint8Array> {
  const file = await Deno.open(path);
  for await (const chunk of file.readable.pipeThrough(new DecompressionStream("gzip"))) yield chunk;
}

/**
 * Compares the size and the digest of every file with the manifest.
 *
 * @throws AppError invalid_source, which names the file
 */
export async function checkFiles(
  folder: string,
  files: PackedFile[],
  onBytes: (bytes: number) => void,
): Promise<void> {
  for (const { file, bytes, sha256 } of files) {
    const hash = createHash("sha256");
    let found = 0;
    try {
      for await (const chunk of unpack(`${folder}/${file}`)) {
        hash.update(chunk);
        found += chunk.length;
        onBytes(chunk.length);
      }
    } catch (cause) {
      throw new AppError(
        "invalid_source",
        `checking the backup '${folder}': '${file}' cannot be unpacked: ${(cause as Error).message}`,
        { cause },
      );
    }
    const digest = hash.digest("hex");
    if (digest !== sha256 || found !== bytes) {
      throw new AppError(
        "invalid_source",
        `checking the backup '${folder}': '${file}' is damaged: wanted ${
          counted(bytes, "byte")
        } with SHA-256 ${sha256}, ` +
          `found ${counted(found, "byte")} with SHA-256 ${digest}`,
      );
    }
  }
}

/**
 * Reads the manifest of a backup.
 *
 * @throws AppError source_missing, not_a_dump
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const text = await Deno.readTextFile(`${folder}/${manifestName}`).catch(() => undefined);
  if (text === undefined) {
    throw new AppError(
      "source_missing",
      `reading the backup '${folder}': it has no ${manifestName}; the folder is not a backup, or the backup was not ` +
        "finished",
    );
  }
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.format === formatName && Array.isArray(manifest.tables)) return manifest;
  } catch {
    // Invalid JSON is reported below.
  }
  throw new AppError(
    "not_a_dump",
    `reading the backup '${folder}': ${manifestName} does not have the format '${formatName}'`,
  );
}
