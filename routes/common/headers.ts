/** Reads headers as the old backend did. */

/**
 * Returns the first of several `Authorization` headers, like Starlette.
 *
 * Deno joins repeated headers with a comma and a space. A first part without credentials is not split off: it is one
 * header whose scheme is malformed.
 *
 * @example
 * ```ts
 * import { firstAuthorization } from "./headers.ts";
 * const headers = new Headers([["authorization", "Bearer a"], ["authorization", "Bearer b"]]);
 * if (firstAuthorization(headers) !== "Bearer a") throw new Error("not the first");
 * ```
 */
export function firstAuthorization(headers: Headers): string | undefined {
  const value = headers.get("authorization") ?? undefined;
  const [first = ""] = value?.split(", ", 1) ?? [];
  return first.includes(" ") ? first : value;
}
