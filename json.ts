/**
 * A JSON reader and writer that follow Python's json module, including its error messages. They keep what
 * JavaScript's `JSON` loses: the order of integer-like keys, `1.0`, long integers and lone surrogates.
 */

/** A number in Python's notation: integers of any length, floats with their shortest round-trip digits. */
export class JsonNumber {
  constructor(readonly text: string) {}

  get value(): number {
    return Number(this.text);
  }

  /** True for `5`, false for `5.0` and `5e0`, as Python distinguishes int from float. */
  get isInteger(): boolean {
    return /^-?\d+$/.test(this.text);
  }

  /** False for `NaN`, `Infinity` and numbers that overflow. The parser accepts them; they cannot be stored. */
  get isFinite(): boolean {
    const last = this.text.charCodeAt(this.text.length - 1);
    return last >= 48 && last <= 57 && (!this.text.includes("e") || Number.isFinite(this.value));
  }
}

export type JsonObject = Map<string, Json>;
export type Json = null | boolean | string | JsonNumber | Json[] | JsonObject;

/** A syntax error with Python's message. `position` counts code points from 0. */
export class JsonSyntaxError extends Error {
  constructor(readonly msg: string, readonly position: number) {
    super(`${msg}: char ${position}`);
    this.name = "JsonSyntaxError";
  }
}

/** Valid JSON that exceeds the reader's limit on depth, on the number of values or on an integer's digits. */
export class JsonLimitError extends Error {
  constructor(readonly limit: "depth" | "digits" | "values", message: string) {
    super(message);
    this.name = "JsonLimitError";
  }
}

/** Returns an integer as JSON. */
export const int = (value: number | bigint): JsonNumber => new JsonNumber(String(value));

/** Maximum number of digits that Python's int() reads. */
const digitsMax = 4300;

/**
 * Formats a float as Python's `repr` does: `1.0`, `1e+16`, `1e-05`; infinity is `Infinity`.
 *
 * @example
 * ```ts
 * import { formatFloat } from "./json.ts";
 * if (formatFloat(1e5) !== "100000.0" || formatFloat(1e16) !== "1e+16") throw new Error("not Python's repr");
 * ```
 */
export function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e16) return Number.isInteger(value) ? `${value}.0` : String(value);
  const [mantissa = "", power = ""] = value.toExponential().split("e");
  const exponent = Number(power);
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

const constants: [string, () => Json][] = [
  ["null", () => null],
  ["true", () => true],
  ["false", () => false],
  ["NaN", () => new JsonNumber("NaN")],
  ["Infinity", () => new JsonNumber("Infinity")],
  ["-Infinity", () => new JsonNumber("-Infinity")],
];

/** An unclosed list, or an unclosed object with the key of its next value. */
type OpenContainer = { list: Json[] } | { object: JsonObject; key: string };

/** A single-pass parser. It keeps the open containers in a list, so that nesting needs no call stack. */
class Reader {
  /** Offset of the next character, in UTF-16 code units. */
  offset = 0;
  readonly #number = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
  // deno-lint-ignore no-control-regex -- control characters must be escaped in JSON strings
  readonly #plain = /[^"\\\x00-\x1f]*/y;
  // Valid escapes. Python requires a character after the four digits and otherwise reports an invalid escape.
  readonly #escapes = /(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}(?=[^]))){1,1000}/y;

  constructor(readonly text: string, readonly depthMax: number, readonly valuesMax: number) {}

  fail(msg: string, index: number): never {
    let position = 0;
    for (let i = 0; i < index; i++, position++) {
      if ((this.text.codePointAt(i) ?? 0) > 0xffff) i++;
    }
    throw new JsonSyntaxError(msg, position);
  }

  skipSpace(): void {
    for (;; this.offset++) {
      const code = this.text.charCodeAt(this.offset);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
    }
  }

