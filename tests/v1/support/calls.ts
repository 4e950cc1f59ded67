/** The recorded calls of the old backend, sent again. */
import { type Json, JsonNumber, type JsonObject, JsonSyntaxError, parseJson } from "../../../json.ts";
import { findDifference } from "../../support/masks.ts";

/** One recorded request and its answer (tests/data/golden/calls.jsonl, a line each). */
export interface RecordedCall {
  name: string;
  method: string;
  path: string;
  /** Whose token, saved as `token:<as>`. */
  as: string | null;
  body: string | null;
  ctype: string | null;
  headers: Record<string, string>;
  /** Names to keep values of the answer under, by JSON pointer. */
  save: Record<string, string>;
  status: number;
  answerHeaders: Record<string, string>;
  answer: Json;
}

export interface Answered {
  status: number;
  headers: Headers;
  /** As the recordings have it: `{"<text>": …}` for what is no JSON, null for nothing. */
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

/** All of them, in order. */
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

/** Sends a recorded request to `origin`. */
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

/** What differs between an answer and the recorded one; undefined where they are alike. */
export function compare(call: RecordedCall, got: Answered, saved: Map<string, string>): string | undefined {
  if (got.status !== call.status) return `status: wanted ${call.status}, got ${got.status}`;
  for (const [name, value] of Object.entries(call.answerHeaders)) {
    if (got.headers.get(name) !== value) return `${name}: wanted '${value}', got '${got.headers.get(name)}'`;
  }
  if (call.answer === "<any>") return undefined;
  return findDifference(fillJson(call.answer, saved), got.answer);
}
