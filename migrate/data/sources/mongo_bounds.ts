/** Bounds of ranges in an `_id` index: as text in the plan, and as values for the driver. */
import { findRaw, readBson } from "../documents/bson_read.ts";
import { writeBson } from "../documents/bson_write.ts";
import { readValue } from "../documents/ejson_read.ts";
import { writeLossless } from "../documents/ejson_write.ts";
import { isSameBytes } from "../documents/bytes.ts";
import { BsonDocument, type BsonValue } from "../documents/tree.ts";

/**
 * The end of an index. The server accepts no range that starts there, and excludes it from a range with `min` and
 * without `max`.
 */
export const maxKeyBound = '{"$maxKey":1}';

const bsonPrefix = "bson:";
// Length of the document, type, `_id` with its terminator, terminator of the document.
const overheadBytes = 4 + 1 + 4 + 1;

/** Returns `{_id: …}` of a document, as BSON. */
export function idDocument(document: Uint8Array): Uint8Array {
  const id = findRaw(document, "_id");
  if (!id) throw new Error("a document of the index has no _id");
  const bytes = new Uint8Array(overheadBytes + id.bytes.length);
  new DataView(bytes.buffer).setInt32(0, bytes.length, true);
  bytes.set([id.type, 0x5f, 0x69, 0x64, 0], 4);
  bytes.set(id.bytes, 9);
  return bytes;
}

/** Returns `{_id: …}` as BSON. */
export const writeIdDocument = (id: BsonValue): Uint8Array => writeBson(new BsonDocument(["_id"], [id]));

/** Converts the text of writeBound() back to `{_id: …}` as BSON. */
export const boundBytes = (bound: string): Uint8Array =>
  bound.startsWith(bsonPrefix)
    ? Uint8Array.fromBase64(bound.slice(bsonPrefix.length))
    : writeIdDocument(readValue(bound, "lossless"));

/** Returns an `_id` as text: as lossless JSON, or as base64 if the JSON would not yield the same bytes. */
export function writeBound(id: Uint8Array): string {
  const bound = writeLossless(readBson(id).get("_id")!);
  try {
    if (isSameBytes(boundBytes(bound), id)) return bound;
  } catch {
    // The JSON cannot be read back.
  }
  return bsonPrefix + id.toBase64();
}

/** Converts `{_id: …}` as BSON to a value that the driver sends with the same BSON type. */
export async function readIdBytes(id: Uint8Array): Promise<Record<string, unknown>> {
  const { deserialize } = await import("bson");
  return deserialize(id, { promoteValues: false, promoteBuffers: false, bsonRegExp: true });
}

/** Converts the text of writeBound() to a value that the driver sends with the same BSON type. */
export const readBound = (bound: string): Promise<Record<string, unknown>> => readIdBytes(boundBytes(bound));
