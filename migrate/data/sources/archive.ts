/**
 * A mongodump archive (`--archive`): magic, a prelude that names what is in it, then blocks of documents of any
 * collection in any order, each closed by 0xFFFFFFFF, and for each collection a last header with its checksum.
 */
import { AppError } from "../../../errors.ts";
import { BsonError, documentBytesMax, documentBytesMin, readBson } from "../documents/bson_read.ts";
import type { Bytes, Piece } from "./bytes.ts";
import { Crc64 } from "./crc64.ts";
import type { BsonDocument } from "../documents/tree.ts";

/** The first four bytes of an archive. */
export const archiveMagic = 0x8199e26d;
const terminator = -1;
const bufferBytes = 1024 * 1024;

/** Where a namespace's documents stand. */
export interface Part {
  pieces: Piece[];
  documents: number;
}

/** A namespace as the prelude names it; `database` is empty for the oplog. */
export interface Named {
  database: string;
  collection: string;
  /** JSON with indexes and options. */
  metadata: string;
}

export interface Prelude {
  named: Named[];
  serverVersion: string;
  /** Where the first block stands. */
  end: number;
}

const text = (document: BsonDocument, key: string): string => {
  const value = document.get(key);
  return typeof value === "string" ? value : "";
};

class ArchiveReader {
  #buffer = new Uint8Array(0);
  #start = 0;
  at = 0;
  constructor(readonly bytes: Bytes) {}

  damaged(at: number, why: string): never {
    throw new AppError(
      "invalid_source",
      `reading the archive '${this.bytes.path}' at byte ${at}: it is damaged (${why}); ` +
        "copy it again from where it was dumped, or dump it again; nothing was written",
    );
  }

  truncated(): never {
    throw new AppError(
      "source_truncated",
      `reading the archive '${this.bytes.path}' at byte ${this.at}: it ends before its last block; ` +
        "copy it again from where it was dumped, or dump it again; nothing was written",
    );
  }

  /** The next `length` bytes, good until the next call; undefined at the very end. */
  async take(length: number): Promise<Uint8Array | undefined> {
    let offset = this.at - this.#start;
    if (offset + length > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(bufferBytes, length));
      const kept = this.#buffer.subarray(offset);
      buffer.set(kept);
      const read = await this.bytes.read(this.at + kept.length, buffer.subarray(kept.length));
      this.#buffer = buffer.subarray(0, kept.length + read);
      this.#start = this.at;
      offset = 0;
      if (this.#buffer.length === 0) return undefined;
      if (length > this.#buffer.length) this.truncated();
    }
    this.at += length;
    return this.#buffer.subarray(offset, offset + length);
  }

  /** A document, or undefined for the terminator; null at the end of the archive. */
  async next(): Promise<Uint8Array | undefined | null> {
    const start = this.at;
    const head = await this.take(4);
    if (!head) return null;
    const length = new DataView(head.buffer, head.byteOffset, 4).getInt32(0, true);
    if (length === terminator) return undefined;
    if (length < documentBytesMin || length > documentBytesMax) {
      this.damaged(start, `${length} is neither a document's length nor a block's end`);
    }
    this.at = start;
    return await this.take(length) ?? this.truncated();
  }

  async document(what: string): Promise<BsonDocument | undefined | null> {
    const start = this.at;
    const bytes = await this.next();
    if (!bytes) return bytes;
    try {
      return readBson(bytes);
    } catch (error) {
      if (!(error instanceof BsonError)) throw error;
      return this.damaged(start + error.at, `${what} is no BSON: ${error.what}`);
    }
  }
}

async function openPrelude(reader: ArchiveReader): Promise<Prelude> {
  const magic = await reader.take(4);
  if (!magic || new DataView(magic.buffer, magic.byteOffset, 4).getUint32(0, true) !== archiveMagic) {
    reader.damaged(0, "it does not begin as an archive does");
  }
  const header = await reader.document("its header");
  if (!header) return reader.truncated();
  const named: Named[] = [];
  while (true) {
    const document = await reader.document("its list of collections");
    if (document === null) return reader.truncated();
    if (document === undefined) break;
    const database = text(document, "db");
    const collection = text(document, "collection");
    named.push({ database, collection, metadata: text(document, "metadata") });
  }
  return { named, serverVersion: text(header, "server_version"), end: reader.at };
}

/**
 * Reads what an archive says it holds.
 *
 * @throws AppError invalid_source, source_truncated
 */
export const readPrelude = (bytes: Bytes): Promise<Prelude> => openPrelude(new ArchiveReader(bytes));

class Collected implements Part {
  readonly pieces: Piece[] = [];
  documents = 0;
  readonly crc = new Crc64();
  ended = false;
}

async function readBlock(reader: ArchiveReader, part: Collected): Promise<void> {
  const start = reader.at;
  while (true) {
    const end = reader.at;
    const document = await reader.next();
    if (document === null) return reader.truncated();
    if (document === undefined) {
      if (end > start) part.pieces.push({ at: start, length: end - start });
      return;
    }
    part.crc.update(document);
    part.documents++;
  }
}

/**
 * Reads a whole archive once: where each namespace (`db.collection`) has its documents, checksums compared.
 *
 * @param wanted namespaces that must be there to their end, also when empty
 * @throws AppError invalid_source (a checksum or a length that does not fit), source_truncated
 */
export async function indexArchive(bytes: Bytes, wanted: readonly string[]): Promise<Map<string, Part>> {
  const reader = new ArchiveReader(bytes);
  await openPrelude(reader);
  const parts = new Map<string, Collected>();
  while (true) {
    const start = reader.at;
    const header = await reader.document("a block's header");
    if (header === null) break;
    if (header === undefined) return reader.damaged(start, "a block has no header");
    const name = `${text(header, "db")}.${text(header, "collection")}`;
    const part = parts.get(name) ?? new Collected();
    parts.set(name, part);
    if (part.ended) reader.damaged(start, `'${name}' goes on after its end`);
    await readBlock(reader, part);
    if (header.get("EOF") !== true) continue;
    part.ended = true;
    const told = header.get("CRC");
    const sum = typeof told === "bigint" || typeof told === "number"
      ? BigInt.asUintN(64, BigInt(told))
      : undefined;
    if (sum !== part.crc.value()) {
      reader.damaged(start, `the checksum of '${name}' is ${part.crc.value()}, wanted ${sum}`);
    }
  }
  const isWhole = [...parts.values()].every(({ ended }) => ended) && wanted.every((name) => parts.has(name));
  return isWhole ? parts : reader.truncated();
}
