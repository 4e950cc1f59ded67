/**
 * A subtask of a v1 detail. PostgreSQL sends the texts of the fields, and this file joins their bytes. To join them in
 * PostgreSQL would copy each text once more, and most of the time of a detail is PostgreSQL's.
 */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import { type Packer, toBytes, toText } from "../pg/json_stream.ts";
import { keptDocumentId, keptText } from "../pg/extra.ts";
import { timeText } from "./fields.ts";
import { indicesText, readIndices, toResultKey } from "./indices.ts";
import { isUsual, notedSeed } from "./usual_extra.ts";

type Bytes = Uint8Array | null;

/** The columns that {@link cellColumns} selects, as the bytes of their texts. */
export type Cell = [
  status: Bytes,
  legacy_id: Bytes,
  /** The whole subtask as JSON, unless it can be joined from the further columns. */
  document: Bytes,
  /** JSON, as the document had them. */
  variable_indices: Bytes,
  generation: Bytes,
  /** JSON. */
  result: Bytes,
  id: Bytes,
  /** JSON, as are all further columns but the last three. */
  variable_types_map: Bytes,
  type_to_variable: Bytes,
  error: Bytes,
  retry_count: Bytes,
  prompts: Bytes,
  ratio: Bytes,
  seed: Bytes,
  /** `t` or `f`. */
  use_polish: Bytes,
  /** `2025-05-13 07:40:46.622` */
  created_at: Bytes,
  updated_at: Bytes,
];

/** Number of the columns of a {@link Cell}. */
export const cellLength: Cell["length"] = 17;

const indices = "array_to_json(s.variable_indices)";
const typesMap = "coalesce(s.variable_types_map::text, 'null')";
const typeTo = "coalesce(s.type_to_variable::text, 'null')";
const error = "coalesce(to_json(s.error)::text, 'null')";
const prompts = "coalesce(s.prompts::text, 'null')";
const ratio = "coalesce(to_json(s.ratio)::text, 'null')";

/** The subtask has the fields of the newest generation, and they can be read from columns and a usual `extra`. */
const isPlain = `((s.generation is null or s.generation = 'S4') and ${isUsual})`;

/** SQL text for the JSON text of the `_id` of the subtask `s`. */
const documentIdJson = `coalesce(${keptDocumentId("s.extra")}, '"' || s.legacy_id || '"')`;

/**
 * SQL text for the JSON text of the id that the subtask `s` had in the old backend, if it is not the row's id. The
 * oldest documents have only an `_id`.
 */
export const oldSubtaskIdJson = `case
  when s.generation = 'S1' then ${documentIdJson}
  when s.generation is not null then ${keptText("s.extra", "id")}
end`;

/** Field names with the JSON texts of their columns, for documents of older generations. */
const fields: [name: string, text: string][] = [
  ["_id", documentIdJson],
  ["id", `'"' || s.id || '"'`],
  ["parent_task_id", `'"' || s.parent_task_id || '"'`],
  ["variable_indices", `coalesce(${indices}::text, 'null')`],
  ["variable_types_map", typesMap],
  ["type_to_variable", typeTo],
  ["status", `'"' || s.status || '"'`],
  ["result", "coalesce(s.result::text, 'null')"],
  ["error", error],
  ["retry_count", "s.retry_count::text"],
  ["prompts", prompts],
  ["ratio", ratio],
  ["seed", "coalesce(s.seed::text, 'null')"],
  ["use_polish", "case when s.use_polish then 'true' else 'false' end"],
  ["created_at", `'"' || ${timeText("s.created_at")} || '"'`],
  ["updated_at", `'"' || ${timeText("s.updated_at")} || '"'`],
  ...[1, 2, 3, 4, 5, 6].map((place): [string, string] => [
    `v${place - 1}`,
    `coalesce(s.variable_indices[${place}]::text, 'null')`,
  ]),
];
const document = `legacy_document(s.generation, s.extra, '{${fields.map(([name]) => name).join()}}', array[${
  fields.map(([, text]) => text).join(", ")
}])`;

const resultColumns = `s.status, s.legacy_id, null, ${indicesText}, s.generation, s.result`;
const columns = `
  s.status, s.legacy_id, case when ${isPlain} then null else ${document} end, ${indicesText}, s.generation, s.result,
  s.id, s.variable_types_map, s.type_to_variable, to_json(s.error), s.retry_count, s.prompts, to_json(s.ratio),
  coalesce(${notedSeed}, s.seed::text), s.use_polish, s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC'`;

/** Selects the columns of the subtask `s`: a whole {@link Cell}, or only the first six, which its result needs. */
export const cellColumns = (sql: Sql, part: "items" | "raw"): PendingQuery<Row[]> =>
  sql.unsafe(part === "items" ? columns : resultColumns);

const brace = 0x7b;
const letterT = 0x74;

