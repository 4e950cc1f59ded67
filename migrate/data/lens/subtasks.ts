/** Subtasks, the old `dramatiq_tasks`: S1 to S4. */
import { isUuid, legacyIdOf, uuidOf, uuidOfId } from "../documents/ids.ts";
import { BsonDocument, type BsonValue, ObjectId } from "../documents/tree.ts";
import { describeValue, Draft, type Mapped, readers, rebuild, type Row, type Template } from "./draft.ts";
import { isTerminal, takeStatus } from "./status.ts";
import { readIndices, slots, takeIndices } from "./indices.ts";

/** Columns that a document becomes, in COPY order. */
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

/** The uuid of the task that a subtask names by uuid, by `task_uuid` or by `_id`; undefined for an orphan. */
export type FindParent = (name: string) => string | undefined;

const outcome = ["status", "result", "error", "retry_count"] as const;
const drawn = ["prompt", "characters", "elements"] as const;
const tail = ["ratio", "seed", "use_polish", "created_at", "updated_at"] as const;
const inExtra = new Set<string>([...drawn, "dramatiq_message_id"]);

const make = (...fields: string[]): Template => ({
  fields,
  columns: new Set(fields.filter((name) => !inExtra.has(name))),
});

const templates: Record<SubtaskGeneration, Template> = {
  S1: make("_id", "dramatiq_message_id", "parent_task_id", ...slots, ...outcome, ...drawn, ...tail),
  S2: make("_id", "id", "parent_task_id", ...slots, ...outcome, ...drawn, ...tail),
  S3: make("_id", "id", "parent_task_id", "variable_indices", ...outcome, ...drawn, ...tail),
  S4: make(
    ...["_id", "id", "parent_task_id", "variable_indices", "variable_types_map", "type_to_variable"],
    ...[...outcome, "prompts", ...tail],
  ),
};

const int4 = [-0x80000000n, 0x7fffffffn] as const;
const int8 = [-(1n << 63n), (1n << 63n) - 1n] as const;

/** The generation a document's keys tell. */
export function subtaskGeneration({ keys }: BsonDocument): SubtaskGeneration {
  if (keys.includes("prompts") || keys.includes("variable_types_map")) return "S4";
  if (keys.includes("v0")) return keys.includes("id") ? "S2" : "S1";
  if (keys.includes("variable_indices")) return keys.includes("prompt") ? "S3" : "S4";
  return keys.includes("id") ? "S4" : "S1";
}

function takeId(draft: Draft, generation: SubtaskGeneration): string {
  const own = draft.get("id");
  if (generation === "S1" || own === undefined) return uuidOfId("dramatiq_tasks", draft.get("_id")!);
  if (isUuid(own)) {
    if (own !== own.toLowerCase()) draft.keep("id");
    return own.toLowerCase();
  }
  draft.adjust("id_no_uuid", "id");
  return typeof own === "string" && own !== ""
    ? uuidOf(`dramatiq_tasks.id:${own}`)
    : uuidOfId("dramatiq_tasks", draft.get("_id")!);
}

function takeParent(draft: Draft, findParent: FindParent): string {
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

/** The address of the image: `result.url` where it is a text. */
function takeUrl(draft: Draft): string | null {
  const result = draft.get("result");
  const url = result instanceof BsonDocument ? result.get("url") : undefined;
  return typeof url === "string" && url.isWellFormed() && !url.includes("\0") ? url : null;
}

/** Any drawn thing whose name contains `lumina`, in any case, goes to the lumina queue. */
function takeQueue(document: BsonDocument): string {
  const lists = ["prompts", "characters", "elements"].map((name) => document.get(name));
  const lumina = lists.some((list) =>
    Array.isArray(list) && list.some((item) => {
      const name = item instanceof BsonDocument ? item.get("name") : undefined;
      return typeof name === "string" && name.toLowerCase().includes("lumina");
    })
  );
  return lumina ? "lumina" : "standard";
}

/** A subtask's row under the task that `findParent` knows. */
export function toSubtaskRow(document: BsonDocument, findParent: FindParent): Mapped<SubtaskColumn> {
  const generation = subtaskGeneration(document);
  const draft = new Draft(document, templates[generation]);
  const parent_task_id = takeParent(draft, findParent);
  const status = takeStatus(draft);
  if (draft.rejected) return { rejected: draft.rejected };
  const id = document.get("_id")!;
  if (!(id instanceof ObjectId)) draft.keep("_id");
  const created_at = draft.time("created_at", draft.idTime());
  const updated_at = draft.time("updated_at", draft.idTime());
  const isNew = generation === "S4";
  const row: Row<SubtaskColumn> = {
    parent_task_id,
    id: takeId(draft, generation),
    legacy_id: legacyIdOf("dramatiq_tasks", id),
    variable_indices: takeIndices(draft, generation),
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
    image_url: takeUrl(draft),
    queue: takeQueue(document),
    completed_at: isTerminal(status) ? updated_at : null,
    generation,
    extra: null,
  };
  row.extra = draft.extra();
  return { row, adjustments: draft.adjustments };
}

/** The document that a row came from. */
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
