/** Requests: their parts, and the routes that they are for. */
import { unquote } from "./paths.ts";

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
