/** Writes trees as text: canonical Extended JSON, a lossless form close to plain JSON, and the plain JSON of v1. */
import { BsonDocument, type BsonValue, DateMs, Double, ObjectId, Special } from "./tree.ts";

/**
 * Writes a finite 64-bit float like Python's repr(), with a decimal point even for whole numbers.
 *
 * @example
 * ```ts
 * import { writeFloat } from "./ejson_write.ts";
 * if (writeFloat(1e16) !== "1e+16" || writeFloat(-0) !== "-0.0") throw new Error("not as Python does it");
 * ```
 */
export function writeFloat(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  // JavaScript uses exponents only below 1e-6 and from 1e21 on.
  if (size === 0 || (size >= 1e-4 && size < 1e16)) {
    return Number.isInteger(value) ? `${value}.0` : String(value);
  }
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  return `${mantissa}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

/** Writes canonical Extended JSON, with a type tag for each number. Equal texts mean identical trees. */
export function writeCanonical(value: BsonValue): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return `{"$numberInt":"${value}"}`;
  if (typeof value === "bigint") return `{"$numberLong":"${value}"}`;
  if (Array.isArray(value)) return `[${value.map(writeCanonical).join()}]`;
  if (value instanceof BsonDocument) {
    return `{${
      value.keys.map((key, i) => `${JSON.stringify(key)}:${writeCanonical(value.values[i]!)}`).join()
    }}`;
  }
  return writeTagged(value);
}

function writeTagged(value: Double | DateMs | ObjectId | Special): string {
  if (value instanceof Double) {
    return `{"$numberDouble":"${Number.isFinite(value.value) ? writeFloat(value.value) : value.value}"}`;
  }
  if (value instanceof DateMs) return `{"$date":{"$numberLong":"${value.ms}"}}`;
  return value instanceof ObjectId ? `{"$oid":"${value.hex}"}` : value.text;
}

/** Reports whether PostgreSQL can store the text in a text or json value. */
export const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();

/** Returns a text that PostgreSQL can store: NUL becomes `␀`, a lone surrogate `�`. */
export const toStorable = (text: string): string => text.replaceAll("\0", "\u2400").toWellFormed();

function writeEscaped(text: string): string {
  return isStorable(text)
    ? JSON.stringify(text)
    : `{"$escaped":${JSON.stringify(JSON.stringify(text).slice(1, -1))}}`;
}

/**
 * Writes JSON from which the same tree can be parsed: an int32 as `1`, a double as `1.0`, an int64 outside the range
 * of int32 as it is, and a type tag for everything else that plain JSON cannot express.
 */
export function writeLossless(value: BsonValue): string {
  if (typeof value === "string") return writeEscaped(value);
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "bigint") return exceedsInt32(value) ? String(value) : `{"$numberLong":"${value}"}`;
  if (Array.isArray(value)) return `[${value.map(writeLossless).join()}]`;
  if (value instanceof Double && Number.isFinite(value.value)) return writeFloat(value.value);
  if (!(value instanceof BsonDocument)) return writeTagged(value);
  const { keys, values } = value;
  if (keys[0]?.startsWith("$") || !keys.every(isStorable)) {
    const entries = keys.map((key, i) => `[${writeEscaped(key)},${writeLossless(values[i]!)}]`);
    return `{"$entries":[${entries.join()}]}`;
  }
  return `{${keys.map((key, i) => `${JSON.stringify(key)}:${writeLossless(values[i]!)}`).join()}}`;
}

const exceedsInt32 = (value: bigint) => value < -0x80000000n || value > 0x7fffffffn;

/** Writes a date like the old backend: UTC without zone, six decimals or none. */
function writeNaiveDate(ms: number | bigint): string {
  if (typeof ms === "bigint" || Math.abs(ms) > 8.64e15) return String(ms);
  const text = new Date(ms).toISOString().slice(0, -1);
  return text.endsWith(".000") ? text.slice(0, -4) : `${text}000`;
}

/** Plain JSON as the old backend answered it, for a `json` column. */
export interface PlainJson {
  text: string;
  /** True when parsing `text` yields another tree. */
  isLossy: boolean;
  /** True when a text was changed because PostgreSQL cannot store it. */
  isEscaped: boolean;
}

class PlainWriter {
  isLossy = false;
  isEscaped = false;

  string(text: string): string {
    if (isStorable(text)) return JSON.stringify(text);
    this.isLossy = true;
    this.isEscaped = true;
    return JSON.stringify(toStorable(text));
  }

  value(value: BsonValue): string {
    if (typeof value === "string") return this.string(value);
    if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
    if (Array.isArray(value)) return `[${value.map((item) => this.value(item)).join()}]`;
    if (value instanceof BsonDocument) {
      return `{${value.keys.map((key, i) => `${this.string(key)}:${this.value(value.values[i]!)}`).join()}}`;
    }
    if (typeof value === "bigint") {
      if (!exceedsInt32(value)) this.isLossy = true;
      return String(value);
    }
    if (value instanceof Double && Number.isFinite(value.value)) return writeFloat(value.value);
    this.isLossy = true;
    if (value instanceof Double) return "null";
    if (value instanceof DateMs) return JSON.stringify(writeNaiveDate(value.ms));
    return value instanceof ObjectId ? `"${value.hex}"` : value.text;
  }
}

/** Writes a value as plain JSON, and reports whether something was lost. */
export function writePlain(value: BsonValue): PlainJson {
  const writer = new PlainWriter();
  const text = writer.value(value);
  return { text, isLossy: writer.isLossy, isEscaped: writer.isEscaped };
}
