/**
 * Reads the JSON text of a document from UTF-8 bytes, and writes parts of it as COPY text to another buffer. It builds
 * neither a tree nor a string. Each method reads one part at the current offset and returns false for any other form;
 * the document then takes the general path. The accepted forms are those that the lens reproduces byte for byte.
 */
import { characterBytes } from "../documents/utf8.ts";
import type { LineBuffer } from "../tools/line_buffer.ts";
import type { JsonSpan } from "../documents/source.ts";

/** Returns the code of a character. */
export const code = (character: string): number => character.charCodeAt(0);
/** Returns the bytes of an ASCII text. */
export const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const quote = code('"');
const backslash = code("\\");
const minus = code("-");

/** How a byte of a JSON text is copied. */
const kinds = { plain: 0, quote: 1, backslash: 2, multibyte: 3, control: 4 } as const;
const kindOf = new Uint8Array(256);
kindOf.fill(kinds.control, 0, 32);
kindOf.fill(kinds.multibyte, 128);
kindOf[quote] = kinds.quote;
kindOf[backslash] = kinds.backslash;

/** Returns a table that has 1 for each of the characters. */
export function characterTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of characters) table[code(character)] = 1;
  return table;
}

/** The escapes that JSON.stringify() writes. COPY has the same letters, except for the quotation mark. */
const shortEscapes = characterTable('"\\bfnrt');
const hexDigits = characterTable("0123456789abcdef");

export class JsonCopier {
  protected input: Uint8Array = new Uint8Array(0);
  protected at = 0;
  /** Offset of the end of the document. */
  protected end = 0;
  protected output: Uint8Array = new Uint8Array(0);
  protected outAt = 0;

  protected begin({ bytes, from, to }: JsonSpan, lines: LineBuffer): void {
    // An escape doubles a character, and a text may be copied to a second column.
    lines.reserve((to - from) * 3 + 512);
    this.input = bytes;
    this.at = from;
    this.end = to;
    this.output = lines.bytes;
    this.outAt = lines.length;
  }

  /** Skips these bytes. */
  protected skip(literal: Uint8Array): boolean {
    const { input, at } = this;
    for (let i = 0; i < literal.length; i++) if (input[at + i] !== literal[i]) return false;
    this.at = at + literal.length;
    return true;
  }

  /** Copies these bytes. */
  protected keep(literal: Uint8Array): boolean {
    if (!this.skip(literal)) return false;
    this.write(literal);
    return true;
  }

  protected write(bytes: Uint8Array): void {
    const { output, outAt } = this;
    for (let i = 0; i < bytes.length; i++) output[outAt + i] = bytes[i]!;
    this.outAt = outAt + bytes.length;
  }

  /** Writes bytes of the input again. */
  protected writeInput(from: number, to: number): void {
    const { input, output } = this;
    let at = this.outAt;
    for (let i = from; i < to; i++) output[at++] = input[i]!;
    this.outAt = at;
  }

  /** Skips lower-case hex digits. */
  protected skipHex(count: number): boolean {
    const end = this.at + count;
    for (let i = this.at; i < end; i++) if (hexDigits[this.input[i]!] !== 1) return false;
    this.at = end;
    return true;
  }

  /** Skips a lower-case uuid. */
  protected skipUuid(): boolean {
    return this.skipHex(8) && this.#skipGroup(4) && this.#skipGroup(4) && this.#skipGroup(4) &&
      this.#skipGroup(12);
  }

  #skipGroup(digits: number): boolean {
    return this.input[this.at++] === minus && this.skipHex(digits);
  }

  /** Copies 1 to `max` characters of a table. */
  protected word(table: Uint8Array, max: number): boolean {
    const from = this.at;
    while (table[this.input[this.at]!] === 1) this.at++;
    const length = this.at - from;
    this.writeInput(from, this.at);
    return length > 0 && length <= max;
  }

  /** Copies a JSON text with its quotation marks, as a part of a json column. */
  protected text(): boolean {
    const { input, output, end } = this;
    let at = this.at;
    let outAt = this.outAt;
    if (input[at++] !== quote) return false;
    output[outAt++] = quote;
    while (at < end) {
      const byte = input[at]!;
      const kind = kindOf[byte]!;
      if (kind === kinds.plain) {
        output[outAt++] = byte;
        at++;
      } else if (kind === kinds.multibyte) {
        const length = characterBytes(input, at);
        if (length === 0) return false;
        for (const next = at + length; at < next; at++) output[outAt++] = input[at]!;
      } else if (kind === kinds.quote) {
        output[outAt++] = quote;
        this.at = at + 1;
        this.outAt = outAt;
        return true;
      } else if (kind === kinds.backslash && shortEscapes[input[at + 1]!] === 1) {
        const escape = input[at + 1]!;
        output[outAt++] = backslash;
        output[outAt++] = backslash;
        if (escape === backslash) output[outAt++] = backslash;
        output[outAt++] = escape;
        at += 2;
      } else return false;
    }
    return false;
  }

  /** Writes the text at the offset `from`, which text() accepts, as a text column. */
  protected writeText(from: number): void {
    const { input, output } = this;
    let outAt = this.outAt;
    for (let at = from + 1; input[at] !== quote; at++) {
      if (input[at] === backslash && input[++at] !== quote) output[outAt++] = backslash;
      output[outAt++] = input[at]!;
    }
    this.outAt = outAt;
  }
}
