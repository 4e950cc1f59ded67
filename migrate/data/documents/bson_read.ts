/** Raw BSON to the lossless tree; what is no BSON is told with its byte. */
import { Decimal128 } from "bson";
import { readDocument, TooDeepError } from "./ejson_read.ts";
import { shrink } from "./ejson_tags.ts";
import { writeCanonical } from "./ejson_write.ts";
import { BsonDocument, type BsonValue, DateMs, depthMax, Double, isSame, ObjectId, Special } from "./tree.ts";
import { decodeUtf8 } from "./utf8.ts";

/** Bytes that are no BSON; `at` counts from the first byte handed in. */
export class BsonError extends Error {
  constructor(readonly what: string, readonly at: number) {
    super(`${what} at byte ${at}`);
    this.name = "BsonError";
  }
}

/** The least and the most bytes a document has; the most is MongoDB's limit with room for its own fields. */
export const documentBytesMin = 5;
export const documentBytesMax = 16 * 1024 * 1024 + 16 * 1024;

/** Bytes of a value whose size its type alone tells; 0 where its first bytes do. */
const fixedBytes: Record<number, number> = {
  0x01: 8,
  0x06: -1,
  0x07: 12,
  0x08: 1,
  0x09: 8,
  0x0a: -1,
  0x10: 4,
  0x11: 8,
  0x12: 8,
  0x13: 16,
  0x7f: -1,
  0xff: -1,
};

const hexOf = (type: number) => `0x${type.toString(16).padStart(2, "0")}`;
const quote = (text: string) => JSON.stringify(text);

