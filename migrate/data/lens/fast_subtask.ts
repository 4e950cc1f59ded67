/**
 * The fast path of subtasks: maps the JSON text of a document of the newest generation directly to a COPY
 * line. Nearly all documents of a large dump have exactly this form, and building a tree of each would cost
 * ten times as much. The regular expression rejects every deviation (field order, type tag, rare escape,
 * number format); rejected documents take the general path. The lens tests compare the results of both paths.
 */
import type { FindParent } from "./subtasks.ts";
import { readDateTag } from "../documents/times.ts";
import { encodeField } from "../tools/copy.ts";

// deno-lint-ignore no-control-regex -- only what JSON.stringify() writes in the same way
const text = /"[^"\\\u0000-\u001f]*(?:\\["\\bfnrt][^"\\\u0000-\u001f]*)*"/.source;
const word = /[\w-]{1,40}/.source;
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/.source;
const int = /(?:0|-?[1-9]\d{0,8})/.source;
const long = /(?:0|-?[1-9]\d{0,14})/.source;
// So few digits that the number's shortest form is the written one.
const number = `(?:${long}(?:\\.(?:0|\\d{0,3}[1-9]))?)`;
const slot = `(?:null|${int})`;
const slotNames = ["v0", "v1", "v2", "v3", "v4", "v5"];
// {"v0":…,"v1":…}: any number of slots in order, starting with v0.
const slotObject = `\\{(?:${
  slotNames.reduceRight((rest, name) => `"${name}":${slot}(?:${rest === "" ? "" : `,${rest}`})?`, "")
})?\\}`;
const types = `\\{(?:"${word}":"${word}"(?:,"${word}":"${word}")*)?\\}`;
const day = /(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])/.source;
const clock = /(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d/.source;
const time = `\\{"\\$date":"(${day})T(${clock})(?:(\\.\\d{0,2}[1-9])0{0,2}|\\.0{1,3})?Z"\\}`;
const result =
  `\\{"url":(${text}),"width":${number},"height":${number},"seed":(?:null|${number}),"created_at":${text}\\}`;
const freePrompt = `\\{"type":"freetext","weight":${number},"value":(?:${text}|${number})\\}`;
const namedPrompt =
  `\\{"type":"${word}","uuid":${text},"value":${text},"name":${text},"weight":${number},"img_url":${text},` +
  `"domain":"","parent":"","label":null,"sort_index":0,"status":"IN_USE","polymorphi_values":\\{\\},"sub_type":null\\}`;
const prompt = `(?:${freePrompt}|${namedPrompt})`;
const ratio = /[\w:.]{1,20}/.source;

const fastPattern = new RegExp(
  `^\\{"_id":\\{"\\$oid":"([0-9a-f]{24})"\\},"id":"(${uuid})","parent_task_id":"(${uuid})",` +
    `"variable_indices":(?:\\[((?:${slot}(?:,${slot})*)?)\\]|(${slotObject})),` +
    `"variable_types_map":(${types}),"type_to_variable":(${types}),` +
    `"status":"(pending|processing|completed|failed|cancelled)","result":(null|${result}),"error":(null|${text}),` +
    `"retry_count":(${int}),"prompts":(\\[(?:${prompt}(?:,${prompt})*)?\\]),"ratio":"(${ratio})",` +
    `"seed":(null|${long}(?:\\.0)?),"use_polish":(true|false),"created_at":${time},"updated_at":${time}\\}$`,
);

// A dump has few different type maps. Each is checked once for duplicate keys.
const checkedTypes = new Map<string, boolean>();
const checkedTypesMax = 10_000;

function hasUniqueKeys(types: string): boolean {
  let isUnique = checkedTypes.get(types);
  if (isUnique === undefined) {
    const keys = [...types.matchAll(/"([\w-]+)":/g)].map(([, key]) => key);
    isUnique = new Set(keys).size === keys.length;
    if (checkedTypes.size < checkedTypesMax) checkedTypes.set(types, isUnique);
  }
  return isUnique;
}

/** Reports whether the text has the form that toFastLine() accepts. A text of this form is valid JSON. */
export const matchesFastPath = (json: string): boolean => fastPattern.test(json);

/** A row as COPY text. */
export interface FastLine {
  id: string;
  /** `parent_task_id/id`. */
  key: string;
  /** The COPY line without its newline. */
  line: string;
}

// The pattern accepts 31 February.
const isDay = (day: string) => day.slice(8) <= "28" || typeof readDateTag(`${day}T00:00:00Z`) === "number";

const escapeJson = (json: string) => json.includes("\\") ? json.replaceAll("\\", "\\\\") : json;
const parseText = (json: string) => json.includes("\\") ? JSON.parse(json) as string : json.slice(1, -1);

/** Returns the columns `variable_indices` and `extra`. Exactly one of `list` and `object` is given. */
function toIndices(list: string | undefined, object: string | undefined, seed: string): [string, string] {
  const extraSeed = seed.endsWith(".0") ? `"seed":${seed}` : "";
  if (list !== undefined) {
    const slots = list.includes("n") ? list.replaceAll("null", "NULL") : list;
    return [`{${slots}}`, extraSeed === "" ? "\\N" : `{${extraSeed}}`];
  }
  const given = object === "{}" ? [] : object!.slice(1, -1).split(",").map((part) => part.slice(5));
  const slots = slotNames.map((_, i) => (given[i] ?? "null").replace("null", "NULL"));
  return [`{${slots.join()}}`, `{"variable_indices":${object}${extraSeed === "" ? "" : `,${extraSeed}`}}`];
}

/** Returns the row of a document in the accepted form whose task is known, or undefined for any other. */
export function toFastLine(json: string, findParent: FindParent): FastLine | undefined {
  const m = fastPattern.exec(json) as string[] | null;
  if (m === null) return undefined;
  const [, oid, id, parent, list, object, types, reverse, status, result, url, error, retries, prompts] = m;
  const [ratio, seed, polish, created, createdAt, createdMs, updated, updatedAt, updatedMs] = m.slice(14);
  if (findParent(parent!) !== parent || !hasUniqueKeys(types!) || !hasUniqueKeys(reverse!)) return undefined;
  if (!isDay(created!) || !isDay(updated!)) return undefined;
  const updated_at = `${updated} ${updatedAt}${updatedMs ?? ""}+00`;
  const [indices, extra] = toIndices(list, object, seed!);
  const isTerminal = status !== "pending" && status !== "processing";
  const isLumina = /lumina/i.test(prompts!) && /"name":"[^"\\]*(?:\\.[^"\\]*)*?lumina/i.test(prompts!);
  const line = `${parent}\t${id}\t${oid}\t${indices}\t${types}\t${reverse}\t${status}` +
    `\t${result === "null" ? "\\N" : escapeJson(result!)}` +
    `\t${error === "null" ? "\\N" : encodeField(parseText(error!))}` +
    `\t${retries}\t${escapeJson(prompts!)}\t${ratio}` +
    `\t${seed === "null" ? "\\N" : seed!.endsWith(".0") ? seed!.slice(0, -2) : seed}` +
    `\t${polish === "true" ? "t" : "f"}\t${created} ${createdAt}${createdMs ?? ""}+00\t${updated_at}` +
    `\t${url === undefined ? "\\N" : encodeField(parseText(url))}\t${isLumina ? "lumina" : "standard"}` +
    `\t${isTerminal ? updated_at : "\\N"}\tS4\t${extra}`;
  return { id: id!, key: `${parent}/${id}`, line };
}
