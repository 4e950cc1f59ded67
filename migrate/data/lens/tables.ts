/** Each collection with its table, its lens and the columns the lens speaks of. */
import type { BsonDocument } from "../documents/tree.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { isSame } from "../documents/tree.ts";
import { TooDeepError } from "../documents/ejson_read.ts";
import { writeCanonical } from "../documents/ejson_write.ts";
import { type Adjustment, type Mapped, type Rejection, type Row } from "./draft.ts";
import { type FindParent, subtaskColumns, toSubtaskDocument, toSubtaskRow } from "./subtasks.ts";
import { taskColumns, toTaskDocument, toTaskRow } from "./tasks.ts";
import { toUserDocument, toUserRow, userColumns } from "./users.ts";

export interface Table {
  name: "users" | "tasks" | "subtasks";
  columns: readonly string[];
  toRow(document: BsonDocument, findParent: FindParent): Mapped<string>;
  toDocument(row: Row): BsonDocument;
}

export const tables: Record<Collection, Table> = {
  users: {
    name: "users",
    columns: userColumns,
    toRow: toUserRow,
    toDocument: (row) => toUserDocument(row as Row<(typeof userColumns)[number]>),
  },
  tasks: {
    name: "tasks",
    columns: taskColumns,
    toRow: toTaskRow,
    toDocument: (row) => toTaskDocument(row as Row<(typeof taskColumns)[number]>),
  },
  dramatiq_tasks: {
    name: "subtasks",
    columns: subtaskColumns,
    toRow: toSubtaskRow,
    toDocument: (row) => toSubtaskDocument(row as Row<(typeof subtaskColumns)[number]>),
  },
};

/** A document taken through its lens: a row, with its original kept where the row alone is not enough. */
export type Taken =
  | { row: Row; adjustments: Adjustment[]; keepOriginal: boolean; id: string }
  | { rejected: Rejection; id: string };

/** Canonical Extended JSON of `_id`, for messages and the ledger. */
export function showId(document: BsonDocument): string {
  const id = document.get("_id");
  return id === undefined
    ? "(none)"
    : writeCanonical(id).toWellFormed().replaceAll("\0", "\u2400").slice(0, 500);
}

/**
 * The law, kept for each document: what toDocument() does not give back to the last bit keeps its original.
 */
export function take(collection: Collection, raw: RawDocument, findParent: FindParent): Taken {
  const { toRow, toDocument } = tables[collection];
  let document: BsonDocument;
  try {
    document = raw.read();
  } catch (error) {
    if (!(error instanceof TooDeepError)) throw error;
    return { rejected: { reason: "too_deep", path: "", detail: error.message }, id: "(unread)" };
  }
  const mapped = toRow(document, findParent);
  const id = showId(document);
  if ("rejected" in mapped) return { rejected: mapped.rejected, id };
  const { row, adjustments } = mapped;
  const keepOriginal = !isSame(toDocument(row), document);
  if (keepOriginal) adjustments.push({ rule: "original_kept", path: "" });
  return { row, adjustments, keepOriginal, id };
}
