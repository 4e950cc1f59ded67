/** UUIDs, the ids of users, tasks, subtasks and all v2 resources; also those that are derived from other ids. */
import { createHash } from "node:crypto";

const lowerCase = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const anyCase = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reports whether `text` is a UUID as PostgreSQL writes it: lower case with hyphens. */
export const isUuid = (text: string): boolean => lowerCase.test(text);

/** Reports whether `text` is a UUID with hyphens in lower or upper case, as a person may type it. */
export const isUuidOfAnyCase = (text: string): boolean => anyCase.test(text);

// The namespace of this product for UUIDv5. It must never change.
const namespace = Uint8Array.fromHex("6f1d7c1e0b5b5d3a9c63c0e5a1f4d2b8");

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

/** Returns the UUID of a migrated task whose id in the old backend is a text but no UUID. */
export const taskUuidOf = (oldId: string): string => uuidOf(`tasks.id:${oldId}`);

/** Returns the UUID of a user by the 24 hex digits of its ObjectId. */
export const userUuidOfObjectId = (hex: string): string => uuidOf(`users:{"$oid":"${hex}"}`);

/** Returns the UUID of a migrated user whose `_id` is a text. */
export const userUuidOf = (oldId: string): string => uuidOf(`users:${JSON.stringify(oldId)}`);

/** Returns the UUID of a migrated user whose `_id` is a whole number. */
export const userUuidOfNumber = (oldId: bigint): string => uuidOf(`users:n:${oldId}`);
