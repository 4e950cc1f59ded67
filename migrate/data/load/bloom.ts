/** A Bloom filter for uuids with about two bytes an id. */
export class Bloom {
  readonly #bits: Uint32Array;
  readonly #mask: number;

  /** @param ids approximate number of ids that will be added */
  constructor(ids: number) {
    const bits = 2 ** Math.min(32, Math.ceil(Math.log2(Math.max(ids, 1024) * 16)));
    this.#bits = new Uint32Array(bits / 32);
    this.#mask = bits / 32 - 1;
  }

  /** Adds an id. Returns false when it was certainly not there before, and true when it may have been. */
  add(uuid: string): boolean {
    let mayExist = true;
    // The digits of a uuid serve as its hashes. The version and the variant digit are left out.
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
        mayExist = false;
        this.#bits[word]! |= bit;
      }
    }
    return mayExist;
  }
}
