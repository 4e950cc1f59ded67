/**
 * The hash that MongoDB computes for hashed indexes and as `$toHashedIndexKey`, so that documents can be compared
 * without transferring them. Numbers are hashed as their whole part, so it does not tell 0.5 from 0.7: compare the
 * size of the documents as well.
 */
import { createHash } from "node:crypto";
import { BsonLayout } from "./bson_layout.ts";

/** MongoDB's order of types, by BSON type. */
const canonicalTypes: Record<number, number> = {
  0xff: 255 - 256,
  0x7f: 127,
  0x00: 0,
  0x06: 0,
  0x0a: 5,
  0x01: 10,
  0x10: 10,
  0x12: 10,
  0x13: 10,
  0x02: 15,
  0x0e: 15,
  0x03: 20,
  0x04: 25,
  0x05: 30,
  0x07: 35,
  0x08: 40,
  0x09: 45,
  0x11: 47,
  0x0b: 50,
  0x0c: 55,
  0x0d: 60,
  0x0f: 65,
};

const int64Max = 2n ** 63n - 1n;
const int64Min = -(2n ** 63n);

/** Returns the whole part of a double as the server converts it. */
function wholeOf(value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  if (value >= 2 ** 63) return int64Max;
  if (value <= -(2 ** 63)) return int64Min;
  return BigInt(Math.trunc(value));
}

/** Collects the bytes that are hashed. */
class Hasher extends BsonLayout {
  #buffer = new Uint8Array(64 * 1024);
  #view = new DataView(this.#buffer.buffer);
  #at = 0;
  #hasDecimal = false;
  readonly #hash = createHash("md5");

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    this.#flush();
    if (bytes <= this.#buffer.length) return;
    this.#buffer = new Uint8Array(bytes);
    this.#view = new DataView(this.#buffer.buffer);
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#at));
    this.#at = 0;
  }

  addInt(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.#at, value, true);
    this.#at += 4;
  }

  addLong(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.#at, value, true);
    this.#at += 8;
  }

  addBytes(from: number, to: number): void {
    this.#reserve(to - from);
    this.#buffer.set(this.bytes.subarray(from, to), this.#at);
    this.#at += to - from;
  }

  /** Returns the hash, or undefined if the document holds a Decimal128, whose rounding is not reproduced here. */
  finish(): bigint | undefined {
    if (this.#hasDecimal) return undefined;
    this.#flush();
    const digest = this.#hash.digest();
    return new DataView(digest.buffer, digest.byteOffset).getBigInt64(0, true);
  }

  /** Adds the fields of a document, and its end. */
  addDocument(at: number, limit: number): void {
    const end = this.endOfDocument(at, limit);
    let offset = at + 4;
    while (this.bytes[offset] !== 0) {
      const type = this.bytes[offset]!;
      const nameEnd = this.endOfName(offset + 1, end - 1);
      const valueEnd = this.endOfValue(type, nameEnd + 1, end - 1, offset);
      this.addInt(canonicalTypes[type] ?? 0);
      this.addBytes(offset + 1, nameEnd + 1);
      this.#addValue(type, nameEnd + 1, valueEnd);
      offset = valueEnd;
    }
    // The end of a document counts as an element without a name and without a value.
    this.addInt(0);
  }

  #addValue(type: number, from: number, to: number): void {
    if (type === 0x03 || type === 0x04) this.addDocument(from, to);
    else if (type === 0x0f) {
      const codeBytes = this.int(from + 4);
      this.addBytes(from + 8, from + 8 + codeBytes);
      this.addDocument(from + 8 + codeBytes, to);
    } else if (type === 0x01) this.addLong(wholeOf(this.view.getFloat64(from, true)));
    else if (type === 0x13) this.#hasDecimal = true;
    else if (type === 0x10) this.addLong(BigInt(this.int(from)));
    else this.addBytes(from, to);
  }
}

/**
 * Returns the hash of a document, or undefined for a document with a Decimal128.
 *
 * @param document BSON
 */
export function hashDocument(document: Uint8Array): bigint | undefined {
  const hasher = new Hasher(document);
  // The seed of hashed indexes.
  hasher.addInt(0);
  hasher.addInt(canonicalTypes[0x03]!);
  hasher.addDocument(0, document.length);
  return hasher.finish();
}
