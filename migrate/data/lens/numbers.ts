/**
 * Integers of any type: an int32, an int64, a double or a Decimal128 without fraction, and a text with
 * digits. Every column and every index that takes an integer is read by readWhole(), so that all types follow
 * the same rules.
 */
import { type BsonValue, Double, Special } from "../documents/tree.ts";

/** The integers that a column can hold. */
export interface IntegerRange {
  min: bigint;
  max: bigint;
}

export const int4: IntegerRange = { min: -0x80000000n, max: 0x7fffffffn };
export const int8: IntegerRange = { min: -(1n << 63n), max: (1n << 63n) - 1n };

/** The integer that a value means. */
export interface ParsedInteger {
  /** Undefined if the value is no integer in the range. */
  number?: bigint | undefined;
  /** True if the value follows from the number: an int32 where one is possible, else an int64. */
  isExact: boolean;
  /** The rule that the adjustment names; undefined for an int32, an int64, and a double without fraction. */
  rule?: string | undefined;
}

const intText = /^\s*-?\d{1,19}\s*$/;
const decimalTag = /^\{"\$numberDecimal":"([+-]?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?"\}$/i;
/** The largest and the smallest exponent of a Decimal128, for a coefficient without point. */
const exponentMax = 6144;

/**
 * Reads a Decimal128. Yields undefined for NaN and infinities, and `fraction` for a number that is not whole.
 */
function readDecimal({ text }: Special): bigint | "fraction" | undefined {
  const [, sign, whole, fraction = "", exponentText = "0"] = decimalTag.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const exponent = Number(exponentText) - fraction.length;
  if (Math.abs(exponent) > 2 * exponentMax) return undefined;
  const digits = whole + fraction;
  const dropped = exponent < 0 ? digits.slice(exponent) : "";
  if (/[1-9]/.test(dropped)) return "fraction";
  const kept = exponent < 0 ? digits.slice(0, exponent) : digits + "0".repeat(exponent);
  return (sign === "-" ? -1n : 1n) * BigInt(kept === "" ? "0" : kept);
}

function toWhole(value: BsonValue): ParsedInteger {
  if (typeof value === "number") return { number: BigInt(value), isExact: true };
  if (typeof value === "bigint") return { number: value, isExact: BigInt.asIntN(32, value) !== value };
  if (value instanceof Double) {
    return Number.isInteger(value.value)
      ? { number: BigInt(value.value), isExact: false }
      : { isExact: false, rule: "number_not_whole" };
  }
  if (value instanceof Special) {
    const number = readDecimal(value);
    if (number === "fraction") return { isExact: false, rule: "number_not_whole" };
    return {
      number,
      isExact: false,
      rule: number === undefined ? "number_unreadable" : "number_from_decimal",
    };
  }
  return typeof value === "string" && intText.test(value)
    ? { number: BigInt(value.trim()), isExact: false, rule: "number_from_text" }
    : { isExact: false, rule: "number_unreadable" };
}

/** Reads a value of any type as an integer. */
export function readWhole(value: BsonValue, { min, max }: IntegerRange): ParsedInteger {
  const read = toWhole(value);
  if (read.number === undefined || read.number >= min && read.number <= max) return read;
  return { isExact: false, rule: "number_out_of_range" };
}
