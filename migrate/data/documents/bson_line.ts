/**
 * BSON to the lines that mongoexport would write (relaxed form), bytes to bytes: no tree, no text of its own for
 * each value. Only what such a line says without loss is written; any other document has no line and is read as a
 * tree (an int64 that an int32 could hold, a NaN, a rarer type, an odd key).
 */

const ascii = (text: string) => new TextEncoder().encode(text);
const words = {
  null: ascii("null"),
  true: ascii("true"),
  false: ascii("false"),
  oid: ascii('{"$oid":"'),
  date: ascii('{"$date":"'),
  tagEnd: ascii('"}'),
};
const hexDigits = ascii("0123456789abcdef");
const [quote, backslash, comma, colon, dollar] = ascii('"\\,:$') as unknown as [
  number,
  number,
  number,
  number,
  number,
];
/** What follows the backslash, for the bytes JSON.stringify() writes so; 255: it writes them otherwise. */
const escapes = new Uint8Array(256);
escapes.fill(255, 0, 32);
ascii("btn fr").forEach((char, i) => char === 32 || (escapes[8 + i] = char));
escapes[quote] = quote;
escapes[backslash] = backslash;

/** The most bytes of line that a byte of BSON gives: a date with no name. */
const growth = 5;
const dayMs = 86_400_000;
/** 0001-01-01 and 9999-12-31, in days since 1970. */
const firstDay = -719162;
const lastDay = 2932896;
const daysMax = 10_000;
const floatMax = 1e15;
const longMax = 999_999_999_999_999;
const depthMax = 16;

/** Collects the lines of documents. */
export class LineWriter {
  #out = new Uint8Array(64 * 1024);
  #at = 0;
  #in: Uint8Array = new Uint8Array(0);
  #place = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  readonly #days = new Map<number, Uint8Array>();

  /** Lines so far, each with its newline; an empty one where a document has none. Good until the next add(). */
  get bytes(): Uint8Array {
    return this.#out.subarray(0, this.#at);
  }

  clear(): void {
    this.#at = 0;
  }

