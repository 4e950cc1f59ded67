/** A source of BSON documents that stand one after the other: a collection's file, or its part of an archive. */
import { AppError } from "../../../errors.ts";
import { makeDocuments, RawBson } from "./bson_documents.ts";
import { BsonError, checkBson, documentBytesMax, documentBytesMin } from "../documents/bson_read.ts";
import type { Bytes } from "./bytes.ts";
import type { Collection, Range, RawDocument, Source, Survey, SurveyOptions } from "../documents/source.ts";
import { SurveyBuilder, Surveyed } from "./survey.ts";

/** Whole documents: their bytes, and where the first of them stands. */
interface Block {
  start: number;
  bytes: Uint8Array;
  documents: Uint8Array[];
}

const lengthAt = (bytes: Uint8Array, at: number) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(at, true);

/** Cuts whole documents off the front; what is left has not all come yet. */
function cutDocuments(bytes: Uint8Array, refuse: (at: number, why: string) => never): Uint8Array[] {
  const documents: Uint8Array[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = lengthAt(bytes, at);
    if (length < documentBytesMin || length > documentBytesMax) {
      refuse(at, `a document's length is ${length}, wanted ${documentBytesMin} to ${documentBytesMax}`);
    }
    if (at + length > bytes.length) break;
    documents.push(bytes.subarray(at, at + length));
    at += length;
  }
  return documents;
}

function check(documents: Uint8Array[], refuse: (at: number, why: string) => never): void {
  let at = 0;
  for (const bytes of documents) {
    try {
      checkBson(bytes);
    } catch (error) {
      if (!(error instanceof BsonError)) throw error;
      refuse(at + error.at, error.what);
    }
    at += bytes.length;
  }
}

function refuse(path: string, collection: Collection, at: number, why: string): never {
  throw new AppError(
    "invalid_source",
    `reading ${collection} in '${path}' at byte ${at}: it is no BSON (${why}); ` +
      "copy it again from where it was dumped, or dump it again; nothing was written",
  );
}

async function* readBlocks(bytes: Bytes, collection: Collection, blockBytes: number): AsyncGenerator<Block> {
  for (let start = 0;;) {
    let buffer = new Uint8Array(blockBytes);
    let filled = await bytes.read(start, buffer);
    if (filled === 0) return;
    // One document may be longer than a block.
    if (filled >= 4 && lengthAt(buffer, 0) > buffer.length && lengthAt(buffer, 0) <= documentBytesMax) {
      const longer = new Uint8Array(lengthAt(buffer, 0));
      longer.set(buffer);
      filled += await bytes.read(start + filled, longer.subarray(filled));
      buffer = longer;
    }
    const stop = (at: number, why: string) => refuse(bytes.path, collection, start + at, why);
    const documents = cutDocuments(buffer.subarray(0, filled), stop);
    const whole = documents.reduce((sum, { length }) => sum + length, 0);
    if (whole === 0) {
      throw new AppError(
        "source_truncated",
        `reading ${collection} in '${bytes.path}' at byte ${start}: the dump ends in the middle of a document ` +
          `(${filled} bytes of it are there); copy it again from where it was dumped, or dump it again; ` +
          "nothing was written",
      );
    }
    check(documents, stop);
    yield { start, bytes: buffer.subarray(0, whole), documents };
    start += whole;
  }
}

/** What a dump says of itself. */
export interface BsonParts {
  kind: string;
  location: string;
  /** Called once, before the first document is read; then `partOf` may be asked. */
  prepare(): Promise<void>;
  partOf(collection: Collection): Bytes;
  /** Bytes of all collections, for progress. */
  bytes: number;
  close(): Promise<void>;
}

/** See openMongodump(). */
export class BsonSource implements Source {
  readonly kind: string;
  readonly location: string;
  readonly #parts: BsonParts;
  readonly #surveyed = new Surveyed();

  /** @param notes what a person should know of the dump before it is loaded */
  constructor(parts: BsonParts, readonly notes: readonly string[]) {
    this.kind = parts.kind;
    this.location = parts.location;
    this.#parts = parts;
  }

  /** Of the files at first, of what they unpack to once that is known. */
  get bytes(): number {
    return this.#surveyed.bytes ?? this.#parts.bytes;
  }

  async survey(collection: Collection, { rangeBytes, onDocument, onBytes }: SurveyOptions): Promise<Survey> {
    await this.#parts.prepare();
    const survey = new SurveyBuilder(collection, this.#surveyed);
    const part = this.#parts.partOf(collection);
    let passed = 0;
    for await (const block of readBlocks(part, collection, rangeBytes)) {
      if (onDocument) {
        const next = survey.documents + 1;
        block.documents.forEach((bytes, i) => onDocument(new RawBson(next + i, bytes, undefined)));
      }
      survey.add(block.start, block.bytes, block.documents.length);
      onBytes?.(part.passed - passed);
      passed = part.passed;
    }
    return survey.finish();
  }

  fingerprint(): string {
    return this.#surveyed.fingerprint();
  }

  async read({ collection, lower, upper, firstPosition }: Range): Promise<RawDocument[]> {
    await this.#parts.prepare();
    const part = this.#parts.partOf(collection);
    const from = Number(lower);
    const to = Number(upper);
    const bytes = new Uint8Array(to - from);
    const filled = await part.read(from, bytes);
    const stop = (at: number, why: string) => refuse(part.path, collection, from + at, why);
    const documents = cutDocuments(bytes.subarray(0, filled), stop);
    return makeDocuments(collection, documents, firstPosition);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.close();
  }
}
