/** Results of a verification, for one range and for the whole source. */
import { toStorable } from "../documents/ejson_write.ts";
import type { Mismatch } from "./mismatch.ts";

export interface Verdict {
  fingerprint: string;
  verdict: "equal" | "different";
  documents: number;
  /** Number of compared rows. */
  rows: number;
  quarantined: number;
  differences: number;
  /** The first thousand differences. */
  mismatches: Mismatch[];
  /** Ranges that an earlier run had compared, out of how many, and when that run began; null for a single run. */
  resumed: { ranges: number; of: number; since: string } | null;
}

/** Maximum number of differences that a verification keeps. Further ones are only counted. */
export const mismatchesMax = 1000;

/** Counts, and the first differences. */
export class Comparison {
  documents = 0;
  /** Number of compared rows. */
  rows = 0;
  quarantined = 0;
  differences = 0;
  readonly mismatches: Mismatch[] = [];

  /** Counts a difference, and keeps it in a form that the table `migration.differences` accepts. */
  addMismatch(mismatch: Mismatch): void {
    this.differences++;
    if (this.mismatches.length >= mismatchesMax) return;
    const { document_id, path, source_value, row_value } = mismatch;
    this.mismatches.push({
      ...mismatch,
      document_id: toStorable(document_id),
      path: toStorable(path),
      source_value: source_value && toStorable(source_value),
      row_value: row_value && toStorable(row_value),
    });
  }

  /** Adds the counts and differences of another comparison. */
  add({ documents, rows, quarantined, differences, mismatches }: Comparison): void {
    this.documents += documents;
    this.rows += rows;
    this.quarantined += quarantined;
    this.differences += differences;
    this.mismatches.push(...mismatches.slice(0, mismatchesMax - this.mismatches.length));
  }
}
