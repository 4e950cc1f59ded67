/** Compares two answers: status, the headers that clients act on, and the body by JSON path. */
import { type Json, JsonNumber, type JsonObject, stringifyJson } from "../json.ts";
import type { Answer } from "./answer.ts";
import { counted } from "../phrases.ts";

/** Kind of a difference. */
export type Kind =
  | "status"
  | "header"
  | "body form"
  | "field missing"
  | "field extra"
  | "field order"
  | "length"
  | "type"
  | "number form"
  | "value";

/** A difference between two answers. */
export interface Difference {
  kind: Kind;
  /** JSON pointer into the body, name of the header, or empty for the status. */
  path: string;
  /** Values for the report, truncated and without tokens. */
  old: string;
  new: string;
}

/** Returns the name of the noise that explains two different values, if any does. */
export type Noise = (path: string, old: Json, now: Json) => string | undefined;

/** The result of a comparison. */
export interface Comparison {
  differences: Difference[];
  /** Names of the noise that was found, one per value. */
  masked: string[];
}

/** The headers that affect a client. */
export const headersCompared = [
  "content-type",
  "www-authenticate",
  "allow",
  "location",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-max-age",
  "access-control-expose-headers",
  "vary",
];

/** Maximum number of differences per answer. */
const differencesMax = 100;
const shownMax = 120;

const jwt = /eyJ[\w-]+\.[\w-]+\.[\w-]*/g;

/** Formats a value for the report. */
export function show(value: Json | undefined): string {
  if (value === undefined) return "(absent)";
  const text = value instanceof JsonNumber ? value.text : stringifyJson(replaceNonFinite(value));
  const bare = text.replace(jwt, "<jwt>");
  return bare.length > shownMax ? `${bare.slice(0, shownMax)}… (${bare.length} characters)` : bare;
}

/** Replaces NaN and infinite numbers, which JSON cannot express, by strings. */
function replaceNonFinite(value: Json): Json {
  if (value instanceof JsonNumber) return value.isFinite ? value : value.text;
  if (Array.isArray(value)) return value.map(replaceNonFinite);
  return value instanceof Map
    ? new Map([...value].map(([key, item]) => [key, replaceNonFinite(item)]))
    : value;
}

const typeOf = (value: Json): string =>
  value === null
    ? "null"
    : value instanceof JsonNumber
    ? "number"
    : Array.isArray(value)
    ? "list"
    : value instanceof Map
    ? "object"
    : typeof value;

const escapeKey = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

class Comparer {
  readonly differences: Difference[] = [];
  readonly masked: string[] = [];

  constructor(readonly noise: Noise) {}

  add(kind: Kind, path: string, old: string, now: string): void {
    if (this.differences.length < differencesMax) this.differences.push({ kind, path, old, new: now });
  }

  compare(path: string, old: Json, now: Json): void {
    if (old instanceof Map && now instanceof Map) return this.#objects(path, old, now);
    if (Array.isArray(old) && Array.isArray(now)) {
      // With different lengths, most items would differ as well.
      if (old.length !== now.length) {
        return this.add("length", path, counted(old.length, "item"), counted(now.length, "item"));
      }
      return old.forEach((item, index) => this.compare(`${path}/${index}`, item, now[index]!));
    }
    const isSame = old instanceof JsonNumber && now instanceof JsonNumber
      ? old.text === now.text
      : old === now;
    if (isSame) return;
    const noise = this.noise(path, old, now);
    if (noise !== undefined) {
      this.masked.push(noise);
      return;
    }
    const isNumber = old instanceof JsonNumber && now instanceof JsonNumber;
    const kind = typeOf(old) !== typeOf(now)
      ? "type"
      : isNumber && old.value === now.value
      ? "number form"
      : "value";
    this.add(kind, path, show(old), show(now));
  }

  #objects(path: string, old: JsonObject, now: JsonObject): void {
    for (const [key, value] of old) {
      const at = `${path}/${escapeKey(key)}`;
      const other = now.get(key);
      if (other === undefined) this.add("field missing", at, show(value), "(absent)");
      else this.compare(at, value, other);
    }
    for (const [key, value] of now) {
      if (!old.has(key)) this.add("field extra", `${path}/${escapeKey(key)}`, "(absent)", show(value));
    }
    const oldOrder = [...old.keys()].filter((key) => now.has(key));
    const newOrder = [...now.keys()].filter((key) => old.has(key));
    if (oldOrder.some((key, index) => key !== newOrder[index])) {
      this.add("field order", path, show(oldOrder), show(newOrder));
    }
  }
}

/** Returns a header in a normal form. */
function headerValue(answer: Answer, name: string, origin: string): string | undefined {
  const value = answer.headers.get(name);
  if (value === undefined) return undefined;
  if (name === "location") return value.startsWith(origin) ? value.slice(origin.length) : value;
  if (name !== "vary") return value;
  const names = value.toLowerCase().split(",").map((part) => part.trim())
    .filter((part) => part !== "" && part !== "accept-encoding");
  return names.length === 0 ? undefined : names.sort().join(", ");
}

/**
 * Lists the differences between two answers that `noise` does not explain. A different status is reported alone, since
 * the bodies are not comparable.
 *
 * @param origins origins of the old and the new backend, which are removed from Location headers
 */
export function compareAnswers(
  old: Answer,
  now: Answer,
  noise: Noise,
  origins: [old: string, now: string],
): Comparison {
  const comparer = new Comparer(noise);
  if (old.status !== now.status) {
    comparer.add("status", "", summary(old), summary(now));
    return comparer;
  }
  for (const name of headersCompared) {
    const was = headerValue(old, name, origins[0]);
    const is = headerValue(now, name, origins[1]);
    if (was !== is) comparer.add("header", name, was ?? "(absent)", is ?? "(absent)");
  }
  const was = old.body;
  const is = now.body;
  if (was && is && "json" in was && "json" in is) comparer.compare("", was.json, is.json);
  else {
    const oldText = textOf(was);
    const newText = textOf(is);
    const masked = oldText === newText ? undefined : noise("", oldText, newText);
    if (masked !== undefined) comparer.masked.push(masked);
    else if (oldText !== newText) comparer.add("body form", "", show(oldText), show(newText));
  }
  return comparer;
}

const textOf = (body: Answer["body"]): string =>
  body === undefined ? "" : "text" in body ? body.text : stringifyJson(replaceNonFinite(body.json));

function summary(answer: Answer): string {
  const text = textOf(answer.body).replace(jwt, "<jwt>");
  return `${answer.status}${text ? ` ${text.length > shownMax ? `${text.slice(0, shownMax)}…` : text}` : ""}`;
}

/** Returns a path with every list index replaced by `*`, for grouping differences. */
export const groupPath = (path: string): string => path.replace(/\/[\d,]+(?=\/|$)/g, "/*");
