/** The lens of tasks. Generations T1 and T2 have `task_uuid`, T3 has `id`. */
import { taskUuidOf } from "../../../uuid.ts";
import { isUuidText, legacyIdOf, uuidOfId } from "../documents/ids.ts";
import { BsonDocument, type BsonValue, ObjectId } from "../documents/tree.ts";
import { Draft, type Mapped, type Row, type Template } from "./draft.ts";
import { int4 } from "./numbers.ts";
import { readers, rebuild } from "./rebuild.ts";
import { isTerminal, toStatus } from "./status.ts";

/** Columns that the lens fills, in COPY order. */
export const taskColumns = [
  "id",
  "legacy_id",
  "task_name",
  "username",
  "tags",
  "variables",
  "settings",
  "status",
  "error",
  "total_images",
  "all_subtasks_completed",
  "is_deleted",
  "priority",
  "created_at",
  "updated_at",
  "completed_at",
  "generation",
  "extra",
] as const;
export type TaskColumn = (typeof taskColumns)[number];
export type TaskGeneration = "T1" | "T2" | "T3";

const firstFields = [
  "task_name",
  "username",
  "tags",
  "variables",
  "settings",
  "status",
  "created_at",
  "updated_at",
  "total_images",
] as const;
const lastFields = ["is_deleted", "priority", "error"] as const;

const makeTemplate = (fields: string[], ...extraFields: string[]): Template => ({
  fields,
  columns: new Set(fields.filter((name) => !extraFields.includes(name))),
});

// `processed_images` and `progress` have no columns, because they are computed from the subtasks. `error` counts as a
// field without column, so that its absence, which is the normal case, is not recorded.
const templates: Record<TaskGeneration, Template> = {
  T1: makeTemplate(
    ["_id", "task_uuid", ...firstFields, "processed_images", "progress", ...lastFields],
    "processed_images",
    "progress",
    "error",
  ),
  T2: makeTemplate(["_id", "task_uuid", ...firstFields, "all_subtasks_completed", ...lastFields], "error"),
  T3: makeTemplate(
    ["_id", "id", ...firstFields, "all_subtasks_completed", "processed_images", "progress", ...lastFields],
    "processed_images",
    "progress",
    "error",
  ),
};

// An index entry is limited to about 2,700 bytes.
const usernameBytesMax = 2000;

/** Returns the generation of a document by its keys. */
export function taskGeneration(document: BsonDocument): TaskGeneration {
  if (document.keys.includes("id") || !document.keys.includes("task_uuid")) return "T3";
  return document.keys.includes("all_subtasks_completed") ? "T2" : "T1";
}

const idField = { T1: "task_uuid", T2: "task_uuid", T3: "id" } as const;

/** Returns the uuid of a task: its own, or the UUIDv5 of another id, or of its `_id`. */
function toId(draft: Draft, field: "id" | "task_uuid"): string {
  const own = draft.get(field);
  if (isUuidText(own)) {
    if (own !== own.toLowerCase()) draft.keep(field);
    return own.toLowerCase();
  }
  if (own !== undefined) draft.adjust("id_no_uuid", field);
  return typeof own === "string" && own !== "" ? taskUuidOf(own) : uuidOfId("tasks", draft.get("_id")!);
}

function toUsername(draft: Draft): string {
  const name = draft.text("username", "") ?? "";
  if (name.length * 3 <= usernameBytesMax) return name;
  const bytes = new TextEncoder().encode(name);
  if (bytes.length <= usernameBytesMax) return name;
  draft.adjust("text_shortened", "username");
  // An incomplete character at the end decodes to U+FFFD, which is removed.
  return new TextDecoder().decode(bytes.subarray(0, usernameBytesMax)).replace(/\uFFFD+$/, "");
}

/** Maps a document to a row. */
export function toTaskRow(document: BsonDocument): Mapped<TaskColumn> {
  const generation = taskGeneration(document);
  const draft = new Draft(document, templates[generation]);
  const status = toStatus(draft);
  if (draft.rejected) return { rejected: draft.rejected };
  const id = document.get("_id")!;
  if (!(id instanceof ObjectId)) draft.keep("_id");
  if (!document.keys.includes(idField[generation])) {
    draft.adjustments.push({ rule: "id_missing", path: "id" });
  }
  const created_at = draft.time("created_at", draft.idTime());
  const updated_at = draft.time("updated_at", draft.idTime());
  const row: Row<TaskColumn> = {
    id: toId(draft, idField[generation]),
    legacy_id: legacyIdOf("tasks", id),
    task_name: draft.text("task_name", ""),
    username: toUsername(draft),
    tags: draft.json("tags", "[]"),
    variables: draft.json("variables", "{}"),
    settings: draft.json("settings", "{}"),
    status,
    error: draft.text("error", null),
    total_images: draft.whole("total_images", int4, "0"),
    all_subtasks_completed: draft.flag("all_subtasks_completed", "f"),
    is_deleted: draft.flag("is_deleted", "f"),
    priority: draft.whole("priority", int4, "1"),
    created_at,
    updated_at,
    completed_at: isTerminal(status) ? updated_at : null,
    generation,
    extra: null,
  };
  row.extra = draft.extra();
  return { row, adjustments: draft.adjustments };
}

/** Rebuilds the document of a row. */
export function toTaskDocument(row: Row<TaskColumn>): BsonDocument {
  return rebuild(
    templates[row.generation as TaskGeneration] ?? templates.T3,
    row.extra,
    (name): BsonValue => {
      switch (name) {
        case "_id":
          return new ObjectId(row.legacy_id ?? "");
        case "task_uuid":
          return row.id;
        case "tags":
        case "variables":
        case "settings":
          return readers.json(row[name]);
        case "total_images":
        case "priority":
          return readers.whole(row[name]);
        case "is_deleted":
        case "all_subtasks_completed":
          return readers.flag(row[name]);
        case "created_at":
        case "updated_at":
          return readers.time(row[name]);
        default:
          return readers.text(row[name as TaskColumn]);
      }
    },
  );
}
