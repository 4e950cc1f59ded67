/** CRC-64/XZ, the checksum in the archives of mongodump. */

const polyHigh = 0xc96c5795;
const polyLow = 0xd7870f42;
const high = new Uint32Array(256);
const low = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let h = 0;
  let l = byte;
  for (let bit = 0; bit < 8; bit++) {
    const carry = l & 1;
    l = (l >>> 1 | h << 31) >>> 0;
    h = h >>> 1;
    if (carry) {
      h = (h ^ polyHigh) >>> 0;
      l = (l ^ polyLow) >>> 0;
    }
  }
  high[byte] = h;
  low[byte] = l;
}

/**
 * A running checksum.
 *
 * @example
 * ```ts
 * import { Crc64 } from "./crc64.ts";
 * const crc = new Crc64();
 * crc.update(new TextEncoder().encode("123456789"));
 * if (crc.value() !== 0x995dc9bbdf1939fan) throw new Error("not the check value of CRC-64/XZ");
 * ```
 */
export class Crc64 {
  #high = 0xffffffff;
  #low = 0xffffffff;

  update(bytes: Uint8Array): void {
    let h = this.#high;
    let l = this.#low;
    for (let i = 0; i < bytes.length; i++) {
      const index = (l ^ bytes[i]!) & 0xff;
      l = (l >>> 8 | h << 24) ^ low[index]!;
      h = h >>> 8 ^ high[index]!;
    }
    this.#high = h;
    this.#low = l;
  }

  /** Returns the checksum as an unsigned 64-bit integer. */
  value(): bigint {
    return BigInt(~this.#high >>> 0) << 32n | BigInt(~this.#low >>> 0);
  }
}
