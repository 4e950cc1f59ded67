/** Differences between MongoDB and the rows, as a comparison of both sides finds them. */
import { isSameBytes } from "../documents/bytes.ts";
import { BsonWriteError, writeBson } from "../documents/bson_write.ts";
import { writeCanonical } from "../documents/ejson_write.ts";
import { documentKey } from "../documents/ids.ts";
import type { Collection } from "../documents/source.ts";
import { type BsonDocument, type BsonValue, findDifferences } from "../documents/tree.ts";
import { idDocument } from "../sources/mongo_bounds.ts";
import type { KeyedRaw } from "../sources/mongo_follow.ts";
import { shorten } from "../verify/differences.ts";

/** One difference between the two sides. */
export interface BackMismatch {
  collection: Collection;
  /** Canonical Extended JSON of `_id`. */
  document_id: string;
  kind: "changed" | "missing_document" | "missing_row";
  path: string;
  /** The value in MongoDB and the value that the row makes, as canonical Extended JSON. */
  document_value: string | null;
  row_value: string | null;
  /** `not_written`: a change of the row is recorded and will be written. */
  cause: "not_written" | "unknown";
}

/** The result of a comparison. */
export interface BackVerdict {
  verdict: "equal" | "different";
  documents: number;
  rows: number;
  /** Documents without a row: in quarantine, or waiting for their task or key. */
  kept: number;
  /** Changes that were not written yet at the end. */
  pending: number;
  differences: number;
  /** The first thousand differences. */
  mismatches: BackMismatch[];
}

/** A document that differs, or a row without one, to be compared again. */
export interface Suspect {
  collection: Collection;
  /** `{_id: …}` as BSON. */
  id: Uint8Array;
  documentId: string;
  mismatch: BackMismatch;
}

/** Reports whether these are the bytes of a document. BSON cannot represent every text that a row has. */
export function isWritten(bytes: Uint8Array, document: BsonDocument): boolean {
  try {
    return isSameBytes(bytes, writeBson(document));
  } catch (error) {
    if (error instanceof BsonWriteError) return false;
    throw error;
  }
}

const formatValue = (value: BsonValue | undefined) =>
  value === undefined ? null : shorten(writeCanonical(value));

/** Names the first difference of two documents. */
export function explain(
  collection: Collection,
  document_id: string,
  found: BsonDocument,
  wanted: BsonDocument,
): BackMismatch {
  const [difference] = findDifferences(found, wanted);
  return {
    collection,
    document_id,
    kind: "changed",
    path: difference?.path ?? "(bytes)",
    document_value: formatValue(difference?.left),
    row_value: formatValue(difference?.right),
    cause: "unknown",
  };
}

/** Returns the difference of a document without a row, or of a row without a document. */
export const missing = (
  collection: Collection,
  document_id: string,
  kind: "missing_document" | "missing_row",
): BackMismatch => ({
  collection,
  document_id,
  kind,
  path: "",
  document_value: null,
  row_value: null,
  cause: "unknown",
});

/** Returns a document as one to be compared again. */
export const suspectOf = (
  collection: Collection,
  { id, raw }: KeyedRaw,
  mismatch: BackMismatch,
): Suspect => ({
  collection,
  id: idDocument(raw.original()),
  documentId: documentKey(id),
  mismatch,
});
