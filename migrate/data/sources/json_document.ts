/** A document whose source has it as JSON text. */
import { readDocument } from "../documents/ejson_read.ts";
import type { JsonSpan, RawDocument } from "../documents/source.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Maximum bytes of JSON text of one document. MongoDB limits BSON to 16 MB, which never yields so much text. */
export const jsonBytesMax = 128 * 1024 * 1024;

/** Throws the error about a document that is not UTF-8. */
export type RefuseEncoding = (document: JsonDocument) => never;

export class JsonDocument implements RawDocument, JsonSpan {
  readonly isBson = false;

  /** @param bytes buffer with the document, which must not change */
  constructor(
    readonly position: number,
    readonly bytes: Uint8Array,
    readonly from: number,
    readonly to: number,
    readonly refuse: RefuseEncoding,
  ) {}

  json(): JsonSpan {
    return this;
  }

  /** Returns the text. @throws AppError invalid_source if it is not UTF-8 */
  text(): string {
    try {
      return decoder.decode(this.bytes.subarray(this.from, this.to));
    } catch {
      return this.refuse(this);
    }
  }

  read() {
    return readDocument(this.text());
  }

  original() {
    return this.bytes.slice(this.from, this.to);
  }
}
