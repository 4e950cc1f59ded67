/** Reads the values of tags and variables with the semantics of Python's `int()`, `float()` and `==`. */
import { type Json, JsonNumber, type JsonObject, stringifyJson } from "../../json.ts";

/** Reports whether a value is a JSON object. */
export const isObject = (value: Json | undefined): value is JsonObject => value instanceof Map;

/** Reports whether Python treats a value as true: not null, false, zero, or an empty text, list or object. */
export function isTruthy(value: Json | undefined): boolean {
  if (value instanceof JsonNumber) return value.value !== 0;
  if (value instanceof Map) return value.size > 0;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** Replaces compatibility forms of digits (`１２`) by ASCII digits. */
const plainDigits = (text: string): string => text.replace(/\p{Nd}/gu, (digit) => digit.normalize("NFKC"));

/** Maximum length of a text that Python accepts as an integer. */
const digitsMax = 4300;

/**
 * Returns the integer value of a text (`" 12 "`, `"1_000"`) or a number. A text with a fraction is no
 * integer; the fraction of a number is cut off.
 */
export function readInteger(value: Json | undefined): bigint | undefined {
  if (value instanceof JsonNumber) {
    if (value.isInteger) return BigInt(value.text);
    return Number.isFinite(value.value) ? BigInt(Math.trunc(value.value)) : undefined;
  }
  if (typeof value !== "string") return undefined;
  const text = plainDigits(value.trim());
  if (!/^[+-]?\d+(?:_\d+)*$/.test(text) || text.length > digitsMax) return undefined;
  const digits = text.replaceAll("_", "");
  return digits.startsWith("+") ? BigInt(digits.slice(1)) : BigInt(digits);
}

/** Returns the finite value of a text (`" 7.5 "`, `"1e1"`) or a number. */
export function readNumber(value: Json | undefined): number | undefined {
  if (value instanceof JsonNumber) return Number.isFinite(value.value) ? value.value : undefined;
  if (typeof value !== "string") return undefined;
  const text = plainDigits(value.trim());
  if (!/^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?$/.test(text)) {
    return undefined;
  }
  const number = Number(text.replaceAll("_", ""));
  return Number.isFinite(number) ? number : undefined;
}

/** Returns a key that is equal for values that are equal in Python, such as `1`, `1.0` and `true`. */
export function equalityKey(value: Json | undefined): string {
  if (typeof value === "string") return `s${value}`;
  if (typeof value === "boolean") return `n${Number(value)}`;
  if (value instanceof JsonNumber) return `n${value.isInteger ? BigInt(value.text) : value.value}`;
  return `j${stringifyJson(value ?? null)}`;
}
