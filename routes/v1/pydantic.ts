/**
 * Reads fields of bodies and queries as pydantic does: the same coercions, the same faults, the same
 * messages.
 */
import { int, type Json, JsonNumber, type JsonObject } from "../../json.ts";
import type { Fault } from "./http_error.ts";

type Loc = (string | number)[];
type Ctx = [name: string, value: Json][];

/** Collects the faults of one request in the order of its fields. */
export class Faults {
  readonly list: Fault[] = [];

  add(type: string, loc: Loc, msg: string, input: Json, ctx?: Ctx): undefined {
    this.list.push({ type, loc, msg, input, ...(ctx ? { ctx: new Map(ctx) } : {}) });
    return undefined;
  }

  /** Adds the fault that pydantic reports for a ValueError of a validator. */
  addValueError(loc: Loc, msg: string, input: Json): undefined {
    return this.add("value_error", loc, `Value error, ${msg}`, input, [["error", new Map()]]);
  }

  addMissing(loc: Loc, input: Json): undefined {
    return this.add("missing", loc, "Field required", input);
  }
}

/** The range of MongoDB's 64-bit integers. */
const int64Max = 2n ** 63n - 1n;
const int64Min = -(2n ** 63n);

// Unicode's White_Space, which differs from the spaces of JavaScript's trim() and of Python's strip().
const space = "[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*";
const wholeNumber = new RegExp(`^${space}([-+]?)([0-9]+(?:_[0-9]+)*)(?:\\.0+)?${space}$`);
const digitsMax = 4300;

/**
 * Reads an integer from a query's text: `01`, `+1`, ` 1 `, `1.0` and `1_000` are valid, `1.5` and `1e3` are
 * not. Integers over 64 bits, on which the old backend failed, are out of range.
 *
 * @param text the value as received; faults report it
 */
export function readInt(
  text: string,
  loc: Loc,
  faults: Faults,
  { ge, le }: { ge?: number; le?: number } = {},
): bigint | undefined {
  const match = wholeNumber.exec(text);
  if (!match) {
    return faults.add(
      "int_parsing",
      loc,
      "Input should be a valid integer, unable to parse string as an integer",
      text,
    );
  }
  const digits = match[2]!.replaceAll("_", "").replace(/^0+(?=.)/, "");
  if (digits.length > digitsMax) {
    return faults.add(
      "int_parsing_size",
      loc,
      "Unable to parse input string as an integer, exceeded maximum size",
      text,
    );
  }
  const value = match[1] === "-" ? -BigInt(digits) : BigInt(digits);
  const min = ge === undefined ? int64Min : BigInt(ge);
  const max = le === undefined ? int64Max : BigInt(le);
  if (value < min) {
    const msg = `Input should be greater than or equal to ${min}`;
    return faults.add("greater_than_equal", loc, msg, text, [["ge", int(min)]]);
  }
  if (value > max) {
    const msg = `Input should be less than or equal to ${max}`;
    return faults.add("less_than_equal", loc, msg, text, [["le", int(max)]]);
  }
  return value;
}

const addUnicodeFault = (value: string, loc: Loc, faults: Faults): undefined =>
  faults.add(
    "string_unicode",
    loc,
    "Input should be a valid string, unable to parse raw data as a unicode string",
    value,
  );

/** Reads a string without lone surrogates. It may contain NUL. Other types are not coerced. */
export function readUnicode(value: Json, loc: Loc, faults: Faults): string | undefined {
  if (typeof value !== "string") {
    return faults.add("string_type", loc, "Input should be a valid string", value);
  }
  return value.isWellFormed() ? value : addUnicodeFault(value, loc, faults);
}

/** Reads a string that PostgreSQL can store: one without NUL and lone surrogates. */
export function readString(value: Json, loc: Loc, faults: Faults): string | undefined {
  const text = readUnicode(value, loc, faults);
  return text?.includes("\0") ? addUnicodeFault(text, loc, faults) : text;
}

const booleanWords = new Map<string, boolean>([
  ...["1", "on", "t", "true", "y", "yes"].map((word): [string, boolean] => [word, true]),
  ...["0", "off", "f", "false", "n", "no"].map((word): [string, boolean] => [word, false]),
]);

/**
 * Reads a boolean. Also valid are 0, 1, 0.0, 1.0 and the words `on`, `t`, `true`, `y`, `yes`, `off`, … in any
 * case.
 */
export function readBoolean(value: Json, loc: Loc, faults: Faults): boolean | undefined {
  if (typeof value === "boolean") return value;
  if (value instanceof JsonNumber && (value.value === 0 || value.value === 1)) return value.value === 1;
  const known = typeof value === "string" ? booleanWords.get(value.toLowerCase()) : undefined;
  if (known !== undefined) return known;
  const isWhole = value instanceof JsonNumber && Number.isInteger(value.value) &&
    Math.abs(value.value) < 2 ** 63;
  if (typeof value === "string" || isWhole) {
    const msg = "Input should be a valid boolean, unable to interpret input";
    return faults.add("bool_parsing", loc, msg, value);
  }
  return faults.add("bool_type", loc, "Input should be a valid boolean", value);
}

/** Reads a list without checking its items. */
export function readList(value: Json, loc: Loc, faults: Faults): Json[] | undefined {
  return Array.isArray(value) ? value : faults.add("list_type", loc, "Input should be a valid list", value);
}

/** Reads an object without checking its values. */
export function readObject(value: Json, loc: Loc, faults: Faults): JsonObject | undefined {
  return value instanceof Map
    ? value
    : faults.add("dict_type", loc, "Input should be a valid dictionary", value);
}

/** Reads a member of an enum. */
export function readEnum<T extends string>(
  value: Json,
  words: readonly T[],
  loc: Loc,
  faults: Faults,
): T | undefined {
  const known = words.find((word) => word === value);
  if (known !== undefined) return known;
  const quoted = words.map((word) => `'${word}'`);
  const expected = `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
  return faults.add("enum", loc, `Input should be ${expected}`, value, [["expected", expected]]);
}

/** Reads the whole body as an object. An empty body and `null` count as missing. */
export function readBodyObject(body: Json, faults: Faults): JsonObject | undefined {
  if (body === null) return faults.addMissing(["body"], null);
  if (body instanceof Map) return body;
  return faults.add(
    "model_attributes_type",
    ["body"],
    "Input should be a valid dictionary or object to extract fields from",
    body,
  );
}

/** Maximum number of reported faults of this type; one body can have thousands. */
const nonFiniteMax = 100;

/** Adds a fault for each number in a value that is not finite. The old backend failed on such numbers. */
export function addNonFiniteFaults(value: Json, loc: Loc, faults: Faults): void {
  const path = [...loc];
  let left = nonFiniteMax;
  const checkItem = (item: Json, part: string | number) => {
    path.push(part);
    check(item);
    path.pop();
  };
  const check = (item: Json) => {
    if (left === 0) return;
    if (item instanceof JsonNumber) {
      if (item.isFinite) return;
      left--;
      faults.add("finite_number", [...path], "Input should be a finite number", null);
    } else if (Array.isArray(item)) item.forEach(checkItem);
    else if (item instanceof Map) item.forEach(checkItem);
  };
  check(value);
}
