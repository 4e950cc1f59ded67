/**
 * Converts BSON to the JSON text that mongoexport writes in relaxed form, bytes to bytes, without a tree and
 * without a string for each value. A document that relaxed JSON cannot represent without loss yields no text:
 * an int64 in the range of int32, a NaN, a rare type, an unusual key.
 */
import type { JsonSpan } from "./source.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const words = {
  null: encode("null"),
  true: encode("true"),
  false: encode("false"),
  oid: encode('{"$oid":"'),
  date: encode('{"$date":"'),
  tagEnd: encode('"}'),
};
const hexDigits = encode("0123456789abcdef");
const code = (character: string) => character.charCodeAt(0);
const quote = code('"');
const backslash = code("\\");
const comma = code(",");
const colon = code(":");
const dollar = code("$");
const openBrace = code("{");
const closeBrace = code("}");
const openBracket = code("[");
const closeBracket = code("]");
const period = code(".");
const zero = code("0");
const utcZone = code("Z");

const noEscape = 0;
const otherEscape = 255;
/**
 * For each byte, the character after the backslash in its JSON escape, as JSON.stringify() writes it; `noEscape`; or
 * `otherEscape` for a control character without a short escape.
 */
const escapes = new Uint8Array(256);
escapes.fill(otherEscape, 0, 32);
escapes[code("\b")] = code("b");
escapes[code("\t")] = code("t");
escapes[code("\n")] = code("n");
escapes[code("\f")] = code("f");
escapes[code("\r")] = code("r");
escapes[quote] = quote;
escapes[backslash] = backslash;

/** Maximum bytes of JSON for one byte of BSON, reached by a date with an empty name. */
const growthMax = 5;
const dayMs = 86_400_000;
/** 0001-01-01 and 9999-12-31, in days since 1970. */
const firstDay = -719162;
const lastDay = 2932896;
/** Maximum number of cached dates. */
const cachedDaysMax = 10_000;
/** Numbers of larger magnitude are left to the general path. */
const floatMax = 1e15;
const longMax = 999_999_999_999_999;
const depthMax = 16;

/** Writes one document at a time. */
export class JsonWriter {
  #out = new Uint8Array(64 * 1024);
  #at = 0;
  #in: Uint8Array = new Uint8Array(0);
  #inAt = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Dates by day since 1970, up to the `T`. */
  readonly #days = new Map<number, Uint8Array>();

  /**
   * Writes a document that passed checkBson(). Its texts are copied, also if they are not valid UTF-8.
   *
   * @returns the JSON text, which is valid until the next call; undefined if the document cannot be written
   */
  write(document: Uint8Array): JsonSpan | undefined {
    const bytesMax = document.length * growthMax + 64;
    if (bytesMax > this.#out.length) this.#out = new Uint8Array(bytesMax);
    this.#in = document;
    this.#view = new DataView(document.buffer, document.byteOffset, document.byteLength);
    this.#inAt = 0;
    this.#at = 0;
    return this.#document(false, 0) ? { bytes: this.#out, from: 0, to: this.#at } : undefined;
  }

  #put(bytes: Uint8Array): void {
    const out = this.#out;
    let at = this.#at;
    for (let i = 0; i < bytes.length; i++) out[at++] = bytes[i]!;
    this.#at = at;
  }

