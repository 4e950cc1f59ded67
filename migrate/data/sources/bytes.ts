/** Random access to the bytes of a file, which may be compressed by gzip. */
import { createReadStream, type ReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { AppError } from "../../../errors.ts";

/** Bytes that can be read from any offset. Sequential reads are the fastest. */
export interface Bytes extends AsyncDisposable {
  /** Path of the file, for messages. */
  readonly path: string;
  /** Size of the file on disk, for progress. */
  readonly fileBytes: number;
  /** Bytes of the file on disk that were read so far. */
  readonly fileOffset: number;
  /**
   * Fills `into` with the bytes from `offset` on. Returns their number, which is smaller at the end of the file.
   *
   * @throws AppError source_changed, source_truncated, invalid_source
   */
  read(offset: number, into: Uint8Array): Promise<number>;
}

/** Identifies a version of a file. */
export interface FileStamp {
  size: number;
  changedAt: number;
}

/** Returns the size and modification time of a file, or undefined if there is no such file. */
export async function findStamp(path: string): Promise<FileStamp | undefined> {
  const stat = await Deno.stat(path).catch(() => undefined);
  return stat?.isFile ? { size: stat.size, changedAt: stat.mtime?.getTime() ?? 0 } : undefined;
}

/**
 * Checks that a file still has its stamp.
 *
 * @throws AppError source_changed
 */
export async function checkStamp(path: string, stamp: FileStamp): Promise<void> {
  const now = await findStamp(path);
  if (now?.size === stamp.size && now.changedAt === stamp.changedAt) return;
  throw new AppError(
    "source_changed",
    `reading '${path}': it changed while it was being read; leave it alone and run the same command again`,
  );
}

class PlainBytes implements Bytes {
  fileOffset = 0;
  constructor(readonly path: string, readonly stamp: FileStamp) {}

  get fileBytes() {
    return this.stamp.size;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    await checkStamp(this.path, this.stamp);
    using file = await Deno.open(this.path);
    await file.seek(offset, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < into.length) {
      const read = await file.read(into.subarray(filled));
      if (read === null) break;
      filled += read;
    }
    this.fileOffset = offset + filled;
    return filled;
  }

  // No file is open between two reads.
  [Symbol.asyncDispose]() {
    return Promise.resolve();
  }
}

/** Decompresses sequentially without a cache. Reading an earlier offset starts again at the beginning. */
class GzipBytes implements Bytes {
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #file: ReadStream | undefined;
  /** Decompressed bytes from `#offset` on. */
  #rest: Uint8Array = new Uint8Array(0);
  #offset = 0;
  constructor(readonly path: string, readonly stamp: FileStamp) {}

  get fileBytes() {
    return this.stamp.size;
  }

  get fileOffset() {
    return this.#file?.bytesRead ?? 0;
  }

  async #start(): Promise<void> {
    await this[Symbol.asyncDispose]();
    const gunzip = createGunzip({ chunkSize: 256 * 1024 });
    const file = createReadStream(this.path, { highWaterMark: 256 * 1024 });
    this.#file = file;
    file.on("error", (error) => gunzip.destroy(error));
    file.pipe(gunzip);
    this.#chunks = gunzip[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    this.#rest = new Uint8Array(0);
    this.#offset = 0;
  }

  async #next(): Promise<boolean> {
    try {
      const { value, done } = await this.#chunks!.next();
      if (!done) this.#rest = value;
      return !done;
    } catch (cause) {
      const isShort = (cause as { code?: string }).code === "Z_BUF_ERROR";
      const problem = isShort ? "ends early" : "is damaged";
      throw new AppError(
        isShort ? "source_truncated" : "invalid_source",
        `reading '${this.path}': its gzip data ${problem} after byte ${this.#offset} of the decompressed content; ` +
          "copy or dump it again; nothing was written",
        { cause },
      );
    }
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    await checkStamp(this.path, this.stamp);
    if (!this.#chunks || offset < this.#offset) await this.#start();
    let filled = 0;
    while (filled < into.length) {
      if (this.#rest.length === 0 && !await this.#next()) break;
      const skipped = Math.min(this.#rest.length, Math.max(0, offset - this.#offset));
      const part = this.#rest.subarray(skipped, skipped + into.length - filled);
      into.set(part, filled);
      filled += part.length;
      this.#offset += skipped + part.length;
      this.#rest = this.#rest.subarray(skipped + part.length);
    }
    return filled;
  }

  async [Symbol.asyncDispose]() {
    const chunks = this.#chunks;
    this.#chunks = undefined;
    await chunks?.return?.();
  }
}

/** Opens a file. Its first bytes, not its name, tell whether it is compressed by gzip. */
export async function openBytes(path: string, stamp: FileStamp): Promise<Bytes> {
  using file = await Deno.open(path);
  const head = new Uint8Array(2);
  await file.read(head);
  return head[0] === 0x1f && head[1] === 0x8b ? new GzipBytes(path, stamp) : new PlainBytes(path, stamp);
}

/** A section of other bytes. */
export interface Piece {
  offset: number;
  length: number;
}

/** Pieces of other bytes, joined. */
export class JoinedBytes implements Bytes {
  fileOffset = 0;
  constructor(readonly whole: Bytes, readonly pieces: readonly Piece[]) {}

  get path() {
    return this.whole.path;
  }

  get fileBytes() {
    return this.pieces.reduce((sum, { length }) => sum + length, 0);
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    let filled = 0;
    let start = 0;
    for (const piece of this.pieces) {
      const end = start + piece.length;
      if (offset + filled < end && filled < into.length) {
        const skipped = offset + filled - start;
        const part = into.subarray(filled, filled + Math.min(into.length - filled, piece.length - skipped));
        const read = await this.whole.read(piece.offset + skipped, part);
        filled += read;
        if (read < part.length) break;
      }
      start = end;
    }
    this.fileOffset = offset + filled;
    return filled;
  }

  [Symbol.asyncDispose]() {
    return this.whole[Symbol.asyncDispose]();
  }
}