class Reader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  int(at: number): number {
    return this.#view.getInt32(at, true);
  }

  /** The end of the document at `at`, which may not pass `limit`. */
  endOf(at: number, limit: number): number {
    if (at + documentBytesMin > limit) throw new BsonError("a document ends before its length", at);
    const length = this.int(at);
    if (length < documentBytesMin || at + length > limit) {
      throw new BsonError(`a document's length is ${length}, wanted 5 to ${limit - at}`, at);
    }
    if (this.#bytes[at + length - 1] !== 0) {
      throw new BsonError("a document does not end with 0x00", at + length - 1);
    }
    return at + length;
  }

  /** The place of the 0x00 that ends a text without a length. */
  endOfName(at: number, limit: number): number {
    const bytes = this.#bytes;
    // Names are short: a search of the engine's own would cost more than the walk.
    for (let end = at; end < limit; end++) if (bytes[end] === 0) return end;
    throw new BsonError("a name does not end", at);
  }

  name(from: number, to: number): string {
    return decodeUtf8(this.#bytes, from, to);
  }

  /** The end of a text with a length. */
  endOfText(at: number, limit: number): number {
    if (at + 5 > limit) throw new BsonError("a text ends before its length", at);
    const length = this.int(at);
    if (length < 1 || at + 4 + length > limit) {
      throw new BsonError(`a text's length is ${length}, wanted 1 to ${limit - at - 4}`, at);
    }
    if (this.#bytes[at + 3 + length] !== 0) {
      throw new BsonError("a text does not end with 0x00", at + 3 + length);
    }
    return at + 4 + length;
  }

  text(at: number): string {
    return decodeUtf8(this.#bytes, at + 4, at + 3 + this.int(at));
  }

  /** Where the value of `type` at `at` ends, its own size checked, not what is in it. */
  endOfValue(type: number, at: number, limit: number, typeAt: number): number {
    const fixed = fixedBytes[type];
    if (fixed !== undefined) {
      const end = at + Math.max(fixed, 0);
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
        return this.endOf(at, limit);
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
        if (this.int(at) < 14 || end > limit || this.endOf(this.endOfText(at + 4, end), end) !== end) {
          throw new BsonError(`code with scope has the length ${this.int(at)}`, at);
        }
        return end;
      }
    }
    throw new BsonError(`unknown type ${hexOf(type)}`, typeAt);
  }

  /** Walks a document and all within, building nothing. */
  check(at: number, limit: number, depth: number): number {
    const end = this.endOf(at, limit);
    let place = at + 4;
    while (true) {
      const typeAt = place;
      const type = this.#bytes[place++]!;
      if (type === 0) break;
      place = this.endOfName(place, end - 1) + 1;
      // Deeper than anyone takes: a reader will say so, and the length is right.
      if ((type === 3 || type === 4) && depth <= depthMax + 8) {
        place = this.check(place, end - 1, depth + 1);
      } else place = this.endOfValue(type, place, end - 1, typeAt);
    }
    if (place !== end) throw new BsonError("a document ends before its last byte", place - 1);
    return end;
  }

  document(at: number, limit: number, depth: number): BsonDocument {
    if (depth > depthMax + 8) throw new TooDeepError(`nested deeper than ${depthMax}`);
    const end = this.endOf(at, limit);
    const keys: string[] = [], values: BsonValue[] = [];
    let place = at + 4;
    while (true) {
      const typeAt = place;
      const type = this.#bytes[place++]!;
      if (type === 0) break;
      const nameEnd = this.endOfName(place, end - 1);
      keys.push(this.name(place, nameEnd));
      place = nameEnd + 1;
      const valueEnd = this.endOfValue(type, place, end - 1, typeAt);
      values.push(this.value(type, place, valueEnd, depth + 1));
      place = valueEnd;
    }
    if (place !== end) throw new BsonError("a document ends before its last byte", place - 1);
    return new BsonDocument(keys, values);
  }

  value(type: number, at: number, end: number, depth: number): BsonValue {
    switch (type) {
      case 0x01:
        return this.double(at, end);
      case 0x02:
        return this.text(at);
      case 0x03:
        return this.document(at, end, depth);
      case 0x04: {
        const { keys, values } = this.document(at, end, depth);
        return keys.every((key, i) => key === String(i)) ? values : this.raw(type, at, end);
      }
      case 0x07:
        return new ObjectId(this.#bytes.subarray(at, end).toHex());
      case 0x08: {
        const byte = this.#bytes[at]!;
        return byte > 1 ? this.raw(type, at, end) : byte === 1;
      }
      case 0x09:
        return new DateMs(shrink(this.#view.getBigInt64(at, true)));
      case 0x0a:
        return null;
      case 0x10:
        return this.int(at);
      case 0x12:
        return this.#view.getBigInt64(at, true);
      default:
        return this.special(type, at, end);
    }
  }

  double(at: number, end: number): Double | Special {
    const value = this.#view.getFloat64(at, true);
    // A NaN has many forms, and a JavaScript number carries one.
    return Number.isNaN(value) && this.#view.getBigUint64(at, true) !== 0x7ff8000000000000n
      ? this.raw(0x01, at, end)
      : new Double(value);
  }

  /** A value that its type's own form cannot give back bit by bit. */
  raw(type: number, at: number, end: number): Special {
    const base64 = this.#bytes.subarray(at, end).toBase64();
    return new Special(`{"$bson":{"type":"${type.toString(16).padStart(2, "0")}","base64":"${base64}"}}`);
  }

  special(type: number, at: number, end: number): Special {
    switch (type) {
      case 0x05:
        return this.binary(at, end);
      case 0x06:
        return new Special('{"$undefined":true}');
      case 0x0b: {
        const middle = this.endOfName(at, end);
        const pattern = this.name(at, middle);
        const options = this.name(middle + 1, end - 1);
        const body = `{"pattern":${quote(pattern)},"options":${quote(options)}}`;
        return new Special(`{"$regularExpression":${body}}`);
      }
      case 0x0c: {
        const id = this.#bytes.subarray(end - 12, end).toHex();
        return new Special(`{"$dbPointer":{"$ref":${quote(this.text(at))},"$id":{"$oid":"${id}"}}}`);
      }
      case 0x0d:
        return new Special(`{"$code":${quote(this.text(at))}}`);
      case 0x0e:
        return new Special(`{"$symbol":${quote(this.text(at))}}`);
      case 0x0f:
        return this.code(at, end);
      case 0x11: {
        const i = this.#view.getUint32(at, true);
        const t = this.#view.getUint32(at + 4, true);
        return new Special(`{"$timestamp":{"t":${t},"i":${i}}}`);
      }
      case 0x13:
        return this.decimal(at, end);
      default:
        return new Special(type === 0xff ? '{"$minKey":1}' : '{"$maxKey":1}');
    }
  }

  binary(at: number, end: number): Special {
    const subType = this.#bytes[at + 4]!;
    // The old binary type repeats its length within.
    const inner = subType === 2 ? 4 : 0;
    if (inner > 0 && (end - at < 9 || this.int(at + 5) !== end - at - 9)) return this.raw(0x05, at, end);
    const base64 = this.#bytes.subarray(at + 5 + inner, end).toBase64();
    const type = subType.toString(16).padStart(2, "0");
    return new Special(`{"$binary":{"base64":"${base64}","subType":"${type}"}}`);
  }

  code(at: number, end: number): Special {
    const scopeAt = this.endOfText(at + 4, end);
    const scope = this.document(scopeAt, end, 1);
    const text = writeCanonical(scope);
    if (!isSame(readDocument(text), scope)) return this.raw(0x0f, at, end);
    return new Special(`{"$code":${quote(this.text(at + 4))},"$scope":${text}}`);
  }

  decimal(at: number, end: number): Special {
    const bytes = this.#bytes.slice(at, end);
    const text = new Decimal128(bytes).toString();
    const back = Decimal128.fromString(text).bytes;
    if (!back.every((byte, i) => byte === bytes[i])) return this.raw(0x13, at, end);
    return new Special(`{"$numberDecimal":"${text}"}`);
  }
}

/**
 * Reads one document that fills `bytes`. Bytes that are no UTF-8 become lone surrogates (see utf8.ts); values
 * that their type's Extended JSON would not give back bit by bit become `{"$bson":{"type","base64"}}`.
 *
 * @throws BsonError, TooDeepError
 */
export function readBson(bytes: Uint8Array): BsonDocument {
  const reader = new Reader(bytes);
  const document = reader.document(0, bytes.length, 0);
  const end = reader.int(0);
  if (end !== bytes.length) throw new BsonError(`${bytes.length - end} bytes follow the document`, end);
  return document;
}

/**
 * Checks the document that starts at `at`, all levels of it, and says where it ends.
 *
 * @throws BsonError whose `at` counts from the first of `bytes`
 */
export function checkBson(bytes: Uint8Array, at = 0): number {
  return new Reader(bytes).check(at, bytes.length, 0);
}

/** The value of the first `key` at the top, as type and bytes; nothing else is decoded. */
export function findRaw(bytes: Uint8Array, key: string): { type: number; bytes: Uint8Array } | undefined {
  const reader = new Reader(bytes);
  const end = reader.endOf(0, bytes.length);
  for (let place = 4; bytes[place] !== 0;) {
    const type = bytes[place]!;
    const nameEnd = reader.endOfName(place + 1, end - 1);
    const valueEnd = reader.endOfValue(type, nameEnd + 1, end - 1, place);
    if (reader.name(place + 1, nameEnd) === key) {
      return { type, bytes: bytes.subarray(nameEnd + 1, valueEnd) };
    }
    place = valueEnd;
  }
  return undefined;
}
