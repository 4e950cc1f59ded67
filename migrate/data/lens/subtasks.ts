/** The lens of subtasks (collection `dramatiq_tasks`), generations S1 to S4. */
import { isUuidText, legacyIdOf, subtaskUuidOf, uuidOfId } from "../documents/ids.ts";
import { BsonDocument, type BsonValue, ObjectId } from "../documents/tree.ts";
import { describeValue, Draft, type Mapped, type Row, type Template } from "./draft.ts";
import { int4, int8 } from "./numbers.ts";
import { readers, rebuild } from "./rebuild.ts";
import { isTerminal, toStatus } from "./status.ts";
import { readIndices, slots, toIndices } from "./indices.ts";

/** Columns that the lens fills, in COPY order. */
export const subtaskColumns = [
  "parent_task_id",
  "id",
  "legacy_id",
  "variable_indices",
  "variable_types_map",
  "type_to_variable",
  "status",
  "result",
  "error",
  "retry_count",
  "prompts",
  "ratio",
  "seed",
  "use_polish",
  "created_at",
  "updated_at",
  "image_url",
  "queue",
  "completed_at",
  "generation",
  "extra",
] as const;
export type SubtaskColumn = (typeof subtaskColumns)[number];
export type SubtaskGeneration = "S1" | "S2" | "S3" | "S4";

/** Returns the uuid of a task by its uuid, `task_uuid` or `_id`, or undefined if there is no such task. */
export type FindParent = (name: string) => string | undefined;

const outcomeFields = ["status", "result", "error", "retry_count"] as const;
const promptFields = ["prompt", "characters", "elements"] as const;
const lastFields = ["ratio", "seed", "use_polish", "created_at", "updated_at"] as const;
const extraFields = new Set<string>([...promptFields, "dramatiq_message_id"]);

const makeTemplate = (...fields: string[]): Template => ({
  fields,
  columns: new Set(fields.filter((name) => !extraFields.has(name))),
});

const templates: Record<SubtaskGeneration, Template> = {
  S1: makeTemplate(
    "_id",
    "dramatiq_message_id",
    "parent_task_id",
    ...slots,
    ...outcomeFields,
    ...promptFields,
    ...lastFields,
  ),
  S2: makeTemplate("_id", "id", "parent_task_id", ...slots, ...outcomeFields, ...promptFields, ...lastFields),
  S3: makeTemplate(
    "_id",
    "id",
    "parent_task_id",
    "variable_indices",
    ...outcomeFields,
    ...promptFields,
    ...lastFields,
  ),
  S4: makeTemplate(
    "_id",
    "id",
    "parent_task_id",
    "variable_indices",
    "variable_types_map",
    "type_to_variable",
    ...outcomeFields,
    "prompts",
    ...lastFields,
  ),
};

/** Returns the generation of a document by its keys. */
export function subtaskGeneration({ keys }: BsonDocument): SubtaskGeneration {
  if (keys.includes("prompts") || keys.includes("variable_types_map")) return "S4";
  if (keys.includes("v0")) return keys.includes("id") ? "S2" : "S1";
  if (keys.includes("variable_indices")) return keys.includes("prompt") ? "S3" : "S4";
  return keys.includes("id") ? "S4" : "S1";
}

function toId(draft: Draft, generation: SubtaskGeneration): string {
  const own = draft.get("id");
  if (generation === "S1" || own === undefined) return uuidOfId("dramatiq_tasks", draft.get("_id")!);
  if (isUuidText(own)) {
    if (own !== own.toLowerCase()) draft.keep("id");
    return own.toLowerCase();
  }
  draft.adjust("id_no_uuid", "id");
  return typeof own === "string" && own !== ""
    ? subtaskUuidOf(own)
    : uuidOfId("dramatiq_tasks", draft.get("_id")!);
}

