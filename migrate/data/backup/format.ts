/** What a backup is made of: gzip files with their counts and digests in one manifest, written last. */
import { createHash } from "node:crypto";
import type { Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";

export const formatName = "contactsheet backup 1";
export const manifestName = "manifest.json";

/** A file of it; digest and bytes are those of the unpacked content. */
export interface Packed {
  file: string;
  bytes: number;
  sha256: string;
}

export interface PackedTable extends Packed {
  name: string;
  columns: string[];
  rows: number;
}

export interface PackedCollection extends Packed {
  collection: string;
  documents: number;
}

export interface Manifest {
  format: typeof formatName;
  made_at: string;
  /** Steps of the schema, as the runner knows them. */
  schema: { name: string; hash: string }[];
  /** Referenced tables first. */
  tables: PackedTable[];
  sequences: { name: string; last_value: string | null; start_value: string }[];
  /** The source's documents, in a folder that can be loaded from again. */
  source: { kind: string; location: string; fingerprint: string; collections: PackedCollection[] } | null;
}

// Who is alive and who leads is no data: a backup must not bring dead workers back.
const left = ["migration.schema_steps", "public.workers", "public.leaders"];

export interface Table {
  name: string;
  columns: string[];
  bytes: number;
}

/** Tables with the columns that COPY writes, each after those it refers to. */
export async function listTables(sql: Sql): Promise<Table[]> {
  const rows = await sql<(Table & { oid: number; needs: number[] })[]>`
    select c.oid::int as oid, n.nspname || '.' || c.relname as name, pg_table_size(c.oid)::float8 as bytes,
      array(
        select quote_ident(a.attname) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum
      ) as columns,
      array(
        select k.confrelid::int from pg_constraint k
        where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid
      ) as needs
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('public', 'migration') and n.nspname || '.' || c.relname <> all (${left})
    order by n.nspname, c.relname collate "C"`;
  const known = new Set(rows.map(({ oid }) => oid));
  const placed = new Set<number>();
  const order: Table[] = [];
  while (order.length < rows.length) {
    const next = rows.find(({ oid, needs }) =>
      !placed.has(oid) && needs.every((need) => placed.has(need) || !known.has(need))
    );
    if (!next) throw new AppError("internal", "ordering tables: their foreign keys go in a circle");
    placed.add(next.oid);
    const { name, columns, bytes } = next;
    order.push({ name, columns, bytes });
  }
  return order;
}

/** Writes one gzip file and counts what goes in. */
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

  async close(file: string): Promise<Packed> {
    await this.#writer.close();
    await this.#written;
    return { file, bytes: this.bytes, sha256: this.#hash.digest("hex") };
  }
}

/** The unpacked content of a file. */
export async function* unpack(path: string): AsyncGenerator<Uint8Array> {
  const file = await Deno.open(path);
  for await (const chunk of file.readable.pipeThrough(new DecompressionStream("gzip"))) yield chunk;
}

/**
 * Reads and checks every file of a backup against its manifest.
 *
 * @throws AppError invalid_source naming the file
 */
export async function checkFiles(
  folder: string,
  files: Packed[],
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
        `checking the backup '${folder}': '${file}' is not what was written: wanted ${bytes} bytes with SHA-256 ` +
          `${sha256}, found ${found} with ${digest}`,
      );
    }
  }
}

/**
 * Reads the manifest.
 *
 * @throws AppError source_missing, not_a_dump
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const text = await Deno.readTextFile(`${folder}/${manifestName}`).catch(() => undefined);
  if (text === undefined) {
    throw new AppError(
      "source_missing",
      `reading the backup '${folder}': it has no ${manifestName}; that file is written last, so either this is no ` +
        "backup or it was never finished",
    );
  }
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.format === formatName && Array.isArray(manifest.tables)) return manifest;
  } catch {
    // Said below.
  }
  throw new AppError(
    "not_a_dump",
    `reading the backup '${folder}': ${manifestName} is not of format '${formatName}'`,
  );
}
