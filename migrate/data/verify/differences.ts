/** Finds the fields and columns in which a row differs from its document. */
import { writeCanonical } from "../documents/ejson_write.ts";
import type { Row } from "../lens/draft.ts";
import type { Mismatch, OnMismatch } from "./mismatch.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { decodeRow, tables } from "../lens/tables.ts";
import { type BsonDocument, type BsonValue, findDifferences, isSame } from "../documents/tree.ts";

/** A document and the COPY line that its row should have. */
export interface Expected {
  raw: RawDocument;
  line: string;
}

/** The COPY line of a row, and why it may differ. */
export interface Found {
  line: string;
  cause: Mismatch["cause"];
}

/** Reports each differing field of the document, then each differing column that no field explains. */
export function findRowDifferences(
  collection: Collection,
  { raw, line: expected }: Expected,
  { line: found, cause }: Found,
  onMismatch: OnMismatch,
): void {
  const { columns, toDocument } = tables[collection];
  const document = raw.read();
  const document_id = idOf(document);
  const expectedRow = decodeRow(collection, expected);
  const foundRow = decodeRow(collection, found);
  const fields = new Set<string>();
  const report = (path: string, source_value: string | null, row_value: string | null) => {
    fields.add(path.split(".")[0]!);
    onMismatch({ collection, document_id, kind: "changed", path, source_value, row_value, cause });
  };
  for (const { path, left, right } of compareFields(document, foundRow, toDocument)) {
    report(path, formatValue(left), formatValue(right));
  }
  for (const column of columns) {
    if (expectedRow[column] === foundRow[column] || fields.has(column)) continue;
    if (column === "extra" && fields.size > 0) continue;
    report(`(column ${column})`, shorten(expectedRow[column] ?? "null"), shorten(foundRow[column] ?? "null"));
  }
}

function compareFields(document: BsonDocument, row: Row, toDocument: (row: Row) => BsonDocument) {
  try {
    const rebuilt = toDocument(row);
    return isSame(document, rebuilt) ? [] : findDifferences(document, rebuilt);
  } catch {
    // The row cannot be mapped to a document; the comparison of columns finds the difference.
    return [];
  }
}

/** Returns the beginning of a long text. */
export const shorten = (text: string): string => text.length > 300 ? `${text.slice(0, 297)}...` : text;

const formatValue = (value: BsonValue | undefined) =>
  value === undefined ? null : shorten(writeCanonical(value));

/** Returns the canonical Extended JSON of `_id`. */
export const idOf = (document: BsonDocument): string => writeCanonical(document.get("_id") ?? null);
