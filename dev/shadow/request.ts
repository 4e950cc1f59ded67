/** Requests: their parts, placeholders, routes, and their form as a curl command. */
import { hasDotSegments, unquote } from "./paths.ts";

/** A request. */
export interface Step {
  method: string;
  /** Percent-encoded path without the query. `${name}` stands for a value that each backend returned. */
  path: string;
  /** Parts of the query, `name=value`, percent-encoded. */
  query: string[];
  headers: [name: string, value: string][];
  /** Body: text with placeholders, sent as UTF-8, or bytes. */
  body: string | Uint8Array<ArrayBuffer> | null;
  /** Values to save from the answer: name → JSON pointer. */
  save?: Record<string, string>;
  /** Noise declared for this request: `/pointer=<form>`. */
  masks?: string[];
  /** Name of the recorded request. */
  name?: string;
}

/** Saved values of one backend by name, such as tokens and ids. */
export type Variables = Map<string, string>;

const placeholder = /\$\{([^}]+)\}/g;

/** Lists the names of the placeholders in a request. */
export function namesIn(step: Step): string[] {
  const texts = [step.path, ...step.query, ...step.headers.map(([, value]) => value)];
  if (typeof step.body === "string") texts.push(step.body);
  return texts.flatMap((text) => [...text.matchAll(placeholder)].map(([, name]) => name!));
}

/** Replaces placeholders by the values of a backend. Unknown names stay unchanged. */
export function fill(text: string, variables: Variables): string {
  return text.replace(placeholder, (whole, name: string) => variables.get(name) ?? whole);
}

/** Returns path and query. */
export const targetOf = ({ path, query }: Step): string =>
  path + (query.length > 0 ? `?${query.join("&")}` : "");

const routes: [RegExp, string][] = [
  [/^\/api\/v1\/auth\/login$/, "/api/v1/auth/login"],
  [/^\/api\/v1\/users$/, "/api/v1/users/"],
  [/^\/api\/v1\/users\/me$/, "/api/v1/users/me"],
  [/^\/api\/v1\/users\/[^/]+$/, "/api/v1/users/{id}"],
  [/^\/api\/v1\/tasks$/, "/api/v1/tasks"],
  [/^\/api\/v1\/tasks\/[^/]+$/, "/api/v1/tasks/{id}"],
  [/^\/api\/v1\/tasks\/[^/]+\/(matrix|cancel)$/, "/api/v1/tasks/{id}/$1"],
  [/^\/(health|docs|redoc|openapi\.json)$/, "/$1"],
];

/**
 * Returns the route of a request, regardless of its ids and trailing slash.
 *
 * @example
 * ```ts
 * import { routeOf } from "./request.ts";
 * const step = { method: "GET", path: "/api/v1/tasks/7/matrix/", query: [], headers: [], body: null };
 * if (routeOf(step) !== "GET /api/v1/tasks/{id}/matrix") throw new Error(routeOf(step));
 * ```
 */
export function routeOf({ method, path }: Step): string {
  // Both backends decode a path before they search its route. An encoded slash inside an id stays a part of it.
  for (const text of [path, unquote(path)]) {
    const bare = text.replace(/\/+$/, "");
    for (const [pattern, template] of routes) {
      if (pattern.test(bare)) return `${method} ${bare.replace(pattern, template)}`;
    }
  }
  return `${method} (no route)`;
}

/** Returns the value of a header. @param name in lower case */
export const headerOf = (step: Step, name: string): string | undefined =>
  step.headers.find(([known]) => known.toLowerCase() === name)?.[1];

const encoder = new TextEncoder();

/** Returns the body as bytes with its placeholders replaced. */
export function bodyBytes(body: Step["body"], variables: Variables): Uint8Array<ArrayBuffer> | null {
  return typeof body === "string" ? encoder.encode(fill(body, variables)) : body;
}

function quoteBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += byte === 39 || byte === 92
      ? `\\${String.fromCharCode(byte)}`
      : byte >= 32 && byte < 127
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `$'${text}'`;
}

/** Quotes a word for a POSIX shell. Words with `${name}` get double quotes, so that the shell replaces the variable. */
function quoteWord(text: string): string {
  // deno-lint-ignore no-control-regex -- plain quotes would not show them
  if (/[\x00-\x1f\x7f]/.test(text)) return quoteBytes(encoder.encode(text));
  if (/\$\{\w+\}/.test(text)) return `"${text.replace(/[\\"`]|\$(?!\{\w+\})/g, "\\$&")}"`;
  return /^[\w@%+=:,./?&-]+$/.test(text) && !/[&?]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Returns the request as a curl command. Secrets stay `${token}` and `${password}`. */
export function toCurl(step: Step, origin: string): string {
  const words = ["curl", "-i"];
  if (hasDotSegments(step.path)) words.push("--path-as-is");
  if (step.method === "HEAD") words.push("-I");
  else if (step.method !== "GET") words.push("-X", step.method);
  for (const [name, value] of step.headers) {
    words.push("-H", quoteWord(value === "" ? `${name};` : `${name}: ${value}`));
  }
  if (step.body !== null) {
    const body = typeof step.body === "string" ? quoteWord(step.body) : quoteBytes(step.body);
    if (headerOf(step, "content-type") === undefined) words.push("-H", "'Content-Type:'");
    words.push("--data-binary", body === "" ? "''" : body);
  }
  words.push(quoteWord(origin + targetOf(step)));
  return words.join(" ");
}
