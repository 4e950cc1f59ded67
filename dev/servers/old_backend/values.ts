/** Values of documents: from the JSON of a request, and to the JSON of an answer, as Python wrote both. */
import { Double, Int32, Long, ObjectId } from "mongodb";
import { formatFloat, type Json, JsonNumber } from "../../../json.ts";

/** Returns an int32 where one is possible, else an int64, like pymongo. */
export const whole = (value: number | bigint): Int32 | Long =>
  value >= -0x80000000 && value <= 0x7fffffff ? new Int32(Number(value)) : Long.fromBigInt(BigInt(value));

/** Converts JSON to values that the driver writes with the types that pymongo chooses. */
export function toBson(value: Json): unknown {
  if (value instanceof JsonNumber) {
    return value.isInteger ? whole(BigInt(value.text)) : new Double(value.value);
  }
  if (Array.isArray(value)) return value.map(toBson);
  // A Map keeps the order of keys that look like integers.
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, toBson(item)]));
  return value;
}

/** Formats a time as v1 does: UTC without a zone, six fraction digits, none if the fraction is zero. */
export function formatTime(time: Date): string {
  const [seconds, fraction] = time.toISOString().slice(0, -1).split(".");
  return fraction === "000" ? seconds! : `${seconds}.${fraction}000`;
}

const shanghaiMs = 8 * 3_600_000;

/** Formats the time of a result: a text in Shanghai's zone. */
export const formatResultTime = (time: Date): string =>
  `${new Date(time.getTime() + shanghaiMs).toISOString().slice(0, -1)}000+08:00`;

/** Writes a value that was read without the driver's conversion of numbers. */
export function toJson(value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (value instanceof Double) return formatFloat(value.value);
  if (value instanceof Int32 || value instanceof Long) return String(value);
  if (value instanceof ObjectId) return `"${value.toHexString()}"`;
  if (value instanceof Date) return `"${formatTime(value)}"`;
  if (Array.isArray(value)) return `[${value.map(toJson).join()}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`).join()}}`;
}

/** Returns the number of a value that may be a tagged one. */
export const toNumber = (value: unknown): number => value === undefined || value === null ? 0 : Number(value);
