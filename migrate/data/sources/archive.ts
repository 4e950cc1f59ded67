/**
 * Format of a mongodump archive (`--archive`): a magic number, a prelude with the names of the collections, then
 * blocks. A block is a header and documents of one collection, terminated by 0xFFFFFFFF. Blocks of different
 * collections may alternate. The last header of each collection holds its checksum.
 */
import { AppError } from "../../../errors.ts";
import { BsonError, documentBytesMax, documentBytesMin } from "../documents/bson_layout.ts";
import { readBson } from "../documents/bson_read.ts";
import type { Bytes, Piece } from "./bytes.ts";
import { Crc64 } from "./crc64.ts";
import type { BsonDocument } from "../documents/tree.ts";

/** The first four bytes of an archive. */
export const archiveMagic = 0x8199e26d;
const terminator = -1;
const bufferBytes = 1024 * 1024;

/** The documents of a namespace. */
export interface Part {
  pieces: Piece[];
  documents: number;
}

/** A namespace in the prelude. `database` is empty for the oplog. */
export interface Namespace {
  database: string;
  collection: string;
  /** Indexes and options as JSON. */
  metadata: string;
}

export interface Prelude {
  namespaces: Namespace[];
  serverVersion: string;
  /** Offset of the first block. */
  end: number;
}

const readText = (document: BsonDocument, key: string): string => {
  const value = document.get(key);
  return typeof value === "string" ? value : "";
};

class ArchiveReader {
  #buffer = new Uint8Array(0);
  /** Offset of the buffer. */
  #start = 0;
  /** Offset of the next byte. */
  offset = 0;
  constructor(readonly bytes: Bytes) {}

  throwDamaged(offset: number, why: string): never {
    throw new AppError(
      "invalid_source",
      `reading the archive '${this.bytes.path}' at byte ${offset}: it is damaged (${why}); ` +
        "copy it again from where it was dumped, or dump it again; nothing was written",
    );
  }

  throwTruncated(): never {
    throw new AppError(
      "source_truncated",
      `reading the archive '${this.bytes.path}' at byte ${this.offset}: it ends before its last block; ` +
        "copy it again from where it was dumped, or dump it again; nothing was written",
    );
  }

  /** Reads the next `length` bytes, valid until the next call. Returns undefined at the end of the archive. */
  async read(length: number): Promise<Uint8Array | undefined> {
    let start = this.offset - this.#start;
    if (start + length > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(bufferBytes, length));
      const rest = this.#buffer.subarray(start);
      buffer.set(rest);
      const read = await this.bytes.read(this.offset + rest.length, buffer.subarray(rest.length));
      this.#buffer = buffer.subarray(0, rest.length + read);
      this.#start = this.offset;
      start = 0;
      if (this.#buffer.length === 0) return undefined;
      if (length > this.#buffer.length) this.throwTruncated();
    }
    this.offset += length;
    return this.#buffer.subarray(start, start + length);
  }

  /** Reads a document. Returns undefined for the terminator, and null at the end of the archive. */
  async readRaw(): Promise<Uint8Array | undefined | null> {
    const start = this.offset;
    const head = await this.read(4);
    if (!head) return null;
    const length = new DataView(head.buffer, head.byteOffset, 4).getInt32(0, true);
    if (length === terminator) return undefined;
    if (length < documentBytesMin || length > documentBytesMax) {
      this.throwDamaged(start, `${length} is neither a document's length nor a block's end`);
    }
    this.offset = start;
    return await this.read(length) ?? this.throwTruncated();
  }

  /** Parses a document. Returns undefined for the terminator, and null at the end of the archive. */
  async readDocument(name: string): Promise<BsonDocument | undefined | null> {
    const start = this.offset;
    const bytes = await this.readRaw();
    if (!bytes) return bytes;
    try {
      return readBson(bytes);
    } catch (error) {
      if (!(error instanceof BsonError)) throw error;
      return this.throwDamaged(start + error.at, `${name} is not BSON: ${error.problem}`);
    }
  }
}

async function parsePrelude(reader: ArchiveReader): Promise<Prelude> {
  const magic = await reader.read(4);
  if (!magic || new DataView(magic.buffer, magic.byteOffset, 4).getUint32(0, true) !== archiveMagic) {
    reader.throwDamaged(0, "it does not start like an archive");
  }
  const header = await reader.readDocument("its header");
  if (!header) return reader.throwTruncated();
  const namespaces: Namespace[] = [];
  while (true) {
    const document = await reader.readDocument("its list of collections");
    if (document === null) return reader.throwTruncated();
    if (document === undefined) break;
    const database = readText(document, "db");
    const collection = readText(document, "collection");
    namespaces.push({ database, collection, metadata: readText(document, "metadata") });
  }
  return { namespaces, serverVersion: readText(header, "server_version"), end: reader.offset };
}

/**
 * Reads the prelude of an archive.
 *
 * @throws AppError invalid_source, source_truncated
 */
export const readPrelude = (bytes: Bytes): Promise<Prelude> => parsePrelude(new ArchiveReader(bytes));

/** A part that is being read. */
class PartBuilder implements Part {
  readonly pieces: Piece[] = [];
  documents = 0;
  readonly crc = new Crc64();
  ended = false;
}

async function readBlock(reader: ArchiveReader, part: PartBuilder): Promise<void> {
  const start = reader.offset;
  while (true) {
    const end = reader.offset;
    const document = await reader.readRaw();
    if (document === null) return reader.throwTruncated();
    if (document === undefined) {
      if (end > start) part.pieces.push({ offset: start, length: end - start });
      return;
    }
    part.crc.update(document);
    part.documents++;
  }
}

/**
 * Reads a whole archive, checks its checksums, and returns the parts by namespace (`db.collection`).
 *
 * @param wanted namespaces that must be complete, even if they are empty
 * @throws AppError invalid_source (a checksum or a length is wrong), source_truncated
 */
export async function indexArchive(bytes: Bytes, wanted: readonly string[]): Promise<Map<string, Part>> {
  const reader = new ArchiveReader(bytes);
  await parsePrelude(reader);
  const parts = new Map<string, PartBuilder>();
  while (true) {
    const start = reader.offset;
    const header = await reader.readDocument("a block's header");
    if (header === null) break;
    if (header === undefined) return reader.throwDamaged(start, "a block has no header");
    const name = `${readText(header, "db")}.${readText(header, "collection")}`;
    const part = parts.get(name) ?? new PartBuilder();
    parts.set(name, part);
    if (part.ended) reader.throwDamaged(start, `'${name}' continues after its end`);
    await readBlock(reader, part);
    if (header.get("EOF") !== true) continue;
    part.ended = true;
    const expected = header.get("CRC");
    const sum = typeof expected === "bigint" || typeof expected === "number"
      ? BigInt.asUintN(64, BigInt(expected))
      : undefined;
    if (sum !== part.crc.value()) {
      reader.throwDamaged(start, `the checksum of '${name}' is ${part.crc.value()}, wanted ${sum}`);
    }
  }
  const isComplete = [...parts.values()].every(({ ended }) => ended) &&
    wanted.every((name) => parts.has(name));
  return isComplete ? parts : reader.throwTruncated();
}
