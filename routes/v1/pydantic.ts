/** How pydantic reads the fields of v1's bodies and queries: what it coerces, what it refuses, in its words. */
import { int, type Json, JsonNumber, type JsonObject } from "../../json.ts";
import type { Fault } from "./refusal.ts";

type Loc = (string | number)[];
type Ctx = [name: string, value: Json][];

/** Gathers the faults of one request, in the order of the fields. */
export class Faults {
  readonly list: Fault[] = [];

  add(type: string, loc: Loc, msg: string, input: Json, ctx?: Ctx): undefined {
    this.list.push({ type, loc, msg, input, ...(ctx ? { ctx: new Map(ctx) } : {}) });
    return undefined;
  }

  /** What a ValueError raised by a validator looks like. */
  addValueError(loc: Loc, msg: string, input: Json): undefined {
    return this.add("value_error", loc, `Value error, ${msg}`, input, [["error", new Map()]]);
  }

  addMissing(loc: Loc, input: Json): undefined {
    return this.add("missing", loc, "Field required", input);
  }
}

/** The bounds that the old database could count in. */
const int64Max = 2n ** 63n - 1n;
const int64Min = -(2n ** 63n);

// Unicode's White_Space, which is neither JavaScript's trim() nor Python's strip().
const space = "[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*";
const wholeNumber = new RegExp(`^${space}([-+]?)([0-9]+(?:_[0-9]+)*)(?:\\.0+)?${space}$`);
const digitsMax = 4300;

/**
 * An integer out of a query's text: `01`, `+1`, ` 1 `, `1.0` and `1_000` are taken, `1.5` and `1e3` are not.
 * Past 64 bits the old backend failed; here it is out of range.
 *
 * @param text as it came, which is what a fault shows
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
  const least = ge === undefined ? int64Min : BigInt(ge);
  const most = le === undefined ? int64Max : BigInt(le);
  if (value < least) {
    const msg = `Input should be greater than or equal to ${least}`;
    return faults.add("greater_than_equal", loc, msg, text, [["ge", int(least)]]);
  }
  if (value > most) {
    const msg = `Input should be less than or equal to ${most}`;
    return faults.add("less_than_equal", loc, msg, text, [["le", int(most)]]);
  }
  return value;
}

/** True for text that PostgreSQL has no place for: a NUL, or half of a surrogate pair. */
const isUnstorable = (text: string) => text.includes("\0") || !text.isWellFormed();

/** A text; nothing else is coerced to one. */
export function readString(value: Json, loc: Loc, faults: Faults): string | undefined {
  if (typeof value !== "string") {
    return faults.add("string_type", loc, "Input should be a valid string", value);
  }
  if (isUnstorable(value)) {
    const msg = "Input should be a valid string, unable to parse raw data as a unicode string";
    return faults.add("string_unicode", loc, msg, value);
  }
  return value;
}

const truths = new Map<string, boolean>([
  ...["1", "on", "t", "true", "y", "yes"].map((word): [string, boolean] => [word, true]),
  ...["0", "off", "f", "false", "n", "no"].map((word): [string, boolean] => [word, false]),
]);

/** A boolean: also 0, 1, 0.0, 1.0 and the words `on`, `t`, `true`, `y`, `yes`, `off`, … in any case. */
export function readBoolean(value: Json, loc: Loc, faults: Faults): boolean | undefined {
  if (typeof value === "boolean") return value;
  if (value instanceof JsonNumber && (value.value === 0 || value.value === 1)) return value.value === 1;
  const known = typeof value === "string" ? truths.get(value.toLowerCase()) : undefined;
  if (known !== undefined) return known;
  const isWhole = value instanceof JsonNumber && Number.isInteger(value.value) &&
    Math.abs(value.value) < 2 ** 63;
  if (typeof value === "string" || isWhole) {
    const msg = "Input should be a valid boolean, unable to interpret input";
    return faults.add("bool_parsing", loc, msg, value);
  }
  return faults.add("bool_type", loc, "Input should be a valid boolean", value);
}

/** A list, its items as they came. */
export function readList(value: Json, loc: Loc, faults: Faults): Json[] | undefined {
  return Array.isArray(value) ? value : faults.add("list_type", loc, "Input should be a valid list", value);
}

/** An object, its values as they came. */
export function readObject(value: Json, loc: Loc, faults: Faults): JsonObject | undefined {
  return value instanceof Map
    ? value
    : faults.add("dict_type", loc, "Input should be a valid dictionary", value);
}

/** One of the words of an enum. */
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

/** The whole body as an object: nothing and `null` are missing, anything else is no object. */
export function readBody(body: Json, faults: Faults): JsonObject | undefined {
  if (body === null) return faults.addMissing(["body"], null);
  if (body instanceof Map) return body;
  return faults.add(
    "model_attributes_type",
    ["body"],
    "Input should be a valid dictionary or object to extract fields from",
    body,
  );
}

/** Faults of one kind that a client is told of: where they are thousands, the first ones say enough. */
const nonFiniteMax = 100;

/** Numbers that are not finite, wherever they stand: the old backend failed on them, here they are faults. */
export function findNonFinite(value: Json, loc: Loc, faults: Faults): void {
  const path = [...loc];
  let left = nonFiniteMax;
  const visit = (item: Json, part: string | number) => {
    path.push(part);
    look(item);
    path.pop();
  };
  const look = (item: Json) => {
    if (left === 0) return;
    if (item instanceof JsonNumber) {
      if (item.isFinite) return;
      left--;
      faults.add("finite_number", [...path], "Input should be a finite number", null);
    } else if (Array.isArray(item)) item.forEach(visit);
    else if (item instanceof Map) item.forEach(visit);
  };
  look(value);
}
