/** Where a row parts from its document: by field where the row gives back another, else by column. */
import { decodeLine } from "../tools/copy.ts";
import { writeCanonical } from "../documents/ejson_write.ts";
import type { Row } from "../lens/draft.ts";
import type { Mismatch } from "./mismatch.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";
import { type BsonDocument, type BsonValue, findDifferences, isSame } from "../documents/tree.ts";

/** A document and the COPY text its row should have. */
export interface Expected {
  raw: RawDocument;
  line: string;
}

/** Notes each field or column in which a row is not what its document makes it. */
export function explain(
  collection: Collection,
  { raw, line: wanted }: Expected,
  { found, cause }: { found: string; cause: Mismatch["cause"] },
  noteMismatch: (mismatch: Mismatch) => void,
): void {
  const { columns, toDocument } = tables[collection];
  const document = raw.read();
  const wantedRow = toRow(columns, wanted);
  const foundRow = toRow(columns, found);
  const told = new Set<string>();
  const note = (path: string, source_value: string | null, row_value: string | null) => {
    told.add(path.split(".")[0]!);
    const document_id = idOf(document);
    noteMismatch({ collection, document_id, kind: "changed", path, source_value, row_value, cause });
  };
  for (const { path, left, right } of readBack(document, foundRow, toDocument)) {
    note(path, showSide(left), showSide(right));
  }
  for (const column of columns) {
    if (wantedRow[column] === foundRow[column] || told.has(column)) continue;
    if (column === "extra" && told.size > 0) continue;
    note(`(column ${column})`, shorten(wantedRow[column] ?? "null"), shorten(foundRow[column] ?? "null"));
  }
}

function readBack(document: BsonDocument, row: Row, toDocument: (row: Row) => BsonDocument) {
  try {
    const back = toDocument(row);
    return isSame(document, back) ? [] : findDifferences(document, back);
  } catch {
    // A column that holds no JSON of ours: the columns below say which.
    return [];
  }
}

const toRow = (columns: readonly string[], line: string): Row =>
  Object.fromEntries(decodeLine(line).map((field, i) => [columns[i]!, field]));

/** The first of a long text. */
export const shorten = (text: string) => text.length > 300 ? `${text.slice(0, 297)}...` : text;
const showSide = (value: BsonValue | undefined) =>
  value === undefined ? null : shorten(writeCanonical(value));
/** Canonical Extended JSON of `_id`. */
export const idOf = (document: BsonDocument) => writeCanonical(document.get("_id") ?? null);
