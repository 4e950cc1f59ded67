/** Parses Extended JSON into a tree: canonical, relaxed, and the tags of version 1. */
import { BsonDocument, type BsonValue, depthMax, Double } from "./tree.ts";
import { readTagged } from "./ejson_tags.ts";

/** Reports a text that is not JSON. `at` is an offset in UTF-16 units. */
export class EjsonError extends Error {
  constructor(message: string, readonly at: number) {
    super(message);
    this.name = "EjsonError";
  }
}

/** Reports a nesting deeper than `depthMax`. */
export class TooDeepError extends Error {}

/**
 * Set of type tags that are parsed: `ejson` has those of MongoDB, `lossless` also `$escaped` and `$entries` of
 * writeLossless(), `plain` none.
 */
export type Dialect = "ejson" | "lossless" | "plain";

const intPattern = /^-?\d+$/;

/** Parses a number as relaxed Extended JSON defines it. */
export function readNumber(token: string): BsonValue {
  if (!intPattern.test(token) || token === "-0") return new Double(Number(token));
  if (token.length < 10) return Number(token);
  const whole = BigInt(token);
  if (whole >= -0x80000000n && whole <= 0x7fffffffn) return Number(whole);
  return whole >= -(1n << 63n) && whole < 1n << 63n ? whole : new Double(Number(token));
}

class Reader {
  at = 0;
  constructor(readonly text: string, readonly dialect: Dialect) {}

  fail(wanted: string): never {
    throw new EjsonError(`wanted ${wanted} at column ${this.at + 1}`, this.at);
  }

  /** Skips white space and returns the code of the next UTF-16 unit, or NaN at the end. */
  peek(): number {
    let code = this.text.charCodeAt(this.at);
    while (code === 32 || code === 10 || code === 13 || code === 9) code = this.text.charCodeAt(++this.at);
    return code;
  }

  value(depth: number): BsonValue {
    if (depth > depthMax + 8) throw new TooDeepError(`nested deeper than ${depthMax}`);
    const code = this.peek();
    if (code === 34) return this.string();
    if (code === 123) return this.object(depth);
    if (code === 91) return this.array(depth);
    if (code === 110) return this.word("null", null);
    if (code === 116) return this.word("true", true);
    if (code === 102) return this.word("false", false);
    return this.number();
  }

  word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail("a value");
    this.at += word.length;
    return value;
  }

  number(): BsonValue {
    const pattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    pattern.lastIndex = this.at;
    const token = pattern.exec(this.text)?.[0];
    if (token === undefined) this.fail("a value");
    this.at += token.length;
    return readNumber(token);
  }

  string(): string {
    const { text, at } = this;
    let end = text.indexOf('"', at + 1);
    while (end > 0) {
      let slashes = 0;
      while (text.charCodeAt(end - 1 - slashes) === 92) slashes++;
      if (slashes % 2 === 0) break;
      end = text.indexOf('"', end + 1);
    }
    if (end < 0) {
      this.at = text.length;
      this.fail("the end of a text");
    }
    this.at = end + 1;
    const inner = text.slice(at + 1, end);
    // deno-lint-ignore no-control-regex -- JSON allows them only as escapes
    if (!/[\\\u0000-\u001f]/.test(inner)) return inner;
    try {
      return JSON.parse(text.slice(at, end + 1));
    } catch {
      this.at = at;
      return this.fail("a text with valid escapes");
    }
  }

  array(depth: number): BsonValue[] {
    this.at++;
    const items: BsonValue[] = [];
    if (this.peek() === 93) {
      this.at++;
      return items;
    }
    while (true) {
      items.push(this.value(depth + 1));
      const code = this.peek();
      this.at++;
      if (code === 93) return items;
      if (code !== 44) {
        this.at--;
        this.fail("',' or ']'");
      }
    }
  }

  object(depth: number): BsonValue {
    const document = this.document(depth);
    if (this.dialect === "plain" || document.keys[0]?.charCodeAt(0) !== 36) return document;
    return readTagged(document, this.dialect) ?? document;
  }

  document(depth: number): BsonDocument {
    this.at++;
    const keys: string[] = [];
    const values: BsonValue[] = [];
    if (this.peek() === 125) {
      this.at++;
      return new BsonDocument(keys, values);
    }
    while (true) {
      if (this.peek() !== 34) this.fail("a key");
      keys.push(this.string());
      if (this.peek() !== 58) this.fail("':'");
      this.at++;
      values.push(this.value(depth + 1));
      const code = this.peek();
      this.at++;
      if (code === 125) return new BsonDocument(keys, values);
      if (code !== 44) {
        this.at--;
        this.fail("',' or '}'");
      }
    }
  }
}

/**
 * Parses a value.
 *
 * @throws EjsonError, TooDeepError
 */
export function readValue(text: string, dialect: Dialect): BsonValue {
  const reader = new Reader(text, dialect);
  const value = reader.value(0);
  if (!Number.isNaN(reader.peek())) reader.fail("the end");
  return value;
}

/**
 * Parses a document whose top level is never a type tag: a line of an export, or an `extra` column.
 *
 * @throws EjsonError, TooDeepError
 */
export function readDocument(text: string, dialect: Dialect = "ejson"): BsonDocument {
  const reader = new Reader(text, dialect);
  if (reader.peek() !== 123) reader.fail("'{'");
  const document = reader.document(0);
  if (!Number.isNaN(reader.peek())) reader.fail("the end of the line");
  return document;
}
