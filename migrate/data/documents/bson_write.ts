/** Writes a lossless tree as raw BSON. A tree from readBson() yields the same bytes. */
import { Decimal128 } from "bson";
import { readDocument } from "./ejson_read.ts";
import { BsonDocument, type BsonValue, DateMs, Double, ObjectId, Special } from "./tree.ts";
import { encodeUtf8 } from "./utf8.ts";

/** Reports a value that BSON cannot represent: a NUL in a key, a lone surrogate. `path` is dotted. */
export class BsonWriteError extends Error {
  constructor(message: string, readonly path: string) {
    super(`${path}: ${message}`);
    this.name = "BsonWriteError";
  }
}

/** The content of a type tag. Each tag has some of these fields, or is a string. */
type TagContent =
  & string
  & { type: string; base64: string; subType: string; pattern: string; options: string }
  & {
    $ref: string;
    $id: { $oid: string };
    t: number;
    i: number;
  };

const typeOf = (value: BsonValue): number => {
  if (value === null) return 0x0a;
  if (typeof value === "string") return 0x02;
  if (typeof value === "boolean") return 0x08;
  if (typeof value === "number") return 0x10;
  if (typeof value === "bigint") return 0x12;
  if (Array.isArray(value)) return 0x04;
  if (value instanceof BsonDocument) return 0x03;
  if (value instanceof Double) return 0x01;
  return value instanceof DateMs ? 0x09 : 0x07;
};

class Writer {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  at = 0;

  room(bytes: number): void {
    if (this.at + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.at + bytes));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  byte(value: number): void {
    this.room(1);
    this.#bytes[this.at++] = value;
  }

  int(value: number): void {
    this.room(4);
    this.#view.setInt32(this.at, value, true);
    this.at += 4;
  }

  long(value: bigint): void {
    this.room(8);
    this.#view.setBigInt64(this.at, value, true);
    this.at += 8;
  }

  double(value: number): void {
    // The bits of a NaN depend on the engine, so the canonical NaN is written.
    if (Number.isNaN(value)) return this.long(0x7ff8000000000000n);
    this.room(8);
    this.#view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.#bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Writes a text that 0x00 terminates. */
  name(text: string, path: string): void {
    const bytes = this.utf8(text, path);
    if (bytes.includes(0)) {
      throw new BsonWriteError("a key or a pattern contains NUL, which BSON cannot represent", path);
    }
    this.raw(bytes);
    this.byte(0);
  }

  utf8(text: string, path: string): Uint8Array {
    const bytes = encodeUtf8(text);
    if (!bytes) {
      throw new BsonWriteError("a text contains a lone surrogate, which UTF-8 cannot represent", path);
    }
    return bytes;
  }

  text(text: string, path: string): void {
    const bytes = this.utf8(text, path);
    this.int(bytes.length + 1);
    this.raw(bytes);
    this.byte(0);
  }

  /** Writes the length of what `body` writes, and of the length itself, before it. */
  withLength(body: () => void): void {
    const start = this.at;
    this.int(0);
    body();
    this.#view.setInt32(start, this.at - start, true);
  }

  document(keys: readonly string[], values: readonly BsonValue[], path: string): void {
    this.withLength(() => {
      keys.forEach((key, i) => this.element(key, values[i]!, path === "" ? key : `${path}.${key}`));
      this.byte(0);
    });
  }

  element(key: string, value: BsonValue, path: string): void {
    if (value instanceof Special) {
      return this.special(key, JSON.parse(value.text), { path, text: value.text });
    }
    this.byte(typeOf(value));
    this.name(key, path);
    this.value(value, path);
  }

  value(value: Exclude<BsonValue, Special>, path: string): void {
    if (value === null) return;
    if (typeof value === "string") this.text(value, path);
    else if (typeof value === "boolean") this.byte(value ? 1 : 0);
    else if (typeof value === "number") this.int(value);
    else if (typeof value === "bigint") this.long(value);
    else if (Array.isArray(value)) this.document(value.map((_, i) => String(i)), value, path);
    else if (value instanceof BsonDocument) this.document(value.keys, value.values, path);
    else if (value instanceof Double) this.double(value.value);
    else if (value instanceof DateMs) this.long(BigInt(value.ms));
    else this.raw(Uint8Array.fromHex((value as ObjectId).hex));
  }

  special(
    key: string,
    tagged: Record<string, TagContent>,
    { path, text }: { path: string; text: string },
  ): void {
    const [tag] = Object.keys(tagged) as [string];
    const body = tagged[tag]!;
    const begin = (type: number) => {
      this.byte(type);
      this.name(key, path);
    };
    switch (tag) {
      case "$bson":
        begin(parseInt(body.type, 16));
        return this.raw(Uint8Array.fromBase64(body.base64));
      case "$binary":
        begin(0x05);
        return this.binary(Uint8Array.fromBase64(body.base64), parseInt(body.subType, 16));
      case "$undefined":
        return begin(0x06);
      case "$regularExpression":
        begin(0x0b);
        this.name(body.pattern, path);
        return this.name(body.options, path);
      case "$dbPointer":
        begin(0x0c);
        this.text(body.$ref, path);
        return this.raw(Uint8Array.fromHex(body.$id.$oid));
      case "$code":
        return this.code(begin, body, { path, text });
      case "$symbol":
        begin(0x0e);
        return this.text(body, path);
      case "$timestamp":
        begin(0x11);
        this.int(body.i | 0);
        return this.int(body.t | 0);
      case "$numberDecimal":
        begin(0x13);
        return this.decimal(body, path);
      case "$minKey":
        return begin(0xff);
      case "$maxKey":
        return begin(0x7f);
    }
    throw new BsonWriteError(`unknown type tag '${tag}'`, path);
  }

  code(begin: (type: number) => void, code: string, { path, text }: { path: string; text: string }): void {
    const head = `{"$code":${JSON.stringify(code)}`;
    if (text.length === head.length + 1) {
      begin(0x0d);
      return this.text(code, path);
    }
    begin(0x0f);
    const scope = readDocument(text.slice(head.length + ',"$scope":'.length, -1));
    this.withLength(() => {
      this.text(code, path);
      this.document(scope.keys, scope.values, `${path}.$scope`);
    });
  }

  binary(bytes: Uint8Array, subType: number): void {
    this.int(subType === 2 ? bytes.length + 4 : bytes.length);
    this.byte(subType);
    if (subType === 2) this.int(bytes.length);
    this.raw(bytes);
  }

  decimal(text: string, path: string): void {
    try {
      this.raw(Decimal128.fromString(text).bytes);
    } catch {
      throw new BsonWriteError(`'${text}' is not a Decimal128`, path);
    }
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.at);
  }
}

/**
 * Writes a document.
 *
 * @throws BsonWriteError for values that only Extended JSON can represent
 */
export function writeBson(document: BsonDocument): Uint8Array {
  const writer = new Writer();
  writer.document(document.keys, document.values, "");
  return writer.finish();
}
