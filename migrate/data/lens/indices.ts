/**
 * The column `variable_indices`, from each of the forms that the old backend wrote. An integer of any type is
 * an index; `extra` keeps the value with its type, except for int32.
 */
import { BsonDocument, type BsonValue } from "../documents/tree.ts";
import type { Draft } from "./draft.ts";
import { int4, readWhole } from "./numbers.ts";

/** Names of the six slots in documents of the old backend. */
export const slots = ["v0", "v1", "v2", "v3", "v4", "v5"] as const;

const writeArray = (indices: readonly (bigint | undefined)[]) =>
  `{${indices.map((index) => index ?? "NULL").join()}}`;

/** Reads the indices of one field of a document. */
class IndexReader {
  readonly #rules = new Set<string>();
  #isExact = true;

  constructor(readonly draft: Draft, readonly field: string) {}

  /** Reads one index. It is undefined if the value is missing, null or no index. */
  read(value: BsonValue | undefined): bigint | undefined {
    if (value === undefined || value === null) return undefined;
    const { number, rule } = readWhole(value, int4);
    if (typeof value !== "number") this.#isExact = false;
    if (rule !== undefined) this.#rules.add(number === undefined ? "index_unreadable" : rule);
    return number;
  }

  /** Records that a part of the field has no place in the column. */
  refuse(): void {
    this.#rules.add("index_unreadable");
  }

  /** Keeps the field's value in `extra` unless it is exact, and records the rules. */
  finish(isList = true): void {
    if (!this.#isExact || !isList) this.draft.keep(this.field);
    for (const rule of this.#rules) this.draft.adjust(rule, this.field);
  }
}

/** Reads the fields `v0`…`v5`. */
function readSlots(draft: Draft): string | null {
  if (slots.every((name) => draft.get(name) === undefined)) return null;
  return writeArray(slots.map((name) => {
    const reader = new IndexReader(draft, name);
    const index = reader.read(draft.get(name));
    reader.finish();
    return index;
  }));
}

/**
 * Returns the column: a list of the same length, or six slots from an object or from the fields `v0`…`v5`.
 * Objects, and lists with other values than int32 and null, are also kept in `extra`.
 */
export function toIndices(draft: Draft, generation: "S1" | "S2" | "S3" | "S4"): string | null {
  if (generation === "S1" || generation === "S2") return readSlots(draft);
  const value = draft.get("variable_indices");
  if (value === undefined || value === null) return null;
  const reader = new IndexReader(draft, "variable_indices");
  if (Array.isArray(value)) {
    const column = writeArray(value.map((item) => reader.read(item)));
    reader.finish();
    return column;
  }
  if (!(value instanceof BsonDocument)) {
    reader.refuse();
    reader.finish(false);
    return null;
  }
  const known: ReadonlySet<string> = new Set(slots);
  if (!value.keys.every((key) => known.has(key))) reader.refuse();
  const column = writeArray(slots.map((name) => reader.read(value.get(name))));
  reader.finish(false);
  return column;
}

/** Converts the column back to a list of int32 and null, or to null. */
export function readIndices(text: string | null): BsonValue {
  if (text === null) return null;
  if (text === "{}") return [];
  return text.slice(1, -1).split(",").map((item) => item === "NULL" ? null : Number(item));
}
