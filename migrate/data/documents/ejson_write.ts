/** Writes trees as text: canonical Extended JSON, our lossless plain-first form, and what v1 shows. */
import { BsonDocument, type BsonValue, DateMs, Double, ObjectId, Special } from "./tree.ts";

/**
 * A 64-bit float as Python's repr, in which `1.0` is never `1`; NaN and infinities have none.
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
  // JavaScript itself turns to exponents below 1e-6 and from 1e21 on only.
  if (size === 0 || (size >= 1e-4 && size < 1e16)) {
    return Number.isInteger(value) ? `${value}.0` : String(value);
  }
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  return `${mantissa}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

/** Canonical Extended JSON: every number tagged, two trees are the same exactly if these texts are. */
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

/** Text that a PostgreSQL text or json value can hold and give back. */
export const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();

/** The nearest text that PostgreSQL holds: NUL as `␀`, half a surrogate pair as `�`. */
export const toStorable = (text: string): string => text.replaceAll("\0", "\u2400").toWellFormed();

function writeEscaped(text: string): string {
  return isStorable(text)
    ? JSON.stringify(text)
    : `{"$escaped":${JSON.stringify(JSON.stringify(text).slice(1, -1))}}`;
}

/**
 * JSON that reads back to the same tree: an int32 as `1`, a double as `1.0`, longer integers as they are, a
 * tag only where plain JSON has no word.
 */
export function writeLossless(value: BsonValue): string {
  if (typeof value === "string") return writeEscaped(value);
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "bigint") return isLong(value) ? String(value) : `{"$numberLong":"${value}"}`;
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

const isLong = (value: bigint) => value < -0x80000000n || value > 0x7fffffffn;

/** A date as the old backend showed it: naive UTC, six fraction digits or none. */
function showDate(ms: number | bigint): string {
  if (typeof ms === "bigint" || Math.abs(ms) > 8.64e15) return String(ms);
  const text = new Date(ms).toISOString().slice(0, -1);
  return text.endsWith(".000") ? text.slice(0, -4) : `${text}000`;
}

/** Plain JSON for a `json` column, as the old backend would have shown the value. */
export interface Shown {
  text: string;
  /** True when reading `text` back would not give the same tree. */
  lossy: boolean;
  /** True when a text in it could not be stored as it is. */
  escaped: boolean;
}

class Shower {
  lossy = false;
  escaped = false;

  string(text: string): string {
    if (isStorable(text)) return JSON.stringify(text);
    this.lossy = this.escaped = true;
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
      if (!isLong(value)) this.lossy = true;
      return String(value);
    }
    if (value instanceof Double && Number.isFinite(value.value)) return writeFloat(value.value);
    this.lossy = true;
    if (value instanceof Double) return "null";
    if (value instanceof DateMs) return JSON.stringify(showDate(value.ms));
    return value instanceof ObjectId ? `"${value.hex}"` : value.text;
  }
}

/** Writes `value` for people and v1; what is lost on the way is told. */
export function show(value: BsonValue): Shown {
  const shower = new Shower();
  const text = shower.value(value);
  return { text, lossy: shower.lossy, escaped: shower.escaped };
}
