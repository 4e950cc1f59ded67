/** A subtask's place in the matrix, in each of the forms the old backend wrote. */
import { BsonDocument, type BsonValue } from "../documents/tree.ts";
import type { Draft } from "./draft.ts";

/** The six places of the old documents. */
export const slots = ["v0", "v1", "v2", "v3", "v4", "v5"] as const;

const isIndex = (value: BsonValue | undefined): value is number | null =>
  value === null || typeof value === "number";

const write = (indices: readonly (number | null)[]) => `{${indices.map((index) => index ?? "NULL").join()}}`;

function readIndex(value: BsonValue | undefined): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : null;
}

/** `v0`…`v5` as fields of their own; kept in `extra` where one is no int32 or null. */
function takeSlots(draft: Draft): string | null {
  const values = slots.map((name) => draft.get(name));
  slots.forEach((name, i) => {
    const value = values[i];
    if (value !== undefined && !isIndex(value)) draft.adjust("index_unreadable", name);
  });
  if (values.every((value) => value === undefined)) return null;
  return write(values.map(readIndex));
}

/**
 * The `variable_indices` column: a list as long as the document's, or six slots of an object or of fields.
 * A list with anything but int32 and null, and an object, stay in `extra` too.
 */
export function takeIndices(draft: Draft, generation: "S1" | "S2" | "S3" | "S4"): string | null {
  if (generation === "S1" || generation === "S2") return takeSlots(draft);
  const value = draft.get("variable_indices");
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) {
    if (value.every(isIndex)) return write(value);
    draft.adjust("index_unreadable", "variable_indices");
    return write(value.map(readIndex));
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
  return write(slots.map((name) => readIndex(value.get(name))));
}

/** Reads the column back: a list of int32 and null, or null. */
export function readIndices(text: string | null): BsonValue {
  if (text === null) return null;
  if (text === "{}") return [];
  return text.slice(1, -1).split(",").map((item) => item === "NULL" ? null : Number(item));
}
