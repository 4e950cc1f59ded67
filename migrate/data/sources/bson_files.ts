/** A source of concatenated BSON documents: the file of a collection, or its parts of an archive. */
import { AppError } from "../../../errors.ts";
import { makeDocuments, RawBson } from "./bson_documents.ts";
import { BsonError, checkBson, documentBytesMax, documentBytesMin } from "../documents/bson_layout.ts";
import type { Bytes } from "./bytes.ts";
import type { Collection, Range, RawDocument, Source, Survey, SurveyOptions } from "../documents/source.ts";
import { SurveyBuilder, SurveyedCollections } from "./survey.ts";
import { counted } from "../../../phrases.ts";

/** Whole documents, which start at byte `start`. */
interface Block {
  start: number;
  bytes: Uint8Array;
  documents: Uint8Array[];
}

const readLength = (bytes: Uint8Array, offset: number) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(offset, true);

/** Returns the whole documents at the start of `bytes`. */
function splitDocuments(bytes: Uint8Array, refuse: (offset: number, why: string) => never): Uint8Array[] {
  const documents: Uint8Array[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = readLength(bytes, at);
    if (length < documentBytesMin || length > documentBytesMax) {
      refuse(at, `a document's length is ${length}, wanted ${documentBytesMin} to ${documentBytesMax}`);
    }
    if (at + length > bytes.length) break;
    documents.push(bytes.subarray(at, at + length));
    at += length;
  }
  return documents;
}

function checkAll(documents: Uint8Array[], refuse: (offset: number, why: string) => never): void {
  let at = 0;
  for (const bytes of documents) {
    try {
      checkBson(bytes);
    } catch (error) {
      if (!(error instanceof BsonError)) throw error;
      refuse(at + error.at, error.problem);
    }
    at += bytes.length;
  }
}

function throwInvalid(path: string, collection: Collection, offset: number, why: string): never {
  throw new AppError(
    "invalid_source",
    `reading ${collection} in '${path}' at byte ${offset}: it is not BSON (${why}); ` +
      "copy it again from where it was dumped, or dump it again; nothing was written",
  );
}

async function* readBlocks(bytes: Bytes, collection: Collection, blockBytes: number): AsyncGenerator<Block> {
  for (let start = 0;;) {
    let buffer = new Uint8Array(blockBytes);
    let filled = await bytes.read(start, buffer);
    if (filled === 0) return;
    // A document may be longer than a block.
    if (filled >= 4 && readLength(buffer, 0) > buffer.length && readLength(buffer, 0) <= documentBytesMax) {
      const longer = new Uint8Array(readLength(buffer, 0));
      longer.set(buffer);
      filled += await bytes.read(start + filled, longer.subarray(filled));
      buffer = longer;
    }
    const refuse = (offset: number, why: string) => throwInvalid(bytes.path, collection, start + offset, why);
    const documents = splitDocuments(buffer.subarray(0, filled), refuse);
    const length = documents.reduce((sum, { length }) => sum + length, 0);
    if (length === 0) {
      throw new AppError(
        "source_truncated",
        `reading ${collection} in '${bytes.path}' at byte ${start}: the dump ends in the middle of a document ` +
          `(it has ${counted(filled, "byte")}); copy it again from where it was dumped, or dump it again; ` +
          "nothing was written",
      );
    }
    checkAll(documents, refuse);
    yield { start, bytes: buffer.subarray(0, length), documents };
    start += length;
  }
}

/** The collections of a dump. */
export interface BsonParts {
  kind: string;
  location: string;
  /** Must be called before `partOf`. */
  prepare(): Promise<void>;
  partOf(collection: Collection): Bytes;
  /** Bytes of all collections, for progress. */
  bytes: number;
  close(): Promise<void>;
}

export class BsonSource implements Source {
  readonly kind: string;
  readonly location: string;
  readonly #parts: BsonParts;
  readonly #surveyed = new SurveyedCollections();

  /** @param notes hints for the operator */
  constructor(parts: BsonParts, readonly notes: readonly string[]) {
    this.kind = parts.kind;
    this.location = parts.location;
    this.#parts = parts;
  }

  /** Size of the files. Once all collections are surveyed, their uncompressed size. */
  get bytes(): number {
    return this.#surveyed.bytes ?? this.#parts.bytes;
  }

  async survey(collection: Collection, { rangeBytes, onDocument, onBytes }: SurveyOptions): Promise<Survey> {
    await this.#parts.prepare();
    const survey = new SurveyBuilder(collection, this.#surveyed);
    const part = this.#parts.partOf(collection);
    let fileOffset = 0;
    for await (const block of readBlocks(part, collection, rangeBytes)) {
      if (onDocument) {
        const next = survey.documents + 1;
        block.documents.forEach((bytes, i) => onDocument(new RawBson(next + i, bytes)));
      }
      survey.add(block.start, block.bytes, block.documents.length);
      onBytes?.(part.fileOffset - fileOffset);
      fileOffset = part.fileOffset;
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
    const refuse = (offset: number, why: string) => throwInvalid(part.path, collection, from + offset, why);
    const documents = splitDocuments(bytes.subarray(0, filled), refuse);
    return makeDocuments(documents, firstPosition);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.close();
  }
}
