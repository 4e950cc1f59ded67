/** The client's address, which limits count by and which the request log names. */
import ipaddr from "ipaddr.js";

/** An address with an optional port; one with a port has brackets if it is IPv6. */
const addressAndPort = /^(?:\[([^[\]]+)\]|([\d.]+))(?::\d{1,5})?$/;

function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const match = addressAndPort.exec(text);
  const [address] = (match?.[1] ?? match?.[2] ?? text).split("%");
  if (ipaddr.IPv4.isValidFourPartDecimal(address!)) return ipaddr.IPv4.parse(address!);
  if (!ipaddr.IPv6.isValid(address!)) return undefined;
  const parsed = ipaddr.IPv6.parse(address!);
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address() : parsed;
}

/**
 * Returns an address in its canonical form: without port, brackets and zone, in lower case, IPv6 compressed, and
 * an IPv4-mapped address as IPv4. Returns undefined for a text that is no address.
 *
 * @example
 * ```ts
 * import { normalizeAddress } from "./address.ts";
 * if (normalizeAddress("[2001:DB8:0::1]:443") !== "2001:db8::1") throw new Error("not canonical");
 * if (normalizeAddress("::ffff:203.0.113.7") !== "203.0.113.7") throw new Error("not IPv4");
 * ```
 */
export const normalizeAddress = (text: string): string | undefined => parseAddress(text)?.toString();

/**
 * Returns the client's address: the remote address of the connection, or the address that the outermost
 * trusted proxy reports. It is canonical. A report that is no address is ignored.
 *
 * @param remote remote address of the connection
 * @param trustedProxies number of proxies in front of the API; each appends one entry to X-Forwarded-For, and
 *   the client controls all entries before those
 *
 * @example
 * ```ts
 * import { clientAddress } from "./address.ts";
 * const headers = new Headers({ "x-forwarded-for": "forged, 203.0.113.9:5123, 10.0.0.2" });
 * if (clientAddress(headers, "10.0.0.1", 2) !== "203.0.113.9") throw new Error("not the client's");
 * ```
 */
export function clientAddress(headers: Headers, remote: string, trustedProxies: number): string {
  const own = normalizeAddress(remote) ?? remote;
  if (trustedProxies === 0) return own;
  const hops = (headers.get("x-forwarded-for") ?? "").split(",").map((hop) => hop.trim())
    .filter((hop) => hop !== "");
  const hop = hops.at(-Math.min(trustedProxies, hops.length)) ?? "";
  return normalizeAddress(hop) ?? own;
}

/** Length of the prefix that one IPv6 client usually has to itself. */
const clientPrefixBits = 64;

/**
 * Returns the network that limits count by: an IPv4 address itself, and the /64 of an IPv6 address, within which
 * a client chooses its address freely.
 *
 * @param address from {@link clientAddress}
 *
 * @example
 * ```ts
 * import { networkOf } from "./address.ts";
 * if (networkOf("2001:db8:1:2:3::4") !== "2001:db8:1:2::/64") throw new Error("not the network");
 * ```
 */
export function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  const prefix = `${address}/${clientPrefixBits}`;
  return `${ipaddr.IPv6.networkAddressFromCIDR(prefix)}/${clientPrefixBits}`;
}
