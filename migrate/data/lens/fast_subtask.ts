/**
 * The newest generation of subtasks, from its line straight to COPY text: nearly every document of a big
 * dump has exactly this shape, and a tree for each would cost ten times as much. A line that differs in
 * anything (another order, a tag, an odd escape, a number written otherwise) goes the general way instead;
 * the lens tests hold both to the same text.
 */
import type { FindParent } from "./subtasks.ts";
import { encodeField } from "../tools/copy.ts";

// deno-lint-ignore no-control-regex -- what JSON.stringify would write as it stands
const text = /"[^"\\\u0000-\u001f]*(?:\\["\\bfnrt][^"\\\u0000-\u001f]*)*"/.source;
const word = /[\w-]{1,40}/.source;
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/.source;
const int = /(?:0|-?[1-9]\d{0,8})/.source;
const long = /(?:0|-?[1-9]\d{0,14})/.source;
// Few enough digits that the shortest form is the written one.
const number = `(?:${long}(?:\\.(?:0|\\d{0,3}[1-9]))?)`;
const slot = `(?:null|${int})`;
// {"v0":…,"v1":…} from v0 on, in order.
const object = `\\{(?:${
  ["v0", "v1", "v2", "v3", "v4", "v5"].reduceRight((rest, name) =>
    `"${name}":${slot}(?:${rest === "" ? "" : `,${rest}`})?`, "")
})?\\}`;
const types = `\\{(?:"${word}":"${word}"(?:,"${word}":"${word}")*)?\\}`;
const day = /(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])/.source;
const clock = /(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d/.source;
const time = `\\{"\\$date":"(${day})T(${clock})(?:(\\.\\d{0,2}[1-9])0{0,2}|\\.0{1,3})?Z"\\}`;
const result =
  `\\{"url":(${text}),"width":${number},"height":${number},"seed":(?:null|${number}),"created_at":${text}\\}`;
const free = `\\{"type":"freetext","weight":${number},"value":(?:${text}|${number})\\}`;
const named =
  `\\{"type":"${word}","uuid":${text},"value":${text},"name":${text},"weight":${number},"img_url":${text},` +
  `"domain":"","parent":"","label":null,"sort_index":0,"status":"IN_USE","polymorphi_values":\\{\\},"sub_type":null\\}`;
const prompt = `(?:${free}|${named})`;

const usual = new RegExp(
  `^\\{"_id":\\{"\\$oid":"([0-9a-f]{24})"\\},"id":"(${uuid})","parent_task_id":"(${uuid})",` +
    `"variable_indices":(?:\\[((?:${slot}(?:,${slot})*)?)\\]|(${object})),"variable_types_map":(${types}),"type_to_variable":(${types}),` +
    `"status":"(pending|processing|completed|failed|cancelled)","result":(null|${result}),"error":(null|${text}),` +
    `"retry_count":(${int}),"prompts":(\\[(?:${prompt}(?:,${prompt})*)?\\]),"ratio":"(${
      /[\w:.]{1,20}/.source
    })",` +
    `"seed":(null|${long}(?:\\.0)?),"use_polish":(true|false),"created_at":${time},"updated_at":${time}\\}$`,
);

// The few maps of a whole dump, each looked at once for a doubled key.
const knownTypes = new Map<string, boolean>();
const knownTypesMax = 10_000;

function hasOwnKeys(types: string): boolean {
  let good = knownTypes.get(types);
  if (good === undefined) {
    const keys = [...types.matchAll(/"([\w-]+)":/g)].map(([, key]) => key);
    good = new Set(keys).size === keys.length;
    if (knownTypes.size < knownTypesMax) knownTypes.set(types, good);
  }
  return good;
}

/** True for a line that toUsualLine() takes: it is JSON then, too. */
export const isUsualSubtask = (line: string): boolean => usual.test(line);

/** A row as COPY text without its newline. */
export interface UsualLine {
  parent: string;
  id: string;
  copy: string;
}

// The pattern lets 31 February through.
const isDay = (day: string) =>
  day.slice(8) <= "28" || new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);

const doubled = (json: string) => json.includes("\\") ? json.replaceAll("\\", "\\\\") : json;
const plain = (json: string) => json.includes("\\") ? JSON.parse(json) as string : json.slice(1, -1);

/** The columns `variable_indices` and `extra` of a usual line. */
function toIndices(list: string | undefined, object: string | undefined, seed: string): [string, string] {
  const kept = seed.endsWith(".0") ? `"seed":${seed}` : "";
  if (list !== undefined) {
    const slots = list.includes("n") ? list.replaceAll("null", "NULL") : list;
    return [`{${slots}}`, kept === "" ? "\\N" : `{${kept}}`];
  }
  const given = object === "{}" ? [] : object!.slice(1, -1).split(",").map((part) => part.slice(5));
  const slots = ["v0", "v1", "v2", "v3", "v4", "v5"].map((_, i) =>
    (given[i] ?? "null").replace("null", "NULL")
  );
  return [`{${slots.join()}}`, `{"variable_indices":${object}${kept === "" ? "" : `,${kept}`}}`];
}

/** The row of a usual line under a known parent; undefined for any other. */
export function toUsualLine(line: string, findParent: FindParent): UsualLine | undefined {
  const m = usual.exec(line) as string[] | null;
  if (m === null) return undefined;
  const [, oid, id, parent, list, object, types, reverse, status, result, url, error, retries, prompts] = m;
  const [ratio, seed, polish, created, createdAt, createdMs, updated, updatedAt, updatedMs] = m.slice(14);
  if (findParent(parent!) !== parent || !hasOwnKeys(types!) || !hasOwnKeys(reverse!)) return undefined;
  if (!isDay(created!) || !isDay(updated!)) return undefined;
  const updated_at = `${updated} ${updatedAt}${updatedMs ?? ""}+00`;
  const [indices, extra] = toIndices(list, object, seed!);
  const ends = status !== "pending" && status !== "processing";
  const lumina = /lumina/i.test(prompts!) && /"name":"[^"\\]*(?:\\.[^"\\]*)*?lumina/i.test(prompts!);
  const copy = `${parent}\t${id}\t${oid}\t${indices}\t${types}\t${reverse}\t${status}` +
    `\t${result === "null" ? "\\N" : doubled(result!)}\t${
      error === "null" ? "\\N" : encodeField(plain(error!))
    }` +
    `\t${retries}\t${doubled(prompts!)}\t${ratio}` +
    `\t${seed === "null" ? "\\N" : seed!.endsWith(".0") ? seed!.slice(0, -2) : seed}` +
    `\t${polish === "true" ? "t" : "f"}\t${created} ${createdAt}${createdMs ?? ""}+00\t${updated_at}` +
    `\t${url === undefined ? "\\N" : encodeField(plain(url))}\t${lumina ? "lumina" : "standard"}` +
    `\t${ends ? updated_at : "\\N"}\tS4\t${extra}`;
  return { parent: parent!, id: id!, copy };
}
