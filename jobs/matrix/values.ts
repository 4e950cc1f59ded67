/** How the values of tags and variables are read: as Python's `int()`, `float()` and `==` read them. */
import { type Json, JsonNumber, type JsonObject, stringifyJson } from "../../json.ts";

/** True for a JSON object. */
export const isObject = (value: Json | undefined): value is JsonObject => value instanceof Map;

/** False for null, false, zero, and an empty text, list or object. */
export function isTruthy(value: Json | undefined): boolean {
  if (value instanceof JsonNumber) return value.value !== 0;
  if (value instanceof Map) return value.size > 0;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** Digits of other scripts that stand for 0 to 9, as far as compatibility forms go (`１２`). */
const plainDigits = (text: string): string => text.replace(/\p{Nd}/gu, (digit) => digit.normalize("NFKC"));

/** Python refuses longer texts as integers. */
const digitsMax = 4300;

/**
 * The integer that a text (`" 12 "`, `"1_000"`) or a number stands for; a fraction in a text is none, one in
 * a number is cut off.
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

/** The finite number that a text (`" 7.5 "`, `"1e1"`) or a number stands for. */
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

/** Equal for values that Python finds equal: `1`, `1.0` and `true` are. */
export function equalityKey(value: Json | undefined): string {
  if (typeof value === "string") return `s${value}`;
  if (typeof value === "boolean") return `n${Number(value)}`;
  if (value instanceof JsonNumber) return `n${value.isInteger ? BigInt(value.text) : value.value}`;
  return `j${stringifyJson(value ?? null)}`;
}
