/** A Bloom filter over uuids: says «surely new» or «perhaps seen», in two bytes an id. */
export class Bloom {
  readonly #bits: Uint32Array;
  readonly #mask: number;

  /** @param ids about as many will be added */
  constructor(ids: number) {
    const bits = 2 ** Math.min(32, Math.ceil(Math.log2(Math.max(ids, 1024) * 16)));
    this.#bits = new Uint32Array(bits / 32);
    this.#mask = bits / 32 - 1;
  }

  /** Adds an id; true when it may have been there before. */
  add(uuid: string): boolean {
    let seen = true;
    // A uuid's own digits are the hash; the two of a version and a variant are left out.
    const parts = [
      uuid.slice(0, 8),
      uuid.slice(9, 13) + uuid.slice(24, 28),
      uuid.slice(28, 36),
      uuid.slice(20, 23) + uuid.slice(15, 18),
    ];
    for (const part of parts) {
      const hash = Math.imul(parseInt(part, 16), 0x9e3779b1) >>> 0;
      const word = (hash >>> 5) & this.#mask;
      const bit = 1 << (hash & 31);
      if ((this.#bits[word]! & bit) === 0) {
        seen = false;
        this.#bits[word]! |= bit;
      }
    }
    return seen;
  }
}
