/** Reads, replays and compares the recorded calls of the old backend. */
import { type Json, JsonNumber, type JsonObject, JsonSyntaxError, parseJson } from "../../../json.ts";
import { findDifference } from "../../support/masks.ts";

/** One recorded request with its response: a line of tests/data/golden/calls.jsonl. */
export interface RecordedCall {
  name: string;
  method: string;
  path: string;
  /** The user whose token is sent; it is saved as `token:<as>`. */
  as: string | null;
  body: string | null;
  ctype: string | null;
  headers: Record<string, string>;
  /** JSON pointers into the response, by the name under which the value is saved. */
  save: Record<string, string>;
  status: number;
  answerHeaders: Record<string, string>;
  answer: Json;
}

export interface Answered {
  status: number;
  headers: Headers;
  /** The body in the form of the recordings: `{"<text>": …}` if it is not JSON, null if it is empty. */
  answer: Json;
}

const textOf = (value: Json | undefined): string | null => typeof value === "string" ? value : null;
const textsOf = (value: Json | undefined): Record<string, string> =>
  Object.fromEntries([...(value as JsonObject)].map(([key, text]) => [key, String(text)]));

function readCall(line: string): RecordedCall {
  const call = parseJson(line) as JsonObject;
  return {
    name: textOf(call.get("name"))!,
    method: textOf(call.get("method"))!,
    path: textOf(call.get("path"))!,
    as: textOf(call.get("as")),
    body: textOf(call.get("body")),
    ctype: textOf(call.get("ctype")),
    headers: textsOf(call.get("headers")),
    save: textsOf(call.get("save")),
    status: (call.get("status") as JsonNumber).value,
    answerHeaders: textsOf(call.get("answer_headers")),
    answer: call.get("answer")!,
  };
}

/** Reads all recorded calls in order. */
export async function readCalls(
  file = new URL("../../data/golden/calls.jsonl", import.meta.url),
): Promise<RecordedCall[]> {
  const text = await Deno.readTextFile(file);
  return text.split("\n").filter((line) => line !== "").map(readCall);
}

const fill = (text: string, saved: Map<string, string>): string =>
  text.replace(/\$\{([^}]+)\}/g, (whole, name) => saved.get(name) ?? whole);

function fillJson(value: Json, saved: Map<string, string>): Json {
  if (typeof value === "string") return fill(value, saved);
  if (Array.isArray(value)) return value.map((item) => fillJson(item, saved));
  if (value instanceof Map) {
    return new Map([...value].map(([key, item]) => [key, fillJson(item, saved)]));
  }
  return value;
}

function readAnswer(text: string): Json {
  if (text === "") return null;
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return new Map([["<text>", text]]);
    throw error;
  }
}

/** Sends a recorded request to `origin`, and saves the values that later calls need. */
export async function send(
  origin: string,
  call: RecordedCall,
  saved: Map<string, string>,
): Promise<Answered> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(call.headers)) headers.set(name, fill(value, saved));
  if (call.ctype !== null) headers.set("content-type", call.ctype);
  if (call.as !== null) headers.set("authorization", `Bearer ${saved.get(`token:${call.as}`)}`);
  const body = call.body === null ? {} : { body: new TextEncoder().encode(fill(call.body, saved)) };
  const response = await fetch(origin + fill(call.path, saved), {
    method: call.method,
    headers,
    redirect: "manual",
    ...body,
  });
  const answer = readAnswer(await response.text());
  for (const [name, pointer] of Object.entries(call.save)) {
    let value: Json | undefined = answer;
    for (const key of pointer.split("/").slice(1)) value = value instanceof Map ? value.get(key) : undefined;
    if (typeof value === "string") saved.set(name, value);
  }
  return { status: response.status, headers: response.headers, answer };
}

/** Returns the first difference between a response and the recorded one, or undefined. */
export function compare(call: RecordedCall, got: Answered, saved: Map<string, string>): string | undefined {
  if (got.status !== call.status) return `status: wanted ${call.status}, got ${got.status}`;
  for (const [name, value] of Object.entries(call.answerHeaders)) {
    if (got.headers.get(name) !== value) return `${name}: wanted '${value}', got '${got.headers.get(name)}'`;
  }
  if (call.answer === "<any>") return undefined;
  return findDifference(fillJson(call.answer, saved), got.answer);
}
