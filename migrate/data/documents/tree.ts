/**
 * A document as an ordered tree with the types of BSON. Keeps what a JavaScript object would lose: the order of
 * integer-like keys, int32 and double, `__proto__`, duplicate keys.
 */

/** A 64-bit float. In a tree, a JavaScript number is an int32 and a bigint an int64. */
export class Double {
  constructor(readonly value: number) {}
}

/** A date in milliseconds since 1970: a bigint only where a number is not exact. */
export class DateMs {
  constructor(readonly ms: number | bigint) {}
}

/** An ObjectId as 24 lower-case hex digits. */
export class ObjectId {
  constructor(readonly hex: string) {}
}

/** A value of any other type (Decimal128, Binary, Timestamp, MinKey…) as canonical Extended JSON. */
export class Special {
  constructor(readonly text: string) {}
}

/** A document as parallel arrays of keys and values. */
export class BsonDocument {
  constructor(readonly keys: string[], readonly values: BsonValue[]) {}

  /** Returns the value of the first field with this key, or undefined. */
  get(key: string): BsonValue | undefined {
    const index = this.keys.indexOf(key);
    return index < 0 ? undefined : this.values[index];
  }
}

export type BsonValue =
  | null
  | boolean
  | string
  | number
  | bigint
  | Double
  | DateMs
  | ObjectId
  | Special
  | BsonDocument
  | BsonValue[];

/**
 * Reports whether two values are identical in type, value and order. −0.0 differs from 0.0 and the int32 5 from the
 * int64 5; NaN equals NaN.
 */
export function isSame(a: BsonValue, b: BsonValue): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((value, i) => isSame(value, b[i]!));
  }
  if (a instanceof BsonDocument) {
    return b instanceof BsonDocument && a.keys.length === b.keys.length &&
      a.keys.every((key, i) => key === b.keys[i] && isSame(a.values[i]!, b.values[i]!));
  }
  if (a instanceof Double) return b instanceof Double && Object.is(a.value, b.value);
  if (a instanceof DateMs) return b instanceof DateMs && BigInt(a.ms) === BigInt(b.ms);
  if (a instanceof ObjectId) return b instanceof ObjectId && a.hex === b.hex;
  return a instanceof Special && b instanceof Special && a.text === b.text;
}

/** A difference between two trees: a dotted path and both values, undefined where a field is missing. */
export interface Difference {
  path: string;
  left: BsonValue | undefined;
  right: BsonValue | undefined;
}

/** Lists the differences between two documents at the deepest possible paths. A different key order is one at `path`. */
export function findDifferences(left: BsonDocument, right: BsonDocument, path = ""): Difference[] {
  const found: Difference[] = [];
  const at = (key: string) => path === "" ? key : `${path}.${key}`;
  for (const key of new Set([...left.keys, ...right.keys])) {
    const a = left.get(key);
    const b = right.get(key);
    if (a === undefined || b === undefined) found.push({ path: at(key), left: a, right: b });
    else if (isSame(a, b)) continue;
    else if (a instanceof BsonDocument && b instanceof BsonDocument) {
      found.push(...findDifferences(a, b, at(key)));
    } else found.push({ path: at(key), left: a, right: b });
  }
  if (found.length === 0 && !isSame(left, right)) found.push({ path: path || "(key order)", left, right });
  return found;
}

/** A property of a document that no row can represent. */
export interface Fault {
  reason: "duplicate_key" | "too_deep";
  path: string;
}

/** Maximum levels of nesting. MongoDB itself limits documents to 100. */
export const depthMax = 120;

/** Finds the first duplicate key, or a nesting deeper than `depthMax`. */
export function findFault(value: BsonValue, path = "", depth = 0): Fault | undefined {
  if (depth > depthMax) return { reason: "too_deep", path: path.slice(0, 200) };
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item = value[i]!;
      if (typeof item === "object" && item !== null) {
        const fault = findFault(item, `${path}.${i}`, depth + 1);
        if (fault) return fault;
      }
    }
  } else if (value instanceof BsonDocument) {
    const { keys, values } = value;
    if (new Set(keys).size !== keys.length) {
      const duplicate = keys.find((key, i) => keys.indexOf(key) !== i)!;
      return { reason: "duplicate_key", path: path === "" ? duplicate : `${path}.${duplicate}` };
    }
    for (let i = 0; i < keys.length; i++) {
      const item = values[i]!;
      if (typeof item === "object" && item !== null) {
        const fault = findFault(item, path === "" ? keys[i]! : `${path}.${keys[i]}`, depth + 1);
        if (fault) return fault;
      }
    }
  }
  return undefined;
}
