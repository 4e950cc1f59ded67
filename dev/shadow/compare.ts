/** Two answers held against each other: status, the headers a client can tell, and the body by JSON path. */
import { type Json, JsonNumber, type JsonObject, stringifyJson } from "../../json.ts";
import type { Answer } from "./side.ts";

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

export interface Difference {
  kind: Kind;
  /** JSON pointer into the body, the header's name, or empty for the status. */
  path: string;
  /** Shown to a person, cut and without tokens. */
  old: string;
  new: string;
}

/** Says the name of the noise that makes up for two unequal values, if any does. */
export type Noise = (path: string, old: Json, now: Json) => string | undefined;

export interface Comparison {
  differences: Difference[];
  /** Names of noise met, once a value. */
  masked: string[];
}

/** The headers that decide what a client does. */
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

/** Differences of one answer that are looked for; more would say nothing new. */
const differencesMax = 100;
const shownMax = 120;

const jwt = /eyJ[\w-]+\.[\w-]+\.[\w-]*/g;

/** A value for a report. */
export function show(value: Json | undefined): string {
  if (value === undefined) return "(absent)";
  const text = value instanceof JsonNumber ? value.text : stringifyJson(finite(value));
  const bare = text.replace(jwt, "<jwt>");
  return bare.length > shownMax ? `${bare.slice(0, shownMax)}… (${bare.length} characters)` : bare;
}

/** NaN and its like as text, which JSON cannot say. */
function finite(value: Json): Json {
  if (value instanceof JsonNumber) return value.isFinite ? value : value.text;
  if (Array.isArray(value)) return value.map(finite);
  return value instanceof Map ? new Map([...value].map(([key, item]) => [key, finite(item)])) : value;
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
      // Beyond a different length every place would differ as well.
      if (old.length !== now.length) {
        return this.add("length", path, `${old.length} items`, `${now.length} items`);
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

/** A header in the form in which two of them mean the same. */
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
 * Everything in which two answers differ, less what `noise` makes up for. Another status is reported alone:
 * the bodies of two statuses have nothing to compare.
 *
 * @param origins of the old and the new backend, cut off a Location
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
  body === undefined ? "" : "text" in body ? body.text : stringifyJson(finite(body.json));

function summary(answer: Answer): string {
  const text = textOf(answer.body).replace(jwt, "<jwt>");
  return `${answer.status}${text ? ` ${text.length > shownMax ? `${text.slice(0, shownMax)}…` : text}` : ""}`;
}

/** The path of a difference with every place in a list as `*`, by which differences are grouped. */
export const groupPath = (path: string): string => path.replace(/\/[\d,]+(?=\/|$)/g, "/*");
