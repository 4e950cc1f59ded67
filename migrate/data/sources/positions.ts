/**
 * Positions in a change stream. A position is a cluster time as one number: seconds * 2^32 + increment. A resume token
 * is a document of the server, kept as Extended JSON.
 */
import type { Timestamp } from "bson";

const incrementBits = 32n;

/** Returns the cluster time of a BSON timestamp. */
export const toPosition = ({ t, i }: Pick<Timestamp, "t" | "i">): bigint =>
  (BigInt(t) << incrementBits) | BigInt(i);

/** Returns the seconds and the increment of a cluster time. */
export const fromPosition = (position: bigint): { t: number; i: number } => ({
  t: Number(position >> incrementBits),
  i: Number(position & 0xffffffffn),
});

/** Returns the time of a position in milliseconds since 1970, in whole seconds. */
export const positionMs = (position: bigint): number => fromPosition(position).t * 1000;

// A token is a key of the oplog in hex: the type of a timestamp, then its seconds and its increment.
const tokenTime = /^82([0-9A-F]{16})/i;

/**
 * Returns the cluster time in a resume token.
 *
 * @example
 * ```ts
 * import { tokenPosition } from "./positions.ts";
 * if (tokenPosition("826B0ACF860000001529") !== 0x6B0ACF8600000015n) throw new Error("time");
 * ```
 */
export function tokenPosition(data: string): bigint | undefined {
  const hex = tokenTime.exec(data)?.[1];
  return hex === undefined ? undefined : BigInt(`0x${hex}`);
}
