/** Deterministic ids: a document gets the same ids in every run. */
import { createHash } from "node:crypto";
import { isUuidOfAnyCase, uuidOf } from "../../../uuid.ts";
import { toStorable, writeCanonical } from "./ejson_write.ts";
import { type BsonValue, Double, ObjectId } from "./tree.ts";

/** Reports whether a value is the text of a uuid, of any version and in any case. */
export const isUuidText = (value: unknown): value is string =>
  typeof value === "string" && isUuidOfAnyCase(value);

/** Returns the UUID of a migrated subtask whose id in the old backend is a text but no UUID. */
export const subtaskUuidOf = (oldId: string): string => uuidOf(`dramatiq_tasks.id:${oldId}`);

/**
 * Returns an `_id` with its type. As in the index of MongoDB, `1` and `"1"` differ, and the int32 1 and the double 1.0
 * are equal.
 */
export function tagId(id: BsonValue): string {
  if (typeof id === "number" || typeof id === "bigint") return `n:${id}`;
  if (id instanceof Double) {
    return Number.isInteger(id.value) ? `n:${BigInt(id.value)}` : `n:${id.value}`;
  }
  return writeCanonical(id);
}

/** Returns the UUIDv5 of a document by its collection and `_id`. */
export const uuidOfId = (collection: string, id: BsonValue): string => uuidOf(`${collection}:${tagId(id)}`);

/** Returns the `_id` that v1 answers: the ObjectId, or for any other `_id` 24 digits of its UUIDv5. */
export const legacyIdOf = (collection: string, id: BsonValue): string =>
  id instanceof ObjectId ? id.hex : uuidOfId(collection, id).replaceAll("-", "").slice(-24);

const documentKeyMax = 500;

/**
 * Returns the canonical Extended JSON of an `_id` as PostgreSQL can store it: the key of followed documents in the
 * ledger. A long one is cut and ends with its SHA-256, so that it stays unique.
 */
export function documentKey(id: BsonValue): string {
  const text = toStorable(writeCanonical(id));
  if (text.length <= documentKeyMax) return text;
  return `${text.slice(0, documentKeyMax - 65)}…${createHash("sha256").update(text).digest("hex")}`;
}
