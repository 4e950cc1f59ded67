/** The layout of BSON: bounds of documents, names and values, and a check that builds no tree. */
import { depthMax } from "./tree.ts";

/** Reports bytes that are not BSON. `at` is the offset of the problem. */
export class BsonError extends Error {
  constructor(readonly problem: string, readonly at: number) {
    super(`${problem} at byte ${at}`);
    this.name = "BsonError";
  }
}

/** Minimum and maximum bytes of a document. The maximum is 16 MB and what MongoDB adds for its own fields. */
export const documentBytesMin = 5;
export const documentBytesMax = 16 * 1024 * 1024 + 16 * 1024;

/** Bytes of a value by type, for types of fixed size. */
const fixedBytes: Record<number, number> = {
  0x01: 8,
  0x06: 0,
  0x07: 12,
  0x08: 1,
  0x09: 8,
  0x0a: 0,
  0x10: 4,
  0x11: 8,
  0x12: 8,
  0x13: 16,
  0x7f: 0,
  0xff: 0,
};

const hexOf = (type: number) => `0x${type.toString(16).padStart(2, "0")}`;

/** Computes and checks the bounds of everything in a buffer. */
export class BsonLayout {
  protected readonly view: DataView;
  protected readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  int(at: number): number {
    return this.view.getInt32(at, true);
  }

  /** Returns the end of the document at `at`. @throws BsonError if it exceeds `limit` */
  endOfDocument(at: number, limit: number): number {
    if (at + documentBytesMin > limit) throw new BsonError("a document ends before its length", at);
    const length = this.int(at);
    if (length < documentBytesMin || at + length > limit) {
      throw new BsonError(`a document's length is ${length}, wanted 5 to ${limit - at}`, at);
    }
    if (this.bytes[at + length - 1] !== 0) {
      throw new BsonError("a document does not end with 0x00", at + length - 1);
    }
    return at + length;
  }

  /** Returns the offset of the 0x00 that terminates the name at `at`. */
  endOfName(at: number, limit: number): number {
    const bytes = this.bytes;
    // Names are short, so a loop is faster than indexOf().
    for (let end = at; end < limit; end++) if (bytes[end] === 0) return end;
    throw new BsonError("a name does not end", at);
  }

  /** Returns the end of the length-prefixed text at `at`. */
  endOfText(at: number, limit: number): number {
    if (at + 5 > limit) throw new BsonError("a text ends before its length", at);
    const length = this.int(at);
    if (length < 1 || at + 4 + length > limit) {
      throw new BsonError(`a text's length is ${length}, wanted 1 to ${limit - at - 4}`, at);
    }
    if (this.bytes[at + 3 + length] !== 0) {
      throw new BsonError("a text does not end with 0x00", at + 3 + length);
    }
    return at + 4 + length;
  }

  /** Returns the end of a value. Checks its size, but not its content. */
  endOfValue(type: number, at: number, limit: number, typeAt: number): number {
    const fixed = fixedBytes[type];
    if (fixed !== undefined) {
      const end = at + fixed;
      if (end > limit) throw new BsonError(`a value of type ${hexOf(type)} ends early`, at);
      return end;
    }
    switch (type) {
      case 0x02:
      case 0x0d:
      case 0x0e:
        return this.endOfText(at, limit);
      case 0x03:
      case 0x04:
        return this.endOfDocument(at, limit);
      case 0x05: {
        if (at + 5 > limit) throw new BsonError("a binary ends before its length", at);
        const end = at + 5 + this.int(at);
        if (this.int(at) < 0 || end > limit) {
          throw new BsonError(`a binary's length is ${this.int(at)}, wanted 0 to ${limit - at - 5}`, at);
        }
        return end;
      }
      case 0x0b:
        return this.endOfName(this.endOfName(at, limit) + 1, limit) + 1;
      case 0x0c: {
        const end = this.endOfText(at, limit) + 12;
        if (end > limit) throw new BsonError("a pointer ends early", at);
        return end;
      }
      case 0x0f: {
        if (at + 14 > limit) throw new BsonError("code with scope ends early", at);
        const end = at + this.int(at);
        if (
          this.int(at) < 14 || end > limit || this.endOfDocument(this.endOfText(at + 4, end), end) !== end
        ) {
          throw new BsonError(`code with scope has the length ${this.int(at)}`, at);
        }
        return end;
      }
    }
    throw new BsonError(`unknown type ${hexOf(type)}`, typeAt);
  }

  /** Checks a document and all nested ones. Returns its end. */
  check(at: number, limit: number, depth: number): number {
    const end = this.endOfDocument(at, limit);
    let offset = at + 4;
    while (true) {
      const typeAt = offset;
      const type = this.bytes[offset++]!;
      if (type === 0) break;
      offset = this.endOfName(offset, end - 1) + 1;
      // Parsing fails at this depth anyway; the length is checked.
      if ((type === 3 || type === 4) && depth <= depthMax + 8) {
        offset = this.check(offset, end - 1, depth + 1);
      } else offset = this.endOfValue(type, offset, end - 1, typeAt);
    }
    if (offset !== end) throw new BsonError("a document ends before its last byte", offset - 1);
    return end;
  }
}

/**
 * Checks the document at `at` with all nested ones. Returns the offset of its end.
 *
 * @throws BsonError
 */
export function checkBson(bytes: Uint8Array, at = 0): number {
  return new BsonLayout(bytes).check(at, bytes.length, 0);
}
