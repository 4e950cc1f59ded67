/** The digest of a range: SHA-256 of its rows as COPY prints them. */
import { createHash } from "node:crypto";

const encoder = new TextEncoder();

/** Approximate number of UTF-16 code units that are hashed at once. */
const flushLength = 65_536;

/** Collects the keys of rows and hashes their COPY lines. */
export class RangeDigest {
  readonly keys: string[] = [];
  readonly #hash = createHash("sha256");
  #lines: string[] = [];
  #length = 0;

  add(key: string, line: string): void {
    this.keys.push(key);
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length >= flushLength) this.#flush();
  }

  #flush(): void {
    this.#hash.update(encoder.encode(`${this.#lines.join("\n")}\n`));
    this.#lines = [];
    this.#length = 0;
  }

  /** Returns the digest in hex. No row can be added afterwards. */
  finish(): string {
    if (this.#lines.length > 0) this.#flush();
    return this.#hash.digest("hex");
  }
}