const texts = {
  null: toBytes("null"),
  id: toBytes('{"_id":"'),
  uuid: toBytes('","id":"'),
  indices: toBytes(',"variable_indices":'),
  typesMap: toBytes(',"variable_types_map":'),
  typeTo: toBytes(',"type_to_variable":'),
  status: toBytes(',"status":"'),
  result: toBytes('","result":'),
  error: toBytes(',"error":'),
  retryCount: toBytes(',"retry_count":'),
  prompts: toBytes(',"prompts":'),
  ratio: toBytes(',"ratio":'),
  seed: toBytes(',"seed":'),
  polishedCreated: toBytes(',"use_polish":true,"created_at":"'),
  unpolishedCreated: toBytes(',"use_polish":false,"created_at":"'),
  updated: toBytes('","updated_at":"'),
  end: toBytes('"}'),
  t: toBytes("T"),
  zeros: toBytes("000000"),
};

/** Packs `2025-05-13 07:40:46.62` as `2025-05-13T07:40:46.620000`. */
function packTime(packer: Packer, time: Uint8Array): void {
  const space = time.length > 10 && time[10] === 0x20 ? 10 : time.indexOf(0x20);
  packer.addPart(time, 0, space);
  packer.add(texts.t);
  packer.addPart(time, space + 1, time.length);
  // `HH:MM:SS` has eight bytes; the rest is the dot and the fraction.
  const fraction = time.length - space - 9;
  if (fraction > 0) packer.addPart(texts.zeros, 0, 7 - fraction);
}

/** Packs the name of a field and its JSON text; null if it has none. */
function packJson(packer: Packer, name: Uint8Array, text: Bytes): void {
  packer.add(name);
  packer.add(text ?? texts.null);
}

/**
 * Packs the JSON text of a subtask. Like the old backend, it keeps the fields of the document and their
 * order.
 *
 * @param parent `","parent_task_id":"…"`, the same for all subtasks of the task
 */
export function packSubtask(packer: Packer, cell: Cell, parent: Uint8Array): void {
  const [
    status,
    legacyId,
    document,
    indices,
    _generation,
    result,
    id,
    typesMap,
    typeTo,
    error,
    retryCount,
    prompts,
    ratio,
    seed,
    usePolish,
    created,
    updated,
  ] = cell;
  if (document) return packer.add(document);
  packer.add(texts.id);
  packer.add(legacyId!);
  packer.add(texts.uuid);
  packer.add(id!);
  packer.add(parent);
  packJson(packer, texts.indices, indices);
  packJson(packer, texts.typesMap, typesMap);
  packJson(packer, texts.typeTo, typeTo);
  packer.add(texts.status);
  packer.add(status!);
  packJson(packer, texts.result, result);
  packJson(packer, texts.error, error);
  packJson(packer, texts.retryCount, retryCount);
  packJson(packer, texts.prompts, prompts);
  packJson(packer, texts.ratio, ratio);
  packJson(packer, texts.seed, seed);
  packer.add(usePolish![0] === letterT ? texts.polishedCreated : texts.unpolishedCreated);
  packTime(packer, created!);
  packer.add(texts.updated);
  packTime(packer, updated!);
  packer.add(texts.end);
}

const slots = [0, 1, 2, 3, 4, 5];
const noSlots = toBytes(`,${slots.map((slot) => `"v${slot}":null`).join()}}`);

/** Reports whether a subtask has an entry in `results.raw`: it is completed and its result is not empty. */
const hasResult = ([status, , , , , result]: Cell) =>
  status?.[0] === 0x63 && status[1] === 0x6f && result?.[0] === brace && result[1] === 0x22;

/**
 * Packs the entry of a subtask in `results.raw`, if it has one. The old backend wrote every result under the
 * same key, `v0_None:v1_None`. Here each result has its own key: `v0_A:v1_B`, then `:vN_C` for each further
 * slot that is set, and `:LEGACY_ID` if the key exists already. As in the old backend, the six indices within
 * the entry are null, except for S1 and S2 documents, which had them as fields.
 *
 * @param taken the keys of the task so far
 */
export function packResult(packer: Packer, cell: Cell, taken: Set<string>): void {
  if (!hasResult(cell)) return;
  const [, legacyId, , indices, generation, result] = cell;
  const text = toText(indices);
  let key = toResultKey(text);
  if (taken.has(key)) key += `:${toText(legacyId)}`;
  packer.addText(`${taken.size === 0 ? "" : ","}${JSON.stringify(key)}:`);
  taken.add(key);
  packer.addPart(result!, 0, result!.lastIndexOf(0x7d));
  const isOldest = generation?.length === 2 && (generation[1] === 0x31 || generation[1] === 0x32);
  if (!isOldest) return packer.add(noSlots);
  const given = readIndices(text);
  packer.addText(`,${slots.map((slot) => `"v${slot}":${given[slot]?.json ?? "null"}`).join()}}`);
}
