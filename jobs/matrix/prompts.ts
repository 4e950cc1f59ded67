/** From a tag, or the value of a variable that stands for it, to its entry in `prompts`. */
import { type Json, type JsonObject, stringifyJson } from "../../json.ts";
import type { Axis } from "./axes.ts";
import { isObject } from "./values.ts";

/** One entry of `prompts`, or none, with what its name decides. */
export interface Fragment {
  /** JSON text of the entry; empty where there is none. */
  text: string;
  /** Its name contains `lumina`, in any case: the subtask goes to the lumina queue. */
  lumina: boolean;
  /** Its name is `lumina1`: the subtask carries `client_args`. */
  lumina1: boolean;
}

const nothing: Fragment = { text: "", lumina: false, lumina1: false };

/** What is drawn where no tag says anything. */
export const promptsWithoutAny = '[{"type":"freetext","weight":1,"value":"1girl"}]';

const referenceTypes = new Map([["character", "oc_vtoken_adaptor"], ["element", "elementum"]]);

/** The tag types that become an entry of `prompts`. */
export const isPromptType = (type: string): boolean => type === "prompt" || referenceTypes.has(type);

/** The entries for each value of a variable; equal ones share the first one's `uuid` and picture, as recorded. */
export function writeFragments(type: string, { values, indices }: Axis): Fragment[] {
  return values.map((value, place) => writeFragment(type, value, values[indices[place] ?? place]));
}

const field = (source: JsonObject, key: string, otherwise: string): string => {
  const value = source.get(key);
  return value === undefined ? otherwise : stringifyJson(value);
};

function writeFreetext(source: JsonObject, value: Json | undefined): Fragment {
  if (value === undefined || value === null || value === "") return nothing;
  const text = `{"type":"freetext","weight":${field(source, "weight", "1.0")},"value":${
    stringifyJson(value)
  }}`;
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
 * The entry for one tag of a type that has one (EXECUTION.md «Expansion»).
 *
 * @param source the tag itself, or the value of its variable: an object with `value`, or a bare value
 * @param known where `uuid` and `header_img` of a character or element stand
 */
export function writeFragment(type: string, source: Json, known: Json = source): Fragment {
  const fields: JsonObject = isObject(source) ? source : new Map();
  const value = isObject(source) ? source.get("value") : source;
  const reference = referenceTypes.get(type);
  if (reference === undefined) return writeFreetext(fields, value);
  return writeReference(reference, fields, value, isObject(known) ? known : fields);
}

/** The entry of a variable tag whose variable has no values: none. */
export const noFragment = nothing;
