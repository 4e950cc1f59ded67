/** The column `variable_indices`, from each of the forms that the old backend wrote. */
import { BsonDocument, type BsonValue } from "../documents/tree.ts";
import type { Draft } from "./draft.ts";

/** Names of the six slots in documents of the old backend. */
export const slots = ["v0", "v1", "v2", "v3", "v4", "v5"] as const;

const isIndex = (value: BsonValue | undefined): value is number | null =>
  value === null || typeof value === "number";

const writeArray = (indices: readonly (number | null)[]) =>
  `{${indices.map((index) => index ?? "NULL").join()}}`;

function readIndex(value: BsonValue | undefined): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : null;
}

/** Reads the fields `v0`…`v5`. Keeps values in `extra` that are neither int32 nor null. */
function readSlots(draft: Draft): string | null {
  const values = slots.map((name) => draft.get(name));
  slots.forEach((name, i) => {
    const value = values[i];
    if (value !== undefined && !isIndex(value)) draft.adjust("index_unreadable", name);
  });
  if (values.every((value) => value === undefined)) return null;
  return writeArray(values.map(readIndex));
}

/**
 * Returns the column: a list of the same length, or six slots from an object or from the fields `v0`…`v5`. Objects,
 * and lists with other values than int32 and null, are also kept in `extra`.
 */
export function toIndices(draft: Draft, generation: "S1" | "S2" | "S3" | "S4"): string | null {
  if (generation === "S1" || generation === "S2") return readSlots(draft);
  const value = draft.get("variable_indices");
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) {
    if (value.every(isIndex)) return writeArray(value);
    draft.adjust("index_unreadable", "variable_indices");
    return writeArray(value.map(readIndex));
  }
  if (!(value instanceof BsonDocument)) {
    draft.adjust("index_unreadable", "variable_indices");
    return null;
  }
  draft.keep("variable_indices");
  const known: ReadonlySet<string> = new Set(slots);
  if (!value.keys.every((key, i) => known.has(key) && isIndex(value.values[i]))) {
    draft.adjust("index_unreadable", "variable_indices");
  }
  return writeArray(slots.map((name) => readIndex(value.get(name))));
}

/** Converts the column back to a list of int32 and null, or to null. */
export function readIndices(text: string | null): BsonValue {
  if (text === null) return null;
  if (text === "{}") return [];
  return text.slice(1, -1).split(",").map((item) => item === "NULL" ? null : Number(item));
}
