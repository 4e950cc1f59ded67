/** Ids that a document always gets, run after run. */
import { createHash } from "node:crypto";
import { writeCanonical } from "./ejson_write.ts";
import { type BsonValue, Double, ObjectId } from "./tree.ts";

// Of this product alone; any constant would do, it must only never change.
const namespace = Uint8Array.fromHex("6f1d7c1e0b5b5d3a9c63c0e5a1f4d2b8");

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** True for 8-4-4-4-12 hex digits in either case, of any version. */
export const isUuid = (value: unknown): value is string =>
  typeof value === "string" && uuidPattern.test(value);

/** RFC 9562 version 5 in our namespace. */
export function uuidOf(name: string): string {
  const hash = createHash("sha1").update(namespace).update(name).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}

/** The type-tagged form of an `_id`: `1` and `"1"` part, int32 1 and double 1.0 meet, as in MongoDB's index. */
export function tagId(id: BsonValue): string {
  if (typeof id === "number" || typeof id === "bigint") return `n:${id}`;
  if (id instanceof Double) {
    return Number.isInteger(id.value) ? `n:${BigInt(id.value)}` : `n:${id.value}`;
  }
  return writeCanonical(id);
}

/** UUIDv5 of a document's `_id` in its collection. */
export const uuidOfId = (collection: string, id: BsonValue): string => uuidOf(`${collection}:${tagId(id)}`);

/** What v1 answers as `_id`: the ObjectId, or for another `_id` 24 digits of its UUIDv5. */
export const legacyIdOf = (collection: string, id: BsonValue): string =>
  id instanceof ObjectId ? id.hex : uuidOfId(collection, id).replaceAll("-", "").slice(-24);
