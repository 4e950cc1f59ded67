/** What a verification finds, of one range and of all. */
import { storable } from "../ledger/ledger.ts";
import type { Mismatch } from "./mismatch.ts";

export interface Verdict {
  fingerprint: string;
  verdict: "equal" | "different";
  documents: number;
  /** Rows compared. */
  rows: number;
  quarantined: number;
  differences: number;
  /** The first thousand. */
  mismatches: Mismatch[];
  /** Where it went on: ranges that an earlier run had compared, of how many, and when that began. */
  resumed: { ranges: number; of: number; since: string } | null;
}

/** Told of one verification. */
export const mismatchesMax = 1000;

/** Counts, and the first of the differences. */
export class Findings {
  documents = 0;
  /** Rows compared. */
  rows = 0;
  quarantined = 0;
  differences = 0;
  readonly mismatches: Mismatch[] = [];

  /** Counts a difference, and keeps it as the table of differences takes it. */
  note(mismatch: Mismatch): void {
    this.differences++;
    if (this.mismatches.length >= mismatchesMax) return;
    const { document_id, path, source_value, row_value } = mismatch;
    this.mismatches.push({
      ...mismatch,
      document_id: storable(document_id),
      path: storable(path),
      source_value: source_value && storable(source_value),
      row_value: row_value && storable(row_value),
    });
  }

  /** Takes over what was found of another part. */
  add({ documents, rows, quarantined, differences, mismatches }: Findings): void {
    this.documents += documents;
    this.rows += rows;
    this.quarantined += quarantined;
    this.differences += differences;
    this.mismatches.push(...mismatches.slice(0, mismatchesMax - this.mismatches.length));
  }
}
