/** The client's address, which only the login throttle uses. */

/**
 * Returns the client's address: the remote address of the connection, or the address that the outermost
 * trusted proxy reports.
 *
 * @param remote remote address of the connection
 * @param trustedProxies number of proxies in front of the API; each appends one entry to X-Forwarded-For, and
 *   the client controls all entries before those
 *
 * @example
 * ```ts
 * import { clientAddress } from "./address.ts";
 * const headers = new Headers({ "x-forwarded-for": "forged, 203.0.113.9, 10.0.0.2" });
 * if (clientAddress(headers, "10.0.0.1", 2) !== "203.0.113.9") throw new Error("not the client's");
 * ```
 */
export function clientAddress(headers: Headers, remote: string, trustedProxies: number): string {
  if (trustedProxies === 0) return remote;
  const hops = (headers.get("x-forwarded-for") ?? "").split(",").map((hop) => hop.trim())
    .filter((hop) => hop !== "");
  return hops.at(-Math.min(trustedProxies, hops.length)) ?? remote;
}
