/**
 * JSON that keeps what JavaScript's own loses: key order (also of integer-like keys), `1.0`, long integers,
 * lone surrogates. Read and written as Python's json module does, in whose words errors are reported.
 */

/** A number as Python writes it: whole numbers of any length, floats by their shortest digits. */
export class JsonNumber {
  constructor(readonly text: string) {}

  get value(): number {
    return Number(this.text);
  }

  /** True for `5`, false for `5.0` and `5e0`: Python's int against its float. */
  get isInteger(): boolean {
    return /^-?\d+$/.test(this.text);
  }

  /** False for `NaN`, `Infinity` and what overflows to it: the parser takes them, nothing may store them. */
  get isFinite(): boolean {
    const last = this.text.charCodeAt(this.text.length - 1);
    return last >= 48 && last <= 57 && (!this.text.includes("e") || Number.isFinite(this.value));
  }
}

export type JsonObject = Map<string, Json>;
export type Json = null | boolean | string | JsonNumber | Json[] | JsonObject;

/** Where a text stops being JSON: `msg` in Python's words, `position` in code points from 0. */
export class JsonSyntaxError extends Error {
  constructor(readonly msg: string, readonly position: number) {
    super(`${msg}: char ${position}`);
    this.name = "JsonSyntaxError";
  }
}

/** JSON by its grammar, but deeper, with more values or with longer integers than will be read. */
export class JsonLimitError extends Error {
  constructor(readonly limit: "depth" | "digits" | "values", message: string) {
    super(message);
    this.name = "JsonLimitError";
  }
}

/** A whole number as JSON. */
export const int = (value: number | bigint): JsonNumber => new JsonNumber(String(value));

/** Digits of an integer that Python's int() reads at most. */
const digitsMax = 4300;

/**
 * A float as Python's repr writes it: `1.0`, `1e+16`, `1e-05`, `inf` as `Infinity`.
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

/** An open container: where its next value goes. */
type Open = { list: Json[] } | { object: JsonObject; key: string };

/** One pass over a text; open containers are on a list of our own, so depth costs no call stack. */
class Reader {
  at = 0;
  readonly #number = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
  // deno-lint-ignore no-control-regex -- what a JSON string may not hold raw
  readonly #plain = /[^"\\\x00-\x1f]*/y;
  // Escapes; Python wants one more character after the four digits, or calls them cut.
  readonly #sound = /(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}(?=[^]))){1,1000}/y;

  constructor(readonly text: string, readonly depthMax: number, readonly valuesMax: number) {}

  fail(msg: string, index: number): never {
    let position = 0;
    for (let i = 0; i < index; i++, position++) {
      if ((this.text.codePointAt(i) ?? 0) > 0xffff) i++;
    }
    throw new JsonSyntaxError(msg, position);
  }

  skipSpace(): void {
    for (;; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
    }
  }

