/** Which addresses are out in the world, and which are somebody's own network: pure. */

const v4Inside: [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];

/** Within 2000::/3, outside of which nothing is public: tunnels that carry other addresses, and examples. */
const v6Inside: [string, number][] = [["2001::", 23], ["2001:db8::", 32], ["2002::", 16], ["3fff::", 20]];

const v4Form = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const readV4 = (text: string): bigint => text.split(".").reduce((all, part) => all * 256n + BigInt(part), 0n);

function readV6(text: string): bigint {
  const whole = text.replace(/(?:\d{1,3}\.){3}\d{1,3}$/, (v4) => {
    const hex = readV4(v4).toString(16).padStart(8, "0");
    return `${hex.slice(0, 4)}:${hex.slice(4)}`;
  });
  const [before = "", after] = whole.split("::");
  const parts = (side: string) => side === "" ? [] : side.split(":");
  const left = parts(before);
  const right = parts(after ?? "");
  const zeros = after === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array(Math.max(0, zeros)).fill("0"), ...right]
    .reduce((all, part) => (all << 16n) + BigInt(`0x${part}`), 0n);
}

const isIn = (address: bigint, network: bigint, length: number, bits: number): boolean =>
  address >> BigInt(bits - length) === network >> BigInt(bits - length);

/**
 * Whether an address is one that anybody could reach.
 *
 * @example
 * ```ts
 * import { isPublicAddress } from "./webhooks_address.ts";
 * if (!isPublicAddress("93.184.216.34") || isPublicAddress("::ffff:127.0.0.1")) throw new Error();
 * ```
 */
export function isPublicAddress(text: string): boolean {
  if (v4Form.test(text)) {
    const address = readV4(text);
    return !v4Inside.some(([network, length]) => isIn(address, readV4(network), length, 32));
  }
  if (!/^[0-9a-f:.]+$/i.test(text) || !text.includes(":")) return false;
  const address = readV6(text);
  return isIn(address, readV6("2000::"), 3, 128) &&
    !v6Inside.some(([network, length]) => isIn(address, readV6(network), length, 128));
}
