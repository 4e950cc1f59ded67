/**
 * The level indices of a subtask as its document had them. The column `variable_indices` holds integers; a
 * document may have the same index as `1`, `2.0`, `"3"` or a tagged number, which is then in `extra`. v1
 * answers those, as the old backend did.
 */
import { type Json, JsonNumber, parseJson, stringifyJson } from "../../json.ts";
import { notedIndices } from "./usual_extra.ts";

const column = "array_to_json(s.variable_indices)::text";
const slots = [0, 1, 2, 3, 4, 5];
const slotFields = slots
  .map((slot) => `coalesce((s.extra -> 'v${slot}')::text, s.variable_indices[${slot + 1}]::text, 'null')`);

/**
 * SQL text for the indices of a subtask of {@link notedSubtasks}: JSON, a list or an object `{"v0":…}`; null if
 * there are none. The search for a name in the text avoids parsing each `extra`; a name that is found elsewhere in
 * it does no harm.
 */
export const indicesText = `case
  when n.note is null then ${column}
  when s.generation in ('S1', 'S2') then
    case when n.note ~ '"v[0-5]":' then '[' || concat_ws(',', ${slotFields.join(", ")}) || ']'
      else ${column} end
  when strpos(n.note, '"variable_indices":') > 0
    then coalesce(${notedIndices}, (s.extra -> 'variable_indices')::text, ${column})
  else ${column} end`;

/** An index of a slot that is set. */
export interface WrittenIndex {
  /** As in Python's `str()`, for keys. */
  text: string;
  /** JSON. */
  json: string;
}

/** Six slots, undefined where none is set. */
export type WrittenIndices = (WrittenIndex | undefined)[];

const escapedText = (value: string): string => JSON.parse(`"${value}"`);

/** Returns the value of a tagged number or text of `extra`. */
function untag(value: Json): Json {
  if (!(value instanceof Map) || value.size !== 1) return value;
  const tag = [...value.keys()][0]!;
  const inner = value.get(tag);
  if (typeof inner !== "string") return value;
  if (tag === "$escaped") return escapedText(inner);
  if (!/^\$number(Int|Long|Double|Decimal)$/.test(tag)) return value;
  // Python writes `nan` and `inf`.
  return /\d$/.test(inner) ? new JsonNumber(inner) : inner.toLowerCase().replace("infinity", "inf");
}

function toText(value: Json): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return value;
  return stringifyJson(value);
}

function toWritten(given: Json | undefined): WrittenIndex | undefined {
  if (given === undefined || given === null) return undefined;
  const value = untag(given);
  return { text: toText(value), json: stringifyJson(value) };
}

/** A list of int32 and null, as nearly all are. */
const plain = /^\[[\d,nul-]*\]$/;
/** An object of int32. */
const plainObject = /^\{(?:"v\d":\d{1,9},?)*\}$/;

/** Returns the texts of six slots of a plain list, undefined where none is set. */
const splitPlain = (text: string): (string | undefined)[] =>
  text.slice(1, -1).split(",", slots.length)
    .map((index) => index === "" || index === "null" ? undefined : index);

/** Parses the text of {@link indicesText}. Further slots of an older document are left out. */
export function readIndices(text: string): WrittenIndices {
  if (plain.test(text)) {
    return splitPlain(text).map((index) => index === undefined ? undefined : { text: index, json: index });
  }
  if (plainObject.test(text)) {
    const indices = JSON.parse(text);
    return slots.map((slot) => {
      const index = indices[`v${slot}`];
      return index === undefined ? undefined : { text: `${index}`, json: `${index}` };
    });
  }
  const value = text === "" ? null : parseJson(text);
  if (Array.isArray(value)) return value.slice(0, slots.length).map(toWritten);
  return value instanceof Map ? slots.map((slot) => toWritten(value.get(`v${slot}`))) : [];
}

/**
 * Returns the key of a result in `results.raw`: `v0_A:v1_B`, and `:vN_C` for each further slot that is set. The first two
 * are `None` where they are not set.
 *
 * @param text the text of {@link indicesText}
 */
export function toResultKey(text: string): string {
  // In a plain list, the text of an index is the same in the list and in the key. It needs no object.
  const given = plain.test(text) ? splitPlain(text) : readIndices(text).map((index) => index?.text);
  let key = `v0_${given[0] ?? "None"}:v1_${given[1] ?? "None"}`;
  for (let slot = 2; slot < given.length; slot++) {
    if (given[slot] !== undefined) key += `:v${slot}_${given[slot]}`;
  }
  return key;
}

const commas = ",,,,,";

/**
 * Joins six indices by commas, as the matrix does; an index that is not set is empty. Returns it as a JSON
 * text.
 */
export function toMatrixKey(text: string): string {
  if (!plain.test(text)) {
    const indices = readIndices(text);
    return JSON.stringify(slots.map((slot) => indices[slot]?.text ?? "").join());
  }
  const given = text.slice(1, -1).replaceAll("null", "");
  const count = given.split(",").length;
  if (count === 6) return `"${given}"`;
  return `"${count < 6 ? given + commas.slice(count - 1) : given.split(",").slice(0, 6).join()}"`;
}
