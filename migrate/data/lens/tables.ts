/** The tables of the three collections: columns, keys and lens of each, and the mapping of documents to rows. */
import type { BsonDocument } from "../documents/tree.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { isSame } from "../documents/tree.ts";
import { TooDeepError } from "../documents/ejson_read.ts";
import { toStorable, writeCanonical } from "../documents/ejson_write.ts";
import { decodeLine, encodeLine } from "../tools/copy.ts";
import type { Adjustment, Mapped, Rejection, Row } from "./draft.ts";
import { type FastLine, matchesFastPath, toFastLine } from "./fast_subtask.ts";
import { type FindParent, subtaskColumns, toSubtaskDocument, toSubtaskRow } from "./subtasks.ts";
import { taskColumns, toTaskDocument, toTaskRow } from "./tasks.ts";
import { toUserDocument, toUserRow, userColumns } from "./users.ts";

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
  fastPath?: {
    matches(json: string): boolean;
    toLine(json: string, findParent: FindParent): FastLine | undefined;
  };
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
    fastPath: { matches: matchesFastPath, toLine: toFastLine },
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

/** Reports whether the JSON text of a document has the form that the fast path accepts. It is valid JSON then. */
export const acceptsFastPath = (collection: Collection, json: string): boolean =>
  tables[collection].fastPath?.matches(json) ?? false;

/**
 * Maps a document without building a tree, where its collection has a fast path and the document has the form
 * that the path accepts. Such a row is exact: it has no adjustments, and its
 * document can be rebuilt.
 *
 * @returns undefined for any other document; mapDocument() maps it
 */
export function tryFastPath(
  collection: Collection,
  raw: RawDocument,
  findParent: FindParent,
): FastLine | undefined {
  const { fastPath } = tables[collection];
  return raw.json === undefined || fastPath === undefined ? undefined : fastPath.toLine(raw.json, findParent);
}

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