  #digits(text: string): true {
    const out = this.#out;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) out[at++] = text.charCodeAt(i);
    this.#at = at;
    return true;
  }

  /** Writes a number with leading zeros and a separator. */
  #padded(value: number, width: number, separator: number): void {
    for (let i = this.#at + width - 1; i >= this.#at; i--) {
      this.#out[i] = zero + value % 10;
      value = Math.trunc(value / 10);
    }
    this.#at += width;
    this.#out[this.#at++] = separator;
  }

  /** Writes the document or array at the current offset. Returns false if it cannot be written. */
  #document(isArray: boolean, depth: number): boolean {
    if (depth > depthMax) return false;
    const bytes = this.#in;
    const out = this.#out;
    this.#inAt += 4;
    out[this.#at++] = isArray ? openBracket : openBrace;
    for (let count = 0;; count++) {
      const type = bytes[this.#inAt++]!;
      if (type === 0) break;
      if (count > 0) out[this.#at++] = comma;
      if (isArray ? !this.#index(count) : !this.#name()) return false;
      if (!this.#value(type, depth)) return false;
    }
    out[this.#at++] = isArray ? closeBracket : closeBrace;
    return true;
  }

  /** Skips the key of an array's element, which must be its index. */
  #index(count: number): boolean {
    const bytes = this.#in;
    if (count < 10) {
      const isIndex = bytes[this.#inAt] === zero + count && bytes[this.#inAt + 1] === 0;
      this.#inAt += 2;
      return isIndex;
    }
    const wanted = String(count);
    for (let i = 0; i < wanted.length; i++) if (bytes[this.#inAt++] !== wanted.charCodeAt(i)) return false;
    return bytes[this.#inAt++] === 0;
  }

  #name(): boolean {
    const bytes = this.#in;
    const out = this.#out;
    let at = this.#at;
    let inAt = this.#inAt;
    // A parser of Extended JSON would take the key for a type tag.
    if (bytes[inAt] === dollar) return false;
    out[at++] = quote;
    for (let byte = bytes[inAt++]!; byte !== 0; byte = bytes[inAt++]!) {
      if (byte >= 0x80 || escapes[byte] !== noEscape) return false;
      out[at++] = byte;
    }
    out[at++] = quote;
    out[at++] = colon;
    this.#at = at;
    this.#inAt = inAt;
    return true;
  }

  #value(type: number, depth: number): boolean {
    switch (type) {
      case 0x01:
        return this.#double();
      case 0x02:
        return this.#text();
      case 0x03:
      case 0x04:
        return this.#document(type === 4, depth + 1);
      case 0x07:
        return this.#objectId();
      case 0x08: {
        const byte = this.#in[this.#inAt++]!;
        this.#put(byte === 1 ? words.true : words.false);
        return byte <= 1;
      }
      case 0x09:
        return this.#date();
      case 0x0a:
        this.#put(words.null);
        return true;
      case 0x10: {
        const value = this.#view.getInt32(this.#inAt, true);
        this.#inAt += 4;
        if (value < 0 || value > 9) return this.#digits(String(value));
        this.#out[this.#at++] = zero + value;
        return true;
      }
      case 0x12:
        return this.#long();
      default:
        return false;
    }
  }

  #double(): boolean {
    const value = this.#view.getFloat64(this.#inAt, true);
    this.#inAt += 8;
    if (!(Math.abs(value) < floatMax) || Object.is(value, -0)) return false;
    const text = String(value);
    if (Number.isInteger(value)) return this.#digits(text) && this.#digits(".0");
    return !text.includes("e") && this.#digits(text);
  }

  #long(): boolean {
    const value = this.#view.getInt32(this.#inAt + 4, true) * 2 ** 32 +
      this.#view.getUint32(this.#inAt, true);
    this.#inAt += 8;
    if (Math.abs(value) > longMax || value >= -0x80000000 && value <= 0x7fffffff) return false;
    return this.#digits(String(value));
  }

  #text(): boolean {
    const bytes = this.#in;
    const out = this.#out;
    const from = this.#inAt + 4;
    const to = from + this.#view.getInt32(this.#inAt, true) - 1;
    let at = this.#at;
    out[at++] = quote;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      const escape = escapes[byte]!;
      if (escape === noEscape) out[at++] = byte;
      else if (escape === otherEscape) return false;
      else {
        out[at++] = backslash;
        out[at++] = escape;
      }
    }
    out[at++] = quote;
    this.#at = at;
    this.#inAt = to + 1;
    return true;
  }

  #objectId(): boolean {
    this.#put(words.oid);
    const out = this.#out;
    let at = this.#at;
    for (let i = this.#inAt; i < this.#inAt + 12; i++) {
      const byte = this.#in[i]!;
      out[at++] = hexDigits[byte >> 4]!;
      out[at++] = hexDigits[byte & 15]!;
    }
    this.#at = at;
    this.#inAt += 12;
    this.#put(words.tagEnd);
    return true;
  }

  #date(): boolean {
    const ms = this.#view.getInt32(this.#inAt + 4, true) * 2 ** 32 + this.#view.getUint32(this.#inAt, true);
    this.#inAt += 8;
    const day = Math.floor(ms / dayMs);
    if (day < firstDay || day > lastDay) return false;
    const rest = ms - day * dayMs;
    this.#put(words.date);
    this.#put(this.#dayText(day));
    this.#padded(Math.trunc(rest / 3_600_000), 2, colon);
    this.#padded(Math.trunc(rest / 60_000) % 60, 2, colon);
    this.#padded(Math.trunc(rest / 1000) % 60, 2, period);
    this.#padded(rest % 1000, 3, utcZone);
    this.#put(words.tagEnd);
    return true;
  }

  /** Returns the date of a day, such as `2025-04-02T`. */
  #dayText(day: number): Uint8Array {
    let text = this.#days.get(day);
    if (!text) {
      if (this.#days.size >= cachedDaysMax) this.#days.clear();
      text = encode(new Date(day * dayMs).toISOString().slice(0, 11));
      this.#days.set(day, text);
    }
    return text;
  }
}
