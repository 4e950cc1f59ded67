/** Deterministic ids: a document gets the same ids in every run. */
import { createHash } from "node:crypto";
import { isUuidOfAnyCase } from "../../../uuid.ts";
import { writeCanonical } from "./ejson_write.ts";
import { type BsonValue, Double, ObjectId } from "./tree.ts";

// The namespace of this product for UUIDv5. It must never change.
const namespace = Uint8Array.fromHex("6f1d7c1e0b5b5d3a9c63c0e5a1f4d2b8");

/** Reports whether a value is the text of a uuid, of any version and in any case. */
export const isUuidText = (value: unknown): value is string =>
  typeof value === "string" && isUuidOfAnyCase(value);

/** Returns the UUIDv5 (RFC 9562) of a name. */
export function uuidOf(name: string): string {
  const hash = createHash("sha1").update(namespace).update(name).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}

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
