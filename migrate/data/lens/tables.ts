/** The tables of the three collections: columns, keys and lens of each, and the mapping of documents to rows. */
import type { BsonDocument } from "../documents/tree.ts";
import type { Collection, JsonSpan, RawDocument } from "../documents/source.ts";
import { isSame } from "../documents/tree.ts";
import { TooDeepError } from "../documents/ejson_read.ts";
import { toStorable, writeCanonical } from "../documents/ejson_write.ts";
import { decodeLine, encodeLine } from "../tools/copy.ts";
import type { Adjustment, Mapped, Rejection, Row } from "./draft.ts";
import { LineBuffer } from "../tools/line_buffer.ts";
import { SubtaskCopier } from "./fast_subtask.ts";
import { type FindParent, subtaskColumns, toSubtaskDocument, toSubtaskRow } from "./subtasks.ts";
import { taskColumns, toTaskDocument, toTaskRow } from "./tasks.ts";
import { toUserDocument, toUserRow, userColumns } from "./users.ts";

/** Maps documents in the most frequent form to COPY lines. */
export interface FastPath {
  /** Adds the line of a document. Returns false, and adds nothing, if the document has another form. */
  add(json: JsonSpan, lines: LineBuffer): boolean;
  /** Sets the function that finds parents. It must not change its answers until it is set again. */
  findParentsWith(findParent: FindParent): void;
}

export interface Table {
  name: "users" | "tasks" | "subtasks";
  /** Columns that the lens fills, in COPY order. */
  columns: readonly string[];
  /** Columns of the primary key, all of type uuid. They are the first of `columns`. */
  keyColumns: readonly string[];
  /**
   * True for the table with nearly all rows. A filter tells which of its rows are new; new rows are inserted by
   * COPY, all others by INSERT … ON CONFLICT.
   */
  isLarge: boolean;
  /** Present where documents in the most frequent form can be mapped without a tree. */
  fastPath?: (findParent: FindParent) => FastPath;
  toRow(document: BsonDocument, findParent: FindParent): Mapped<string>;
  toDocument(row: Row): BsonDocument;
}

export const tables: Record<Collection, Table> = {
  users: {
    name: "users",
    columns: userColumns,
    keyColumns: ["id"],
    isLarge: false,
    toRow: toUserRow,
    toDocument: (row) => toUserDocument(row as Row<(typeof userColumns)[number]>),
  },
  tasks: {
    name: "tasks",
    columns: taskColumns,
    keyColumns: ["id"],
    isLarge: false,
    toRow: toTaskRow,
    toDocument: (row) => toTaskDocument(row as Row<(typeof taskColumns)[number]>),
  },
  dramatiq_tasks: {
    name: "subtasks",
    columns: subtaskColumns,
    keyColumns: ["parent_task_id", "id"],
    isLarge: true,
    fastPath: (findParent) => new SubtaskCopier(findParent),
    toRow: toSubtaskRow,
    toDocument: (row) => toSubtaskDocument(row as Row<(typeof subtaskColumns)[number]>),
  },
};

/** Returns the key of a row as one text: `id`, or `parent_task_id/id`. */
export const keyOf = (collection: Collection, row: Row): string =>
  tables[collection].keyColumns.map((column) => row[column]!).join("/");

/** Returns the key of a row that is given as a COPY line. */
export const keyOfLine = (collection: Collection, line: string): string =>
  line.split("\t", tables[collection].keyColumns.length).join("/");

/**
 * Returns the SQL expression that yields the same text as `keyOf()`.
 *
 * @param table alias of the table, for statements with several tables
 */
export const keySql = (collection: Collection, table?: string): string =>
  tables[collection].keyColumns.map((column) => `${table ? `${table}.` : ""}${column}::text`).join(
    " || '/' || ",
  );

const uuidLength = 36;
const decoder = new TextDecoder();

/** Splits keys into one list of uuids for each key column. */
export const splitKeys = (collection: Collection, keys: readonly string[]): string[][] =>
  tables[collection].keyColumns.map((_, i) => {
    const start = i * (uuidLength + 1);
    return keys.map((key) => key.slice(start, start + uuidLength));
  });

/** Returns a row as a COPY line. */
export const encodeRow = (collection: Collection, row: Row): string =>
  encodeLine(tables[collection].columns.map((column) => row[column]!));

/** Returns the row of the fields that a COPY line with the lens's columns, or more, begins with. */
export const fieldsToRow = (collection: Collection, fields: readonly (string | null)[]): Row =>
  Object.fromEntries(tables[collection].columns.map((column, i) => [column, fields[i]!]));

