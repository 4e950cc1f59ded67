/** Writes the entry of a tag, or of a level of its variable, in `prompts`. */
import { type Json, type JsonObject, stringifyJson } from "../../json.ts";
import type { Axis } from "./axes.ts";
import { isObject, isTruthy } from "./values.ts";

/** One entry of `prompts`, or none, with the properties that follow from its name. */
export interface Fragment {
  /** JSON text of the entry; empty for none. */
  text: string;
  /** The name contains `lumina`, in any case. The subtask then goes to the queue `lumina`. */
  lumina: boolean;
  /** The name is `lumina1`. The subtask then carries `client_args`. */
  lumina1: boolean;
}

const nothing: Fragment = { text: "", lumina: false, lumina1: false };

/** The `prompts` of a cell whose tags have no entry. */
export const promptsWithoutAny = '[{"type":"freetext","weight":1,"value":"1girl"}]';

const referenceTypes = new Map([["character", "oc_vtoken_adaptor"], ["element", "elementum"]]);

/** Reports whether tags of a type become entries of `prompts`. */
export const isPromptType = (type: string): boolean => type === "prompt" || referenceTypes.has(type);

/**
 * Writes the entries of all levels of a variable. Like the old backend, equal levels have the `uuid` and
 * image of the first, if the first has a `uuid`; otherwise each has its own.
 */
export function writeFragments(type: string, { values, storedIndices }: Axis): Fragment[] {
  return values.map((value, index) => {
    const first = values[storedIndices[index] ?? index];
    const hasUuid = isObject(first) && isTruthy(first.get("uuid"));
    return writeFragment(type, value, hasUuid ? first : value);
  });
}

const field = (source: JsonObject, key: string, defaultText: string): string => {
  const value = source.get(key);
  return value === undefined ? defaultText : stringifyJson(value);
};

function writeFreetext(source: JsonObject, value: Json | undefined): Fragment {
  if (value === undefined || value === null || value === "") return nothing;
  const weight = field(source, "weight", "1.0");
  const text = `{"type":"freetext","weight":${weight},"value":${stringifyJson(value)}}`;
  return { ...nothing, text };
}

function writeReference(
  type: string,
  source: JsonObject,
  value: Json | undefined,
  known: JsonObject,
): Fragment {
  const uuid = field(known, "uuid", '""');
  const text = `{"type":"${type}","uuid":${uuid},"value":${uuid},"name":${stringifyJson(value ?? "")},` +
    `"weight":${field(source, "weight", "1.0")},"img_url":${field(known, "header_img", '""')},` +
    '"domain":"","parent":"","label":null,"sort_index":0,"status":"IN_USE","polymorphi_values":{},' +
    '"sub_type":null}';
  const name = typeof value === "string" ? value : "";
  return { text, lumina: name.toLowerCase().includes("lumina"), lumina1: name === "lumina1" };
}

/**
 * Writes the entry of one tag, with the fields that the image API expects. The type must be a prompt type.
 *
 * @param source the tag itself, or the level of its variable: an object with `value`, or a plain value
 * @param known the object with `uuid` and `header_img` of a character or element
 */
export function writeFragment(type: string, source: Json, known: Json = source): Fragment {
  const fields: JsonObject = isObject(source) ? source : new Map();
  const value = isObject(source) ? source.get("value") : source;
  const reference = referenceTypes.get(type);
  if (reference === undefined) return writeFreetext(fields, value);
  return writeReference(reference, fields, value, isObject(known) ? known : fields);
}

/** The entry of a variable tag whose variable has no values. */
export const noFragment = nothing;
