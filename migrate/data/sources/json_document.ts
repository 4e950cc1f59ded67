/** A document whose source has it as JSON text. */
import { readDocument } from "../documents/ejson_read.ts";
import type { RawDocument } from "../documents/source.ts";

const encoder = new TextEncoder();

/** Maximum bytes of JSON text of one document. MongoDB limits BSON to 16 MB, which never yields so much text. */
export const jsonBytesMax = 128 * 1024 * 1024;

export class JsonDocument implements RawDocument {
  constructor(readonly position: number, readonly json: string) {}

  read() {
    return readDocument(this.json);
  }

  original() {
    return encoder.encode(this.json);
  }
}
