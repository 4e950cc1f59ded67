/** The digest of a range: SHA-256 of its rows as COPY prints them. */
import { createHash } from "node:crypto";
import { LineBuffer } from "../tools/line_buffer.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { addFastLine, type FastPath, keyOfFastLine } from "../lens/tables.ts";

/** Bytes that are hashed at once. */
const flushBytes = 64 * 1024;

/** Collects the keys of rows and hashes their COPY lines. */
export class RangeDigest {
  readonly keys: string[] = [];
  readonly #hash = createHash("sha256");
  readonly #lines = new LineBuffer(2 * flushBytes);

  add(key: string, line: string): void {
    this.keys.push(key);
    this.#lines.addText(line);
    this.#flushIfFull();
  }

  /** Adds the row of a document, if the fast path accepts the document. */
  addFast(collection: Collection, fastPath: FastPath | undefined, raw: RawDocument): boolean {
    const start = this.#lines.length;
    if (!addFastLine(fastPath, raw, this.#lines)) return false;
    this.keys.push(keyOfFastLine(collection, this.#lines, start));
    this.#flushIfFull();
    return true;
  }

  #flushIfFull(): void {
    if (this.#lines.length >= flushBytes) this.#flush();
  }

  #flush(): void {
    this.#hash.update(this.#lines.content);
    this.#lines.clear();
  }

  /** Returns the digest in hex. No row can be added afterwards. */
  finish(): string {
    this.#flush();
    return this.#hash.digest("hex");
  }
}
