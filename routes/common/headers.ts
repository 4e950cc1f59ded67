/** Reads headers as the old backend did. */

/**
 * Returns the value of the first header with a name, like Starlette. Deno joins repeated headers with a comma and a
 * space, so this is only for headers whose value cannot contain these, such as `Authorization` with a bearer token.
 *
 * @example
 * ```ts
 * import { firstHeader } from "./headers.ts";
 * const headers = new Headers([["authorization", "Bearer a"], ["authorization", "Bearer b"]]);
 * if (firstHeader(headers, "authorization") !== "Bearer a") throw new Error("not the first");
 * ```
 */
export function firstHeader(headers: Headers, name: string): string | undefined {
  const [first] = headers.get(name)?.split(", ", 1) ?? [];
  return first;
}
