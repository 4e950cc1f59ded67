/** Counters of an assessment: documents that rules affect, and duplicate keys. */
import { createHash } from "node:crypto";

/** Number of documents of a collection that one rule or reason affects, with a few ids. */
export interface AffectedDocuments {
  collection: string;
  /** Rule of an adjustment, or reason of the quarantine. */
  name: string;
  path: string;
  documents: number;
  samples: string[];
}

const samplesMax = 5;

/** Counts affected documents by collection, name and path. */
export class AffectedCounter {
  readonly #counts = new Map<string, AffectedDocuments>();

  /** Counts one document. @param id returns its id, if it is known */
  add(collection: string, name: string, path: string, id?: () => string): void {
    const key = JSON.stringify([collection, name, path]);
    const count = this.#counts.get(key) ?? { collection, name, path, documents: 0, samples: [] };
    this.#counts.set(key, count);
    count.documents++;
    if (id && count.samples.length < samplesMax) count.samples.push(id());
  }

  /** Lists the counts, the largest first. */
  list(): AffectedDocuments[] {
    const sortKey = ({ collection, name, path }: AffectedDocuments) => `${collection} ${name} ${path}`;
    return [...this.#counts.values()].sort((a, b) =>
      b.documents - a.documents || (sortKey(a) < sortKey(b) ? -1 : 1)
    );
  }
}

/** Counts duplicate keys. Keeps 52 bits of a digest of each key in eight bytes. */
export class DuplicateCounter {
  #digests = new Float64Array(1024);
  #length = 0;

  add(key: string): void {
    if (this.#length === this.#digests.length) {
      const larger = new Float64Array(this.#length * 2);
      larger.set(this.#digests);
      this.#digests = larger;
    }
    const digest = createHash("sha1").update(key).digest();
    this.#digests[this.#length] = digest.readUIntBE(0, 6) * 16 + (digest[6]! & 15);
    this.#length++;
  }

  /** Returns the number of keys that equal an earlier key. */
  count(): number {
    const sorted = this.#digests.subarray(0, this.#length).sort();
    let duplicates = 0;
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) duplicates++;
    return duplicates;
  }
}