  /** Adds the line of a document that checkBson() has passed. */
  add(document: Uint8Array): void {
    const most = document.length * growth + 64;
    if (this.#at + most > this.#out.length) {
      const grown = new Uint8Array(Math.max(this.#out.length * 2, this.#at + most));
      grown.set(this.bytes);
      this.#out = grown;
    }
    this.#in = document;
    this.#view = new DataView(document.buffer, document.byteOffset, document.byteLength);
    this.#place = 0;
    const start = this.#at;
    if (!this.#document(false, 0)) this.#at = start;
    this.#out[this.#at++] = 10;
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

  #padded(value: number, width: number, then: number): void {
    for (let i = this.#at + width - 1; i >= this.#at; i--) {
      this.#out[i] = 48 + value % 10;
      value = Math.trunc(value / 10);
    }
    this.#at += width;
    this.#out[this.#at++] = then;
  }

  /** Writes the document or list at the current place; false where it has no line. */
  #document(isList: boolean, depth: number): boolean {
    if (depth > depthMax) return false;
    const bytes = this.#in, out = this.#out;
    this.#place += 4;
    out[this.#at++] = isList ? 91 : 123;
    for (let count = 0;; count++) {
      const type = bytes[this.#place++]!;
      if (type === 0) break;
      if (count > 0) out[this.#at++] = comma;
      if (isList ? !this.#index(count) : !this.#name()) return false;
      if (!this.#value(type, depth)) return false;
    }
    out[this.#at++] = isList ? 93 : 125;
    return true;
  }

  /** Passes a list's key, which must be the place it stands at. */
  #index(count: number): boolean {
    const bytes = this.#in;
    if (count < 10) {
      const good = bytes[this.#place] === 48 + count && bytes[this.#place + 1] === 0;
      this.#place += 2;
      return good;
    }
    const wanted = String(count);
    for (let i = 0; i < wanted.length; i++) if (bytes[this.#place++] !== wanted.charCodeAt(i)) return false;
    return bytes[this.#place++] === 0;
  }

  #name(): boolean {
    const bytes = this.#in, out = this.#out;
    let at = this.#at, place = this.#place;
    // A tag of Extended JSON would be read from it.
    if (bytes[place] === dollar) return false;
    out[at++] = quote;
    for (let byte = bytes[place++]!; byte !== 0; byte = bytes[place++]!) {
      if (byte >= 0x80 || escapes[byte] !== 0) return false;
      out[at++] = byte;
    }
    out[at++] = quote;
    out[at++] = colon;
    this.#at = at;
    this.#place = place;
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
        const byte = this.#in[this.#place++]!;
        this.#put(byte === 1 ? words.true : words.false);
        return byte <= 1;
      }
      case 0x09:
        return this.#date();
      case 0x0a:
        this.#put(words.null);
        return true;
      case 0x10: {
        const value = this.#view.getInt32(this.#place, true);
        this.#place += 4;
        if (value < 0 || value > 9) return this.#digits(String(value));
        this.#out[this.#at++] = 48 + value;
        return true;
      }
      case 0x12:
        return this.#long();
      default:
        return false;
    }
  }

  #double(): boolean {
    const value = this.#view.getFloat64(this.#place, true);
    this.#place += 8;
    if (!(Math.abs(value) < floatMax) || Object.is(value, -0)) return false;
    const text = String(value);
    if (Number.isInteger(value)) return this.#digits(text) && this.#digits(".0");
    return !text.includes("e") && this.#digits(text);
  }

  #long(): boolean {
    const value = this.#view.getInt32(this.#place + 4, true) * 2 ** 32 +
      this.#view.getUint32(this.#place, true);
    this.#place += 8;
    if (Math.abs(value) > longMax || value >= -0x80000000 && value <= 0x7fffffff) return false;
    return this.#digits(String(value));
  }

  #text(): boolean {
    const bytes = this.#in, out = this.#out;
    const from = this.#place + 4;
    const to = from + this.#view.getInt32(this.#place, true) - 1;
    let at = this.#at;
    out[at++] = quote;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      const escape = escapes[byte]!;
      if (escape === 0) out[at++] = byte;
      else if (escape === 255) return false;
      else {
        out[at++] = backslash;
        out[at++] = escape;
      }
    }
    out[at++] = quote;
    this.#at = at;
    this.#place = to + 1;
    return true;
  }

  #objectId(): boolean {
    this.#put(words.oid);
    const out = this.#out;
    let at = this.#at;
    for (let i = this.#place; i < this.#place + 12; i++) {
      const byte = this.#in[i]!;
      out[at++] = hexDigits[byte >> 4]!;
      out[at++] = hexDigits[byte & 15]!;
    }
    this.#at = at;
    this.#place += 12;
    this.#put(words.tagEnd);
    return true;
  }

  #date(): boolean {
    const ms = this.#view.getInt32(this.#place + 4, true) * 2 ** 32 + this.#view.getUint32(this.#place, true);
    this.#place += 8;
    const day = Math.floor(ms / dayMs);
    if (day < firstDay || day > lastDay) return false;
    const rest = ms - day * dayMs;
    this.#put(words.date);
    this.#put(this.#dayText(day));
    this.#padded(Math.trunc(rest / 3_600_000), 2, 58);
    this.#padded(Math.trunc(rest / 60_000) % 60, 2, 58);
    this.#padded(Math.trunc(rest / 1000) % 60, 2, 46);
    this.#padded(rest % 1000, 3, 90);
    this.#put(words.tagEnd);
    return true;
  }

  /** `2025-04-02T` */
  #dayText(day: number): Uint8Array {
    let text = this.#days.get(day);
    if (!text) {
      if (this.#days.size >= daysMax) this.#days.clear();
      text = ascii(new Date(day * dayMs).toISOString().slice(0, 11));
      this.#days.set(day, text);
    }
    return text;
  }
}