function toParent(draft: Draft, findParent: FindParent): string {
  const value = draft.get("parent_task_id");
  const name = value instanceof ObjectId ? value.hex : value;
  const parent = typeof name === "string" ? findParent(name) : undefined;
  if (parent === undefined) {
    draft.reject("orphan", "parent_task_id", `no task loaded has the id ${describeValue(value)}`);
    return "";
  }
  if (value !== parent) draft.keep("parent_task_id");
  return parent;
}

/** Returns `result.url` if it is a text. */
function readUrl(draft: Draft): string | null {
  const result = draft.get("result");
  const url = result instanceof BsonDocument ? result.get("url") : undefined;
  return typeof url === "string" && url.isWellFormed() && !url.includes("\0") ? url : null;
}

/** Returns the queue: `lumina` if the name of a prompt, character or element contains `lumina` in any case. */
function findQueue(document: BsonDocument): string {
  const lists = ["prompts", "characters", "elements"].map((name) => document.get(name));
  const lumina = lists.some((list) =>
    Array.isArray(list) && list.some((item) => {
      const name = item instanceof BsonDocument ? item.get("name") : undefined;
      return typeof name === "string" && name.toLowerCase().includes("lumina");
    })
  );
  return lumina ? "lumina" : "standard";
}

/** Maps a document to a row. Rejects a document whose task is unknown to `findParent`. */
export function toSubtaskRow(document: BsonDocument, findParent: FindParent): Mapped<SubtaskColumn> {
  const generation = subtaskGeneration(document);
  const draft = new Draft(document, templates[generation]);
  const parent_task_id = toParent(draft, findParent);
  const status = toStatus(draft);
  if (draft.rejected) return { rejected: draft.rejected };
  const id = document.get("_id")!;
  if (!(id instanceof ObjectId)) draft.keep("_id");
  const created_at = draft.time("created_at", draft.idTime());
  const updated_at = draft.time("updated_at", draft.idTime());
  const isNew = generation === "S4";
  const row: Row<SubtaskColumn> = {
    parent_task_id,
    id: toId(draft, generation),
    legacy_id: legacyIdOf("dramatiq_tasks", id),
    variable_indices: toIndices(draft, generation),
    variable_types_map: isNew ? draft.json("variable_types_map", null) : null,
    type_to_variable: isNew ? draft.json("type_to_variable", null) : null,
    status,
    result: draft.json("result", null),
    error: draft.text("error", null),
    retry_count: draft.whole("retry_count", int4, "0"),
    prompts: isNew ? draft.json("prompts", null) : null,
    ratio: draft.text("ratio", null),
    seed: draft.whole("seed", int8, null),
    use_polish: draft.flag("use_polish", "f"),
    created_at,
    updated_at,
    image_url: readUrl(draft),
    queue: findQueue(document),
    completed_at: isTerminal(status) ? updated_at : null,
    generation,
    extra: null,
  };
  row.extra = draft.extra();
  return { row, adjustments: draft.adjustments };
}

/** Rebuilds the document of a row. */
export function toSubtaskDocument(row: Row<SubtaskColumn>): BsonDocument {
  return rebuild(
    templates[row.generation as SubtaskGeneration] ?? templates.S4,
    row.extra,
    (name): BsonValue => {
      switch (name) {
        case "_id":
          return new ObjectId(row.legacy_id ?? "");
        case "variable_types_map":
        case "type_to_variable":
        case "result":
        case "prompts":
          return readers.json(row[name]);
        case "retry_count":
        case "seed":
          return readers.whole(row[name]);
        case "use_polish":
          return readers.flag(row.use_polish);
        case "created_at":
        case "updated_at":
          return readers.time(row[name]);
        case "variable_indices":
          return readIndices(row.variable_indices);
        default: {
          const slot = (slots as readonly string[]).indexOf(name);
          if (slot < 0) return readers.text(row[name as SubtaskColumn]);
          return (readIndices(row.variable_indices) as BsonValue[])[slot] ?? null;
        }
      }
    },
  );
}
