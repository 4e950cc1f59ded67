/** Parses raw BSON into a lossless tree. */
import { Decimal128 } from "bson";
import { BsonError, BsonLayout } from "./bson_layout.ts";
import { readDocument, TooDeepError } from "./ejson_read.ts";
import { shrink } from "./ejson_tags.ts";
import { writeCanonical } from "./ejson_write.ts";
import { BsonDocument, type BsonValue, DateMs, depthMax, Double, isSame, ObjectId, Special } from "./tree.ts";
import { decodeUtf8 } from "./utf8.ts";
import { counted } from "../../../phrases.ts";

const quote = (text: string) => JSON.stringify(text);

class Reader extends BsonLayout {
  name(from: number, to: number): string {
    return decodeUtf8(this.bytes, from, to);
  }

  text(at: number): string {
    return decodeUtf8(this.bytes, at + 4, at + 3 + this.int(at));
  }

  document(at: number, limit: number, depth: number): BsonDocument {
    if (depth > depthMax + 8) throw new TooDeepError(`nested deeper than ${depthMax}`);
    const end = this.endOfDocument(at, limit);
    const keys: string[] = [];
    const values: BsonValue[] = [];
    let offset = at + 4;
    while (true) {
      const typeAt = offset;
      const type = this.bytes[offset++]!;
      if (type === 0) break;
      const nameEnd = this.endOfName(offset, end - 1);
      keys.push(this.name(offset, nameEnd));
      offset = nameEnd + 1;
      const valueEnd = this.endOfValue(type, offset, end - 1, typeAt);
      values.push(this.value(type, offset, valueEnd, depth + 1));
      offset = valueEnd;
    }
    if (offset !== end) throw new BsonError("a document ends before its last byte", offset - 1);
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
        return new ObjectId(this.bytes.subarray(at, end).toHex());
      case 0x08: {
        const byte = this.bytes[at]!;
        return byte > 1 ? this.raw(type, at, end) : byte === 1;
      }
      case 0x09:
        return new DateMs(shrink(this.view.getBigInt64(at, true)));
      case 0x0a:
        return null;
      case 0x10:
        return this.int(at);
      case 0x12:
        return this.view.getBigInt64(at, true);
      default:
        return this.special(type, at, end);
    }
  }

  double(at: number, end: number): Double | Special {
    const value = this.view.getFloat64(at, true);
    // BSON has many NaNs, a JavaScript number only one.
    return Number.isNaN(value) && this.view.getBigUint64(at, true) !== 0x7ff8000000000000n
      ? this.raw(0x01, at, end)
      : new Double(value);
  }

  /** Keeps the bytes of a value that Extended JSON cannot represent exactly. */
  raw(type: number, at: number, end: number): Special {
    const base64 = this.bytes.subarray(at, end).toBase64();
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
        const id = this.bytes.subarray(end - 12, end).toHex();
        return new Special(`{"$dbPointer":{"$ref":${quote(this.text(at))},"$id":{"$oid":"${id}"}}}`);
      }
      case 0x0d:
        return new Special(`{"$code":${quote(this.text(at))}}`);
      case 0x0e:
        return new Special(`{"$symbol":${quote(this.text(at))}}`);
      case 0x0f:
        return this.code(at, end);
      case 0x11: {
        const i = this.view.getUint32(at, true);
        const t = this.view.getUint32(at + 4, true);
        return new Special(`{"$timestamp":{"t":${t},"i":${i}}}`);
      }
      case 0x13:
        return this.decimal(at, end);
      default:
        return new Special(type === 0xff ? '{"$minKey":1}' : '{"$maxKey":1}');
    }
  }

  binary(at: number, end: number): Special {
    const subType = this.bytes[at + 4]!;
    // The old binary type repeats its length.
    const inner = subType === 2 ? 4 : 0;
    if (inner > 0 && (end - at < 9 || this.int(at + 5) !== end - at - 9)) return this.raw(0x05, at, end);
    const base64 = this.bytes.subarray(at + 5 + inner, end).toBase64();
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
    const bytes = this.bytes.slice(at, end);
    const text = new Decimal128(bytes).toString();
    const back = Decimal128.fromString(text).bytes;
    if (!back.every((byte, i) => byte === bytes[i])) return this.raw(0x13, at, end);
    return new Special(`{"$numberDecimal":"${text}"}`);
  }
}

/**
 * Parses a document that fills `bytes`. Bytes of invalid UTF-8 become lone surrogates (see utf8.ts). Values that
 * Extended JSON cannot represent exactly become `{"$bson":{"type","base64"}}`.
 *
 * @throws BsonError, TooDeepError
 */
export function readBson(bytes: Uint8Array): BsonDocument {
  const reader = new Reader(bytes);
  const document = reader.document(0, bytes.length, 0);
  const end = reader.int(0);
  if (end !== bytes.length) {
    throw new BsonError(`${counted(bytes.length - end, "byte")} after the end of the document`, end);
  }
  return document;
}

/** Finds a top-level field. Returns the type and the bytes of its value, without parsing the document. */
export function findRaw(bytes: Uint8Array, key: string): { type: number; bytes: Uint8Array } | undefined {
  const reader = new Reader(bytes);
  const end = reader.endOfDocument(0, bytes.length);
  for (let offset = 4; bytes[offset] !== 0;) {
    const type = bytes[offset]!;
    const nameEnd = reader.endOfName(offset + 1, end - 1);
    const valueEnd = reader.endOfValue(type, nameEnd + 1, end - 1, offset);
    if (reader.name(offset + 1, nameEnd) === key) {
      return { type, bytes: bytes.subarray(nameEnd + 1, valueEnd) };
    }
    offset = valueEnd;
  }
  return undefined;
}
