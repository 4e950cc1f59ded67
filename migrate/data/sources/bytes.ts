/** Bytes of a file by place, plain or gzip, whole or in pieces: what dumps are read from. */
import { createReadStream, type ReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { AppError } from "../../../errors.ts";

/** Bytes that can be read from any place; one after the other is fastest. */
export interface Bytes extends AsyncDisposable {
  /** For messages. */
  readonly path: string;
  /** Size of the file itself, for progress. */
  readonly fileBytes: number;
  /** Bytes of the file itself gone through so far. */
  readonly passed: number;
  /**
   * Fills `into` as far as there are bytes from `at` on, and says how many.
   *
   * @throws AppError source_changed, source_truncated, invalid_source
   */
  read(at: number, into: Uint8Array): Promise<number>;
}

export interface Stamp {
  size: number;
  changedAt: number;
}

/** Size and time of a file; undefined where there is none. */
export async function stampOf(path: string): Promise<Stamp | undefined> {
  const stat = await Deno.stat(path).catch(() => undefined);
  return stat?.isFile ? { size: stat.size, changedAt: stat.mtime?.getTime() ?? 0 } : undefined;
}

async function checkStamp(path: string, stamp: Stamp): Promise<void> {
  const now = await stampOf(path);
  if (now?.size === stamp.size && now.changedAt === stamp.changedAt) return;
  throw new AppError(
    "source_changed",
    `reading '${path}': it was changed while it is being read; leave it alone and run the same command again`,
  );
}

class PlainBytes implements Bytes {
  passed = 0;
  constructor(readonly path: string, readonly stamp: Stamp) {}

  get fileBytes() {
    return this.stamp.size;
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    await checkStamp(this.path, this.stamp);
    using file = await Deno.open(this.path);
    await file.seek(at, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < into.length) {
      const read = await file.read(into.subarray(filled));
      if (read === null) break;
      filled += read;
    }
    this.passed = at + filled;
    return filled;
  }

  // Nothing stays open between two reads.
  [Symbol.asyncDispose]() {
    return Promise.resolve();
  }
}

/** Unpacks forward and forgets; a place before the last one read starts again from the file's beginning. */
class GzipBytes implements Bytes {
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #file: ReadStream | undefined;
  #rest: Uint8Array = new Uint8Array(0);
  #at = 0;
  constructor(readonly path: string, readonly stamp: Stamp) {}

  get fileBytes() {
    return this.stamp.size;
  }

  get passed() {
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
    this.#at = 0;
  }

  async #next(): Promise<boolean> {
    try {
      const { value, done } = await this.#chunks!.next();
      if (!done) this.#rest = value;
      return !done;
    } catch (cause) {
      const isShort = (cause as { code?: string }).code === "Z_BUF_ERROR";
      throw new AppError(
        isShort ? "source_truncated" : "invalid_source",
        `reading '${this.path}': its gzip data ${
          isShort ? "ends early" : "is damaged"
        } after byte ${this.#at} ` +
          "of what it unpacks to; copy or dump it again; nothing was written",
        { cause },
      );
    }
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    await checkStamp(this.path, this.stamp);
    if (!this.#chunks || at < this.#at) await this.#start();
    let filled = 0;
    while (filled < into.length) {
      if (this.#rest.length === 0 && !await this.#next()) break;
      const passed = Math.min(this.#rest.length, Math.max(0, at - this.#at));
      const taken = this.#rest.subarray(passed, passed + into.length - filled);
      into.set(taken, filled);
      filled += taken.length;
      this.#at += passed + taken.length;
      this.#rest = this.#rest.subarray(passed + taken.length);
    }
    return filled;
  }

  async [Symbol.asyncDispose]() {
    const chunks = this.#chunks;
    this.#chunks = undefined;
    await chunks?.return?.();
  }
}

/** Opens a file; gzip is told by its first bytes, not by its name. */
export async function openBytes(path: string, stamp: Stamp): Promise<Bytes> {
  using file = await Deno.open(path);
  const head = new Uint8Array(2);
  await file.read(head);
  return head[0] === 0x1f && head[1] === 0x8b ? new GzipBytes(path, stamp) : new PlainBytes(path, stamp);
}

export interface Piece {
  at: number;
  length: number;
}

/** Pieces of other bytes as if they stood one after the other. */
export class PiecedBytes implements Bytes {
  passed = 0;
  constructor(readonly whole: Bytes, readonly pieces: readonly Piece[]) {}

  get path() {
    return this.whole.path;
  }

  get fileBytes() {
    return this.pieces.reduce((sum, { length }) => sum + length, 0);
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    let filled = 0;
    let start = 0;
    for (const piece of this.pieces) {
      const end = start + piece.length;
      if (at + filled < end && filled < into.length) {
        const offset = at + filled - start;
        const part = into.subarray(filled, filled + Math.min(into.length - filled, piece.length - offset));
        const read = await this.whole.read(piece.at + offset, part);
        filled += read;
        if (read < part.length) break;
      }
      start = end;
    }
    this.passed = at + filled;
    return filled;
  }

  [Symbol.asyncDispose]() {
    return this.whole[Symbol.asyncDispose]();
  }
}
