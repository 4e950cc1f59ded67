/** Answers of a backend: their parts, and values by JSON pointer. */
import { type Json, parseJson } from "../json.ts";

/** An answer of a backend. */
export interface Answer {
  /** Status; 0 if there was no answer. */
  status: number;
  /** Headers by name in lower case. */
  headers: Map<string, string>;
  /** Parsed JSON if the content type is JSON, otherwise text; undefined if empty. */
  body: { json: Json } | { text: string } | undefined;
}

/** Parses a body by its content type. Text that is not JSON stays text. */
export function readBody(text: string, contentType: string): Answer["body"] {
  if (text === "") return undefined;
  if (!contentType.includes("json")) return { text };
  try {
    return { json: parseJson(text) };
  } catch {
    return { text };
  }
}

/** Returns the value at a JSON pointer of an answer's body. */
export function valueAt(answer: Answer, path: string): Json | undefined {
  let value: Json | undefined = answer.body && "json" in answer.body ? answer.body.json : undefined;
  for (const part of path.split("/").slice(1)) {
    if (value instanceof Map) value = value.get(part);
    else if (Array.isArray(value)) value = value[Number(part)];
    else return undefined;
  }
  return value;
}
