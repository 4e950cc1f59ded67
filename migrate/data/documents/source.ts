/** The interface of a source: three collections, which are surveyed completely before anything is written. */
import type { BsonDocument } from "./tree.ts";

/** The collections in load order, parents first. */
export const collections = ["users", "tasks", "dramatiq_tasks"] as const;
export type Collection = (typeof collections)[number];

/** Documents that are loaded in one transaction. The bounds are texts that only the source interprets. */
export interface Range {
  collection: Collection;
  number: number;
  lower: string;
  upper: string;
  /** Position of the first document, at least 1. */
  firstPosition: number;
  documents: number;
  bytes: number;
}

/** Returns the total of a field over all ranges. */
export const sumOf = (ranges: readonly Range[], field: "bytes" | "documents"): number =>
  ranges.reduce((sum, range) => sum + range[field], 0);

/** JSON text in a buffer, as UTF-8. */
export interface JsonSpan {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** A document in the form of its source. */
export interface RawDocument {
  /** Unique in its collection, and stable over all readings: a line number or a sequence number. */
  position: number;
  /** Whether the source has the document as BSON. */
  isBson: boolean;
  /**
   * Returns JSON text for the fast path, which the text need not suit; undefined where there is none. The text is valid
   * until the next call for any document.
   */
  json(): JsonSpan | undefined;
  /**
   * Parses the document.
   *
   * @throws TooDeepError
   */
  read(): BsonDocument;
  /** Returns the bytes of the source. */
  original(): Uint8Array;
}

export interface Survey {
  ranges: Range[];
  documents: number;
  bytes: number;
}

export interface SurveyOptions {
  /** Approximate bytes of source in one range. */
  rangeBytes: number;
  /** Receives each document in order. */
  onDocument?: (raw: RawDocument) => void;
  /** Receives the number of bytes read since the last call. */
  onBytes?: (bytes: number) => void;
}

/** An export, a dump or a running MongoDB. The function that opened it must dispose of it. */
export interface Source extends AsyncDisposable {
  /** Kind of the source, such as `mongoexport`. */
  kind: string;
  /** Path or URL without password, for messages and the ledger. */
  location: string;
  /** Hints for the operator before the load. */
  readonly notes: readonly string[];
  /** Approximate bytes of all collections, for progress. */
  bytes: number;
  /**
   * Reads a whole collection, checks that each document can be parsed, and divides it into ranges.
   *
   * @throws AppError invalid_source, source_truncated
   */
  survey(collection: Collection, options: SurveyOptions): Promise<Survey>;
  /** Returns a digest of the content. All collections must be surveyed. */
  fingerprint(): string;
  /**
   * Reads the documents of a range.
   *
   * @throws AppError source_changed when the content differs from the survey
   */
  read(range: Range): Promise<Iterable<RawDocument>>;
}