  /** Returns the end of the run of plain characters that starts at `from`. */
  #skipPlain(from: number): number {
    this.#plain.lastIndex = from;
    this.#plain.test(this.text);
    return this.#plain.lastIndex;
  }

  /** Reads a string whose opening quote is at `offset`. */
  readString(): string {
    const { text } = this;
    const begin = this.offset;
    const next = this.#skipPlain(begin + 1);
    if (text[next] === '"') {
      this.offset = next + 1;
      return text.slice(begin + 1, next);
    }
    // JSON.parse reads escapes ten times as fast. If it rejects the string, #failString finds the error.
    const end = text[next] === "\\" ? this.#findQuote(next) : -1;
    try {
      if (end >= 0) {
        const value: string = JSON.parse(text.slice(begin, end + 1));
        this.offset = end + 1;
        return value;
      }
    } catch {
      // #failString reports the error.
    }
    return this.#failString(begin);
  }

  /** Returns the offset of the first unescaped quote from `from`, or -1. */
  #findQuote(from: number): number {
    const { text } = this;
    for (let end = text.indexOf('"', from); end >= 0; end = text.indexOf('"', end + 1)) {
      let before = end;
      while (text[before - 1] === "\\") before--;
      if ((end - before) % 2 === 0) return end;
    }
    return -1;
  }

  /** Throws Python's error for the first fault of an invalid string. */
  #failString(begin: number): never {
    const { text } = this;
    let next = begin + 1;
    for (let previous = -1; previous < next;) {
      previous = next;
      const plainEnd = this.#skipPlain(next);
      this.#escapes.lastIndex = plainEnd;
      next = this.#escapes.test(text) ? this.#escapes.lastIndex : plainEnd;
    }
    const kind = text[next + 1];
    if (next >= text.length) this.fail("Unterminated string starting at", begin);
    if (text[next] !== "\\") this.fail("Invalid control character at", next);
    if (kind === undefined) this.fail("Unterminated string starting at", begin);
    if (kind === "u") this.fail("Invalid \\uXXXX escape", next + 1);
    this.fail("Invalid \\escape", next);
  }

  /** Reads an integer of up to 19 digits. Returns undefined and reads nothing for any other value. */
  #readInteger(): JsonNumber | undefined {
    const { text, offset } = this;
    const first = text.charCodeAt(offset) === 45 ? offset + 1 : offset;
    let end = first;
    let code = text.charCodeAt(end);
    while (code >= 48 && code <= 57) code = text.charCodeAt(++end);
    const isPlain = end > first && end - first < 20 && code !== 46 && code !== 69 && code !== 101 &&
      text.charCodeAt(first) !== 48;
    if (!isPlain) return undefined;
    this.offset = end;
    return new JsonNumber(text.slice(offset, end));
  }

  /** Reads a number or a constant. */
  readAtom(): Json {
    const integer = this.#readInteger();
    if (integer) return integer;
    const { text, offset } = this;
    for (const [word, make] of constants) {
      if (text[offset] === word[0] && text.startsWith(word, offset)) {
        this.offset += word.length;
        return make();
      }
    }
    this.#number.lastIndex = offset;
    const match = this.#number.exec(text);
    if (!match) this.fail("Expecting value", offset);
    const [digits, fraction, exponent] = match;
    this.offset = this.#number.lastIndex;
    if (fraction !== undefined || exponent !== undefined) return new JsonNumber(formatFloat(Number(digits)));
    if (digits.length > digitsMax + (digits.startsWith("-") ? 1 : 0)) {
      throw new JsonLimitError("digits", `reading JSON: an integer of over ${digitsMax} digits`);
    }
    return new JsonNumber(digits === "-0" ? "0" : digits);
  }

  /** Reads a key, its colon and the space before the value. */
  readKey(): string {
    if (this.text[this.offset] !== '"') {
      this.fail("Expecting property name enclosed in double quotes", this.offset);
    }
    const key = this.readString();
    this.skipSpace();
    if (this.text[this.offset] !== ":") this.fail("Expecting ':' delimiter", this.offset);
    this.offset++;
    this.skipSpace();
    return key;
  }

  /** Reads the whole text. */
  readDocument(): Json {
    const { text } = this;
    const open: OpenContainer[] = [];
    this.skipSpace();
    for (let values = 1;; values++) {
      if (values > this.valuesMax) {
        throw new JsonLimitError("values", `reading JSON: more than ${this.valuesMax} values`);
      }
      let value: Json;
      const first = text[this.offset];
      if (first === "[" || first === "{") {
        this.offset++;
        this.skipSpace();
        const isEmpty = text[this.offset] === (first === "[" ? "]" : "}");
        if (open.length >= this.depthMax) {
          throw new JsonLimitError("depth", `reading JSON: nested deeper than ${this.depthMax} levels`);
        }
        if (!isEmpty) {
          open.push(first === "[" ? { list: [] } : { object: new Map(), key: this.readKey() });
          continue;
        }
        this.offset++;
        value = first === "[" ? [] : new Map();
      } else value = first === '"' ? this.readString() : this.readAtom();
      const document = this.#addToContainer(value, open);
      if (document !== undefined) return document;
    }
  }

  /** Adds a value to its container and closes containers that end. Returns the document once it is complete. */
  #addToContainer(value: Json, open: OpenContainer[]): Json | undefined {
    for (;;) {
      const container = open.at(-1);
      this.skipSpace();
      if (container === undefined) {
        if (this.offset < this.text.length) this.fail("Extra data", this.offset);
        return value;
      }
      if ("list" in container) container.list.push(value);
      else container.object.set(container.key, value);
      const next = this.text[this.offset];
      if (next === ",") {
        this.offset++;
        this.skipSpace();
        if ("object" in container) container.key = this.readKey();
        return undefined;
      }
      if (next !== ("list" in container ? "]" : "}")) this.fail("Expecting ',' delimiter", this.offset);
      this.offset++;
      open.pop();
      value = "list" in container ? container.list : container.object;
    }
  }
}

