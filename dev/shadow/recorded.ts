/** Reads recorded requests, one JSON object per line, and generates smaller forms of a request. */
import { AppError } from "../../errors.ts";
import { type Json, JsonNumber, type JsonObject, parseJson, stringifyJson } from "../../json.ts";
import { routeOf, type Step } from "../../comparison/request.ts";

/** A recorded request. */
export interface RecordedCall {
  step: Step;
  /** Whether it may change stored data. */
  isWrite: boolean;
}

const text = (value: Json | undefined): string | undefined => typeof value === "string" ? value : undefined;
const entries = (value: Json | undefined): [string, string][] =>
  value instanceof Map ? [...value].map(([key, item]) => [key, text(item) ?? ""]) : [];

function parseCall(line: string, where: string): RecordedCall {
  let call: Json;
  try {
    call = parseJson(line);
  } catch (cause) {
    throw new AppError("invalid_source", `reading ${where}: not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  const method = call instanceof Map ? text(call.get("method")) : undefined;
  const target = call instanceof Map ? text(call.get("path")) : undefined;
  if (!(call instanceof Map) || !method || !target?.startsWith("/")) {
    throw new AppError(
      "invalid_source",
      `reading ${where}: expected an object with 'method' and a 'path' that starts with /`,
    );
  }
  const [path = "/", ...rest] = target.split("?");
  const query = rest.join("?");
  const headers = entries(call.get("headers"));
  const as = text(call.get("as"));
  if (as !== undefined) headers.push(["Authorization", `Bearer \${token:${as}}`]);
  const type = text(call.get("ctype"));
  if (type !== undefined) headers.push(["Content-Type", type]);
  const masks = call.get("mask");
  const step: Step = {
    name: text(call.get("name")) ?? "",
    method: method.toUpperCase(),
    path,
    query: query === "" ? [] : query.split("&"),
    headers,
    body: text(call.get("body")) ?? null,
    save: Object.fromEntries(entries(call.get("save"))),
    masks: Array.isArray(masks) ? masks.map(String) : [],
  };
  return { step, isWrite: isWrite(step, call) };
}

/** Reports whether a request may change data. Reads, sign-ins and requests that were rejected when recorded do not. */
function isWrite(step: Step, call: JsonObject): boolean {
  const status = call.get("status");
  const wasRefused = status instanceof JsonNumber && status.value >= 400 && status.value < 500;
  return !["GET", "HEAD", "OPTIONS"].includes(step.method) &&
    routeOf(step) !== "POST /api/v1/auth/login" && !wasRefused;
}

/**
 * Reads the requests of a recording in order.
 *
 * @throws AppError source_missing; invalid_source with file and line
 */
export async function readRecording(path: string): Promise<RecordedCall[]> {
  let content: string;
  try {
    content = await Deno.readTextFile(path);
  } catch (cause) {
    throw new AppError("source_missing", `reading the recording '${path}': ${(cause as Error).message}`, {
      cause,
    });
  }
  return content.split("\n").map((line, index) => ({ line, where: `${path}:${index + 1}` }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, where }) => parseCall(line, where));
}

function* smallerBodies(body: string): Generator<string> {
  let value: Json;
  try {
    value = parseJson(body);
  } catch {
    return;
  }
  for (const smaller of smallerValues(value)) {
    try {
      yield stringifyJson(smaller);
    } catch {
      // JSON cannot express NaN and infinite numbers.
    }
  }
}

function* smallerValues(value: Json): Generator<Json> {
  if (value instanceof Map) {
    for (const key of value.keys()) yield new Map([...value].filter(([other]) => other !== key));
    for (const [key, item] of value) {
      for (const smaller of smallerValues(item)) {
        yield new Map([...value].map(([other, old]) => [other, other === key ? smaller : old]));
      }
    }
  } else if (Array.isArray(value)) {
    for (const index of value.keys()) yield value.toSpliced(index, 1);
    for (const [index, item] of value.entries()) {
      for (const smaller of smallerValues(item)) yield value.with(index, smaller);
    }
  }
}

const usualAuth = ["Authorization", "Bearer ${token}"] satisfies [string, string];

/** Generates simpler forms of a request: without its slash, a query parameter, a header or a field of its body. */
export function* smallerSteps(step: Step): Generator<Step> {
  const { path } = step;
  if (/[^/]\/$/.test(path) && path !== "/api/v1/users/") yield { ...step, path: path.slice(0, -1) };
  for (const index of step.query.keys()) yield { ...step, query: step.query.toSpliced(index, 1) };
  for (const index of step.headers.keys()) yield { ...step, headers: step.headers.toSpliced(index, 1) };
  for (const [index, [name, value]] of step.headers.entries()) {
    const isOwn = name === usualAuth[0] && /\$\{(token|other)\}$/.test(value) && value !== usualAuth[1];
    if (isOwn) yield { ...step, headers: step.headers.with(index, usualAuth) };
  }
  if (typeof step.body === "string") {
    for (const body of smallerBodies(step.body)) yield { ...step, body };
  }
}
