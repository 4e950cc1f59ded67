/** What a migration reads from: three collections, surveyed whole before anything is written. */
import type { BsonDocument } from "./tree.ts";

/** In the order they are loaded: parents first. */
export const collections = ["users", "tasks", "dramatiq_tasks"] as const;
export type Collection = (typeof collections)[number];

/** What one transaction carries: bounds as the source cuts them, both as text. */
export interface Range {
  collection: Collection;
  number: number;
  lower: string;
  upper: string;
  /** Position of the first document, from 1. */
  firstPosition: number;
  documents: number;
  bytes: number;
}

export const sumOf = (ranges: readonly Range[], what: "bytes" | "documents"): number =>
  ranges.reduce((sum, range) => sum + range[what], 0);

/** One document as it came. */
export interface RawDocument {
  /** Unique in its collection and the same in each reading: a line number, or a running number. */
  position: number;
  /** The line it was, where the source has lines; the fast way reads it without a tree. */
  line: string | undefined;
  /** @throws TooDeepError */
  read(): BsonDocument;
  /** The bytes it came as. */
  original(): Uint8Array;
}

export interface Survey {
  ranges: Range[];
  documents: number;
  bytes: number;
}

export interface SurveyOptions {
  /** Bytes of source in one range, about. */
  rangeBytes: number;
  /** Called for each document, in order. */
  onDocument?: (raw: RawDocument) => void;
  /** Called with bytes read since the last call. */
  onBytes?: (bytes: number) => void;
}

/** An export, a dump or a live MongoDB; closed by whoever opened it. */
export interface Source extends AsyncDisposable {
  /** `mongoexport`, … */
  kind: string;
  /** For messages and the ledger; never holds a password. */
  location: string;
  /** What a person should know of it before it is loaded. */
  readonly notes: readonly string[];
  /** Bytes of all collections, for progress. */
  bytes: number;
  /**
   * Reads a collection to its end and checks that each document can be read.
   *
   * @throws AppError invalid_source, source_truncated
   */
  survey(collection: Collection, options: SurveyOptions): Promise<Survey>;
  /** Digest of the content, after every collection was surveyed. */
  fingerprint(): string;
  /** @throws AppError source_changed when the source is not what was surveyed */
  read(range: Range): Promise<Iterable<RawDocument>>;
}