/**
 * Parses a JSON document as Python's `json.loads` does. Of two equal keys, the last value wins and keeps the
 * position of the first. `NaN` and `Infinity` are accepted (see {@link JsonNumber.isFinite}). Floats keep
 * Python's notation.
 *
 * @param depthMax maximum nesting of containers
 * @param valuesMax maximum number of values, including containers; a million values take a quarter of a
 *   second
 * @throws JsonSyntaxError with Python's message and position
 * @throws JsonLimitError if the text is nested too deeply, has too many values, or has an integer of over
 *   4,300 digits
 *
 * @example
 * ```ts
 * import { parseJson, stringifyJson } from "./json.ts";
 * const text = stringifyJson(parseJson('{"b": 1.10, "1": 12345678901234567890}'));
 * if (text !== '{"b":1.1,"1":12345678901234567890}') throw new Error(text);
 * ```
 */
export function parseJson(text: string, depthMax = 900, valuesMax = Infinity): Json {
  return new Reader(text, depthMax, valuesMax).readDocument();
}

/**
 * Formats JSON without spaces and with keys in their order. NUL and lone surrogates are escaped, so that a
 * PostgreSQL `json` column accepts the text.
 *
 * @throws RangeError if a number is not finite
 */
export function stringifyJson(value: Json): string {
  if (value === null) return "null";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  if (value instanceof JsonNumber) {
    if (!value.isFinite) throw new RangeError(`writing JSON: ${value.text} is not a finite number`);
    return value.text;
  }
  let text = "";
  if (Array.isArray(value)) {
    for (const item of value) text += (text === "" ? "" : ",") + stringifyJson(item);
    return `[${text}]`;
  }
  for (const [key, item] of value) {
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${stringifyJson(item)}`;
  }
  return `{${text}}`;
}

/**
 * Formats a value as JSON that may also hold `JsonNumber`, maps and big integers. Returns undefined where there is no
 * JSON for it.
 */
export function formatValue(value: unknown): string | undefined {
  if (value instanceof JsonNumber) return value.text;
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map || Array.isArray(value)) return stringifyJson(value as Json);
  return JSON.stringify(value);
}
