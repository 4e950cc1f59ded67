/** Maps current documents to rows, and sorts out those that get none. */
import { AppError } from "../../../errors.ts";
import { BsonError } from "../documents/bson_layout.ts";
import { documentKey, legacyIdOf } from "../documents/ids.ts";
import { type BsonValue, ObjectId } from "../documents/tree.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import type { Adjustment, Rejection, Row } from "../lens/draft.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { encodeRow, keyOf, mapDocument, type MappingResult, tryFastPath } from "../lens/tables.ts";
import type { KeyedRaw } from "../sources/mongo_follow.ts";

/** A document with the keys of its ledger entries and of its row. */
export interface DocumentRef {
  collection: Collection;
  /** See documentKey(). */
  documentId: string;
  /** Column `legacy_id` of its row. */
  legacyId: string;
}

/** A document whose row is to be written. */
export interface StagedDocument extends DocumentRef {
  raw: RawDocument;
  /** See keyOf(). */
  key: string;
  /** The row as COPY text. */
  line: string;
  /** The row; absent for the fast path, which only subtasks have. */
  row: Row | undefined;
  adjustments: Adjustment[];
  keepOriginal: boolean;
}

/** A document that the lens or the server rejects. */
export interface RejectedDocument extends DocumentRef {
  raw: RawDocument;
  rejection: Rejection;
}

/** A document that gets its row when `awaited` is there, or is free. */
export interface WaitingDocument extends RejectedDocument {
  awaited: string;
}

export interface MappedDocuments {
  staged: StagedDocument[];
  rejected: RejectedDocument[];
  waiting: WaitingDocument[];
}

/** Returns the keys of a document's ledger entries and row by its `_id`. */
export const refOf = (collection: Collection, id: BsonValue): DocumentRef => ({
  collection,
  documentId: documentKey(id),
  legacyId: legacyIdOf(collection, id),
});

function parentName(raw: RawDocument): string {
  const value = raw.read().get("parent_task_id");
  return value instanceof ObjectId ? value.hex : typeof value === "string" ? value : "";
}

function tryMap(collection: Collection, raw: RawDocument, findParent: FindParent): MappingResult {
  try {
    return mapDocument(collection, raw, findParent);
  } catch (error) {
    if (!(error instanceof BsonError) && !(error instanceof AppError)) throw error;
    return { rejected: { reason: "unreadable", path: "", detail: error.message }, documentId: "" };
  }
}

/** Maps documents of one collection. */
export function mapDocuments(
  collection: Collection,
  documents: readonly KeyedRaw[],
  findParent: FindParent,
): MappedDocuments {
  const result: MappedDocuments = { staged: [], rejected: [], waiting: [] };
  for (const { id, raw } of documents) {
    const { documentId, legacyId } = refOf(collection, id);
    const fast = tryFastPath(collection, raw, findParent);
    if (fast) {
      const { key, line } = fast;
      const exact = { row: undefined, adjustments: [], keepOriginal: false };
      result.staged.push({ collection, documentId, legacyId, raw, key, line, ...exact });
      continue;
    }
    const mapped = tryMap(collection, raw, findParent);
    if (!("rejected" in mapped)) {
      const { row, adjustments, keepOriginal } = mapped;
      const key = keyOf(collection, row);
      const line = encodeRow(collection, row);
      result.staged.push({
        collection,
        documentId,
        legacyId,
        raw,
        key,
        line,
        row,
        adjustments,
        keepOriginal,
      });
    } else if (mapped.rejected.reason === "orphan") {
      const rejection = mapped.rejected;
      result.waiting.push({ collection, documentId, legacyId, raw, rejection, awaited: parentName(raw) });
    } else result.rejected.push({ collection, documentId, legacyId, raw, rejection: mapped.rejected });
  }
  return result;
}
