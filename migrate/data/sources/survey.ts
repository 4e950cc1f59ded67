/** What every kind of source keeps while it is surveyed: ranges in order, sums, and the digest of what was read. */
import { createHash } from "node:crypto";
import { type Collection, collections, type Range, type Survey } from "../documents/source.ts";

/** Digests and sizes of the collections that were surveyed. */
export class Surveyed {
  readonly #digests = new Map<Collection, string>();
  readonly #sizes = new Map<Collection, number>();

  /** Bytes of all collections; undefined until the last was surveyed. */
  get bytes(): number | undefined {
    if (this.#sizes.size < collections.length) return undefined;
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** Undefined until it was surveyed. */
  sizeOf(collection: Collection): number | undefined {
    return this.#sizes.get(collection);
  }

  keep(collection: Collection, digest: string, bytes: number): void {
    this.#digests.set(collection, digest);
    this.#sizes.set(collection, bytes);
  }

  /** @param marks what parts sources whose content is the same */
  fingerprint(...marks: string[]): string {
    const parts = collections.map((name) => `${name}:${this.#digests.get(name) ?? ""}`);
    return createHash("sha256").update([...marks, ...parts].join("\n")).digest("hex");
  }
}

/** The survey of one collection that is cut by bytes of its file. */
export class SurveyBuilder {
  readonly #ranges: Range[] = [];
  readonly #hash = createHash("sha256");
  documents = 0;
  #bytes = 0;

  constructor(readonly collection: Collection, readonly surveyed: Surveyed) {}

  /** Adds whole documents, which stand at `start`. */
  add(start: number, content: Uint8Array, documents: number, firstPosition = this.documents + 1): void {
    this.#hash.update(content);
    this.#ranges.push({
      collection: this.collection,
      number: this.#ranges.length + 1,
      lower: String(start),
      upper: String(start + content.length),
      firstPosition,
      documents,
      bytes: content.length,
    });
    this.documents += documents;
    this.#bytes += content.length;
  }

  finish(): Survey {
    this.surveyed.keep(this.collection, this.#hash.digest("hex"), this.#bytes);
    return { ranges: this.#ranges, documents: this.documents, bytes: this.#bytes };
  }
}
