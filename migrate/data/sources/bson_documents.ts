/** Documents that a file or a server provides as BSON. */
import { JsonWriter } from "../documents/bson_to_json.ts";
import { readBson } from "../documents/bson_read.ts";
import type { JsonSpan, RawDocument } from "../documents/source.ts";

const writer = new JsonWriter();

export class RawBson implements RawDocument {
  readonly isBson = true;

  /** @param isChecked whether the document passed checkBson(); otherwise it has no JSON text */
  constructor(readonly position: number, readonly bytes: Uint8Array, readonly isChecked = false) {}

  json(): JsonSpan | undefined {
    return this.isChecked ? writer.write(this.bytes) : undefined;
  }

  read() {
    return readBson(this.bytes);
  }

  original() {
    return this.bytes;
  }
}

/** Wraps documents that passed checkBson(). */
export const makeDocuments = (documents: readonly Uint8Array[], firstPosition: number): RawDocument[] =>
  documents.map((bytes, i) => new RawBson(firstPosition + i, bytes, true));