  /** Where a run of plain letters from `from` ends. */
  #passPlain(from: number): number {
    this.#plain.lastIndex = from;
    this.#plain.test(this.text);
    return this.#plain.lastIndex;
  }

  /** A string whose opening quote is at `at`. */
  readString(): string {
    const { text } = this;
    const begin = this.at;
    const next = this.#passPlain(begin + 1);
    if (text[next] === '"') {
      this.at = next + 1;
      return text.slice(begin + 1, next);
    }
    // Escapes are left to the engine, which is ten times as fast; what it refuses is looked through for the fault.
    const end = text[next] === "\\" ? this.#findQuote(next) : -1;
    try {
      if (end >= 0) {
        const value: string = JSON.parse(text.slice(begin, end + 1));
        this.at = end + 1;
        return value;
      }
    } catch {
      // Named below.
    }
    return this.#failString(begin);
  }

  /** The first quote from `from` that no backslash escapes, or -1. */
  #findQuote(from: number): number {
    const { text } = this;
    for (let end = text.indexOf('"', from); end >= 0; end = text.indexOf('"', end + 1)) {
      let before = end;
      while (text[before - 1] === "\\") before--;
      if ((end - before) % 2 === 0) return end;
    }
    return -1;
  }

  /** Names the first fault of a string that has one. */
  #failString(begin: number): never {
    const { text } = this;
    let next = begin + 1;
    for (let passed = -1; passed < next;) {
      passed = next;
      this.#sound.lastIndex = this.#passPlain(next);
      next = this.#sound.test(text) ? this.#sound.lastIndex : this.#passPlain(next);
    }
    const kind = text[next + 1];
    if (next >= text.length) this.fail("Unterminated string starting at", begin);
    if (text[next] !== "\\") this.fail("Invalid control character at", next);
    if (kind === undefined) this.fail("Unterminated string starting at", begin);
    if (kind === "u") this.fail("Invalid \\uXXXX escape", next + 1);
    this.fail("Invalid \\escape", next);
  }

  /** A whole number in its usual form, which most are; undefined, and nothing read, for anything else. */
  #readInteger(): JsonNumber | undefined {
    const { text, at } = this;
    const first = text.charCodeAt(at) === 45 ? at + 1 : at;
    let end = first;
    let code = text.charCodeAt(end);
    while (code >= 48 && code <= 57) code = text.charCodeAt(++end);
    const isPlain = end > first && end - first < 20 && code !== 46 && code !== 69 && code !== 101 &&
      text.charCodeAt(first) !== 48;
    if (!isPlain) return undefined;
    this.at = end;
    return new JsonNumber(text.slice(at, end));
  }

  /** Anything that is neither string nor container. */
  readAtom(): Json {
    const integer = this.#readInteger();
    if (integer) return integer;
    const { text, at } = this;
    for (const [word, make] of constants) {
      if (text[at] === word[0] && text.startsWith(word, at)) {
        this.at += word.length;
        return make();
      }
    }
    this.#number.lastIndex = at;
    const match = this.#number.exec(text);
    if (!match) this.fail("Expecting value", at);
    const [digits, fraction, exponent] = match;
    this.at = this.#number.lastIndex;
    if (fraction !== undefined || exponent !== undefined) return new JsonNumber(formatFloat(Number(digits)));
    if (digits.length > digitsMax + (digits.startsWith("-") ? 1 : 0)) {
      throw new JsonLimitError("digits", `reading JSON: an integer of over ${digitsMax} digits`);
    }
    return new JsonNumber(digits === "-0" ? "0" : digits);
  }

  /** A key and its colon; the value follows. */
  readKey(): string {
    if (this.text[this.at] !== '"') {
      this.fail("Expecting property name enclosed in double quotes", this.at);
    }
    const key = this.readString();
    this.skipSpace();
    if (this.text[this.at] !== ":") this.fail("Expecting ':' delimiter", this.at);
    this.at++;
    this.skipSpace();
    return key;
  }

  readDocument(): Json {
    const { text } = this;
    const open: Open[] = [];
    this.skipSpace();
    for (let values = 1;; values++) {
      if (values > this.valuesMax) {
        throw new JsonLimitError("values", `reading JSON: more than ${this.valuesMax} values`);
      }
      let value: Json;
      const first = text[this.at];
      if (first === "[" || first === "{") {
        this.at++;
        this.skipSpace();
        const isEmpty = text[this.at] === (first === "[" ? "]" : "}");
        if (open.length >= this.depthMax) {
          throw new JsonLimitError("depth", `reading JSON: nested deeper than ${this.depthMax} levels`);
        }
        if (!isEmpty) {
          open.push(first === "[" ? { list: [] } : { object: new Map(), key: this.readKey() });
          continue;
        }
        this.at++;
        value = first === "[" ? [] : new Map();
      } else value = first === '"' ? this.readString() : this.readAtom();
      const done = this.#place(value, open);
      if (done !== undefined) return done;
    }
  }

  /** Puts a value into its container and closes what ends after it; the document once nothing is open. */
  #place(value: Json, open: Open[]): Json | undefined {
    for (;;) {
      const within = open.at(-1);
      this.skipSpace();
      if (within === undefined) {
        if (this.at < this.text.length) this.fail("Extra data", this.at);
        return value;
      }
      if ("list" in within) within.list.push(value);
      else within.object.set(within.key, value);
      const next = this.text[this.at];
      if (next === ",") {
        this.at++;
        this.skipSpace();
        if ("object" in within) within.key = this.readKey();
        return undefined;
      }
      if (next !== ("list" in within ? "]" : "}")) this.fail("Expecting ',' delimiter", this.at);
      this.at++;
      open.pop();
      value = "list" in within ? within.list : within.object;
    }
  }
}

/**
 * Reads a JSON document as Python's `json.loads` does: the last of two equal keys wins at the place of the first,
 * `NaN` and `Infinity` are taken (see {@link JsonNumber.isFinite}), floats are kept in Python's form.
 *
 * @param depthMax containers within each other at most; costs no call stack
 * @param valuesMax values in all at most, containers counted: a million take a quarter of a second
 * @throws JsonSyntaxError in Python's words and with its position
 * @throws JsonLimitError nested too deep, too many values, or an integer of over 4,300 digits
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
 * Writes JSON without spaces, keys in their order; NUL and lone surrogates as escapes, so that the text fits a
 * PostgreSQL `json` column.
 *
 * @throws RangeError for a number that is not finite
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
