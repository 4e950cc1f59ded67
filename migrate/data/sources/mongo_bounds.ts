/** Places in an `_id` index as text, for the plan, and as the driver wants them. */
import { findRaw, readBson } from "../documents/bson_read.ts";
import { writeBson } from "../documents/bson_write.ts";
import { readValue } from "../documents/ejson_read.ts";
import { writeLossless } from "../documents/ejson_write.ts";
import { BsonDocument } from "../documents/tree.ts";

const packed = "bson:";
// Type, `_id` and its end, the document's own end and length.
const aroundBytes = 4 + 1 + 4 + 1;

/** `{_id: …}` of a document, as BSON. */
export function idDocument(document: Uint8Array): Uint8Array {
  const id = findRaw(document, "_id");
  if (!id) throw new Error("a document of the index has no _id");
  const bytes = new Uint8Array(aroundBytes + id.bytes.length);
  new DataView(bytes.buffer).setInt32(0, bytes.length, true);
  bytes.set([id.type, 0x5f, 0x69, 0x64, 0], 4);
  bytes.set(id.bytes, 9);
  return bytes;
}

const isEqual = (a: Uint8Array, b: Uint8Array) =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

const toBytes = (bound: string): Uint8Array =>
  bound.startsWith(packed)
    ? Uint8Array.fromBase64(bound.slice(packed.length))
    : writeBson(new BsonDocument(["_id"], [readValue(bound, "lossless")]));

/** An `_id` as text to read: our lossless JSON, or its bytes where that would not give them back. */
export function writeBound(id: Uint8Array): string {
  const bound = writeLossless(readBson(id).get("_id")!);
  try {
    if (isEqual(toBytes(bound), id)) return bound;
  } catch {
    // It has no such form: its bytes then.
  }
  return packed + id.toBase64();
}

/** What writeBound() wrote, as the driver sends it, type and all. */
export async function readBound(bound: string): Promise<Record<string, unknown>> {
  const { deserialize } = await import("bson");
  return deserialize(toBytes(bound), { promoteValues: false, promoteBuffers: false, bsonRegExp: true });
}
