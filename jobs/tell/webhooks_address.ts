/** Which IP addresses are public: pure. */
import ipaddr from "ipaddr.js";

/**
 * The only IPv6 range that is assigned to public unicast. `ipaddr.js` calls unassigned ranges unicast too.
 */
const assignedV6 = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * Reports whether `text` is a public unicast address. IPv6 addresses that carry an IPv4 address (mapped,
 * 6to4, NAT64, Teredo) are not, whatever they carry.
 *
 * @param text IPv4 in four decimal parts, or IPv6 without a zone
 *
 * @example
 * ```ts
 * import { isPublicAddress } from "./webhooks_address.ts";
 * if (!isPublicAddress("93.184.216.34") || isPublicAddress("::ffff:127.0.0.1")) throw new Error();
 * ```
 */
export function isPublicAddress(text: string): boolean {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).range() === "unicast";
  if (!ipaddr.IPv6.isValid(text) || text.includes("%")) return false;
  const address = ipaddr.IPv6.parse(text);
  return address.range() === "unicast" && address.match(assignedV6);
}
