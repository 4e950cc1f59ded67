/**
 * A document as an ordered tree with BSON's own types: what a JavaScript object would lose (order of
 * integer-like keys, int32 against double, `__proto__`, doubled keys) stays.
 */

/** A 64-bit float; a plain JavaScript number is an int32, a bigint an int64. */
export class Double {
  constructor(readonly value: number) {}
}

/** A BSON date: milliseconds since 1970, a bigint only where a number would not be exact. */
export class DateMs {
  constructor(readonly ms: number | bigint) {}
}

/** Twelve bytes as 24 lower-case hex digits. */
export class ObjectId {
  constructor(readonly hex: string) {}
}

/** Any rarer type (Decimal128, Binary, Timestamp, MinKey…) as its canonical Extended JSON. */
export class Special {
  constructor(readonly text: string) {}
}

/** Keys and values side by side, in document order. */
export class BsonDocument {
  constructor(readonly keys: string[], readonly values: BsonValue[]) {}

  /** The value of the first such key; undefined where there is none. */
  get(key: string): BsonValue | undefined {
    const place = this.keys.indexOf(key);
    return place < 0 ? undefined : this.values[place];
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

/** Same type, same value, same order: −0.0 is not 0.0, NaN is NaN, int32 5 is not int64 5. */
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

/** One place where two trees part: a dotted path and both sides (undefined: not there). */
export interface Difference {
  path: string;
  left: BsonValue | undefined;
  right: BsonValue | undefined;
}

/** Every place where two documents part, deepest documents first opened; key order parts at `path`. */
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

/** Why a document cannot be taken as it is. */
export interface Fault {
  reason: "duplicate_key" | "too_deep";
  path: string;
}

/** Levels of nesting taken; BSON itself ends at 100. */
export const depthMax = 120;

/** The first doubled key or a nesting past `depthMax`, by path. */
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
      const doubled = keys.find((key, i) => keys.indexOf(key) !== i)!;
      return { reason: "duplicate_key", path: path === "" ? doubled : `${path}.${doubled}` };
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
