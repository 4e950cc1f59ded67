/** Reads headers as the old backend did, and adds those that keep browsers from showing data as pages. */

const protective: [name: string, value: string][] = [
  [
    "content-security-policy",
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
];

/**
 * Adds the headers that permit a browser nothing with a response: no script, no frame, no guess at its type. A page
 * has a policy of its own, which stays.
 */
export function addProtection(headers: Headers): void {
  for (const [name, value] of protective) if (!headers.has(name)) headers.set(name, value);
}

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
