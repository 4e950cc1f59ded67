const encoder = new TextEncoder();

/** Returns the number of `count` hex digits, modulo 2 ** 32. */
function digits(bytes: Uint8Array, at: number, count: number): number {
  let number = 0;
  for (let i = at; i < at + count; i++) {
    const code = bytes[i]!;
    number = number << 4 | (code <= 0x39 ? code - 0x30 : code - 0x57);
  }
  return number;
}

/** A Bloom filter for uuids with about two bytes an id. */
export class Bloom {
  readonly #bits: Uint32Array;
  readonly #mask: number;
  readonly #uuid = new Uint8Array(36);

  /** @param ids approximate number of ids that will be added */
  constructor(ids: number) {
    const bits = 2 ** Math.min(32, Math.ceil(Math.log2(Math.max(ids, 1024) * 16)));
    this.#bits = new Uint32Array(bits / 32);
    this.#mask = bits / 32 - 1;
  }

  /** Adds an id. Returns false when it was certainly not there before, and true when it may have been. */
  add(uuid: string): boolean {
    encoder.encodeInto(uuid, this.#uuid);
    return this.addBytes(this.#uuid, 0);
  }

  /** Adds the id whose ASCII text starts at the offset `at`. */
  addBytes(bytes: Uint8Array, at: number): boolean {
    // The digits of a uuid serve as its hashes. The version and the variant digit are left out.
    const first = digits(bytes, at, 8);
    const second = digits(bytes, at + 9, 4) << 16 | digits(bytes, at + 24, 4);
    const third = digits(bytes, at + 28, 8);
    const fourth = digits(bytes, at + 20, 3) << 12 | digits(bytes, at + 15, 3);
    let mayExist = this.#set(first);
    mayExist = this.#set(second) && mayExist;
    mayExist = this.#set(third) && mayExist;
    return this.#set(fourth) && mayExist;
  }

  /** Sets the bit of a hash. Returns whether it was set before. */
  #set(part: number): boolean {
    const hash = Math.imul(part, 0x9e3779b1) >>> 0;
    const word = (hash >>> 5) & this.#mask;
    const bit = 1 << (hash & 31);
    if ((this.#bits[word]! & bit) !== 0) return true;
    this.#bits[word]! |= bit;
    return false;
  }
}