/** Returns the row of a COPY line, see encodeRow(). */
export const decodeRow = (collection: Collection, line: string): Row =>
  fieldsToRow(collection, decodeLine(line));

/**
 * Opens the fast path of a collection, if it has one. Its rows are exact: they have no adjustments, and their documents
 * can be rebuilt. All other documents are left to mapDocument().
 *
 * @param findParent must not change its answers as long as the result is used
 */
export const openFastPath = (collection: Collection, findParent: FindParent): FastPath | undefined =>
  tables[collection].fastPath?.(findParent);

/** Adds the line of a document to `lines`, if the fast path accepts the document. */
export function addFastLine(fastPath: FastPath | undefined, raw: RawDocument, lines: LineBuffer): boolean {
  const json = fastPath && raw.json();
  return json !== undefined && fastPath!.add(json, lines);
}

/** Returns the offset of the id in the line that starts at the offset `start`. It is the last of the key columns. */
export const idAt = (collection: Collection, start: number): number =>
  start + (tables[collection].keyColumns.length - 1) * (uuidLength + 1);

/** Returns the key of the line that starts at the offset `start`. See keyOf(). */
export const keyOfFastLine = (collection: Collection, lines: LineBuffer, start: number): string => {
  const bytes = lines.bytes.subarray(start, idAt(collection, start) + uuidLength);
  return decoder.decode(bytes).replaceAll("\t", "/");
};

/** A row that the fast path has mapped. */
export interface FastLine {
  id: string;
  /** See keyOf(). */
  key: string;
  /** The COPY line without its newline. */
  line: string;
}

const singleLine = new LineBuffer();
const openFastPaths = () =>
  new Map(
    (Object.keys(tables) as Collection[]).map((name) => [name, openFastPath(name, (parent) => parent)]),
  );
/** Fast paths for single documents, and for documents whose parent does not matter. */
const singlePaths = openFastPaths();
const orphanPaths = openFastPaths();

/** Maps a document to the only line of `singleLine`. */
function addSingleLine(fastPath: FastPath | undefined, raw: RawDocument): boolean {
  singleLine.clear();
  return addFastLine(fastPath, raw, singleLine);
}

/** Maps a single document by the fast path. Returns undefined if the fast path rejects it. */
export function tryFastPath(
  collection: Collection,
  raw: RawDocument,
  findParent: FindParent,
): FastLine | undefined {
  const fastPath = singlePaths.get(collection);
  fastPath?.findParentsWith(findParent);
  if (!addSingleLine(fastPath, raw)) return undefined;
  const [line] = singleLine.split();
  const key = keyOfLine(collection, line!);
  return { id: key.slice(-uuidLength), key, line: line! };
}

/** Reports whether a document has the form that the fast path accepts. Its JSON text is valid then. */
export const acceptsFastPath = (collection: Collection, raw: RawDocument): boolean =>
  addSingleLine(orphanPaths.get(collection), raw);

/** The row of a document. */
export interface MappedRow {
  row: Row;
  adjustments: Adjustment[];
  /** True when the document cannot be rebuilt from the row alone. */
  keepOriginal: boolean;
  /** See showId(). */
  documentId: string;
}

/** A document that the lens rejects. */
export interface RejectedDocument {
  rejected: Rejection;
  documentId: string;
}

export type MappingResult = MappedRow | RejectedDocument;

/** Returns the canonical Extended JSON of `_id`, for messages and the ledger. */
export function showId(document: BsonDocument): string {
  const id = document.get("_id");
  return id === undefined ? "(none)" : toStorable(writeCanonical(id)).slice(0, 500);
}

/** Maps any document. Compares the document that toDocument() rebuilds, and keeps the original if it differs. */
export function mapDocument(
  collection: Collection,
  raw: RawDocument,
  findParent: FindParent,
): MappingResult {
  const { toRow, toDocument } = tables[collection];
  let document: BsonDocument;
  try {
    document = raw.read();
  } catch (error) {
    if (!(error instanceof TooDeepError)) throw error;
    const rejected = { reason: "too_deep", path: "", detail: error.message };
    return { rejected, documentId: "(unread)" };
  }
  const mapped = toRow(document, findParent);
  const documentId = showId(document);
  if ("rejected" in mapped) return { rejected: mapped.rejected, documentId };
  const { row, adjustments } = mapped;
  const keepOriginal = !isSame(toDocument(row), document);
  if (keepOriginal) adjustments.push({ rule: "original_kept", path: "" });
  return { row, adjustments, keepOriginal, documentId };
}
