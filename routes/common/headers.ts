/** Reads headers as the old backend did. */

/** Deno joins repeated headers with a comma and a space. Another value of `Authorization` starts with its scheme. */
const nextAuthorization = /, (?=[A-Za-z]+ \S)/;

/**
 * Returns the first of several `Authorization` headers, like Starlette.
 *
 * @example
 * ```ts
 * import { firstAuthorization } from "./headers.ts";
 * const headers = new Headers([["authorization", "Bearer a"], ["authorization", "Bearer b"]]);
 * if (firstAuthorization(headers) !== "Bearer a") throw new Error("not the first");
 * ```
 */
export const firstAuthorization = (headers: Headers): string | undefined =>
  headers.get("authorization")?.split(nextAuthorization, 1)[0];
