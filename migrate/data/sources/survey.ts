/** Ranges, sizes and digests that every kind of source collects during its survey. */
import { createHash } from "node:crypto";
import { type Collection, collections, type Range, type Survey } from "../documents/source.ts";

/** Digests and sizes of the surveyed collections. */
export class SurveyedCollections {
  readonly #digests = new Map<Collection, string>();
  readonly #sizes = new Map<Collection, number>();

  /** Bytes of all collections, or undefined until all are surveyed. */
  get bytes(): number | undefined {
    if (this.#sizes.size < collections.length) return undefined;
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** Returns the bytes of a collection, or undefined until it is surveyed. */
  sizeOf(collection: Collection): number | undefined {
    return this.#sizes.get(collection);
  }

  add(collection: Collection, digest: string, bytes: number): void {
    this.#digests.set(collection, digest);
    this.#sizes.set(collection, bytes);
  }

  /**
   * Returns the fingerprint of the source.
   *
   * @param marks distinguish sources with the same content
   */
  fingerprint(...marks: string[]): string {
    const parts = collections.map((name) => `${name}:${this.#digests.get(name) ?? ""}`);
    return createHash("sha256").update([...marks, ...parts].join("\n")).digest("hex");
  }
}

/** Builds the survey of a collection whose ranges are bounded by byte offsets of its file. */
export class SurveyBuilder {
  readonly #ranges: Range[] = [];
  readonly #hash = createHash("sha256");
  documents = 0;
  #bytes = 0;

  constructor(readonly collection: Collection, readonly surveyed: SurveyedCollections) {}

  /** Adds a range of whole documents, which starts at byte `start`. */
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
    this.surveyed.add(this.collection, this.#hash.digest("hex"), this.#bytes);
    return { ranges: this.#ranges, documents: this.documents, bytes: this.#bytes };
  }
}
