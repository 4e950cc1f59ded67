/** Who a request comes from, for the throttle and nothing else. */

/**
 * The client's address: that of the connection, or what the outermost trusted proxy says of its own.
 *
 * @param remote address of the connection
 * @param trustedProxies proxies in front; each adds one entry at the end of X-Forwarded-For, earlier ones are
 *   whatever the client wrote
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
