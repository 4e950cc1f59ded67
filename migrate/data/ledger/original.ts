/** Parses the original bytes of documents that the ledger keeps. */
import { RawBson } from "../sources/bson_documents.ts";
import { checkBson } from "../documents/bson_layout.ts";
import { readDocument } from "../documents/ejson_read.ts";
import type { RawDocument } from "../documents/source.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isBson(bytes: Uint8Array): boolean {
  if (bytes.length < 5) return false;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
  if (length !== bytes.length) return false;
  try {
    return checkBson(bytes) === bytes.length;
  } catch {
    return false;
  }
}

class OriginalLine implements RawDocument {
  readonly isBson = false;
  constructor(readonly position: number, readonly bytes: Uint8Array) {}

  json() {
    return undefined;
  }

  read() {
    return readDocument(strict.decode(this.bytes));
  }

  original() {
    return this.bytes;
  }
}

/** Returns the document whose original bytes are BSON or a line of Extended JSON. */
export function parseOriginal(position: number, bytes: Uint8Array): RawDocument {
  return isBson(bytes) ? new RawBson(position, bytes) : new OriginalLine(position, bytes);
}
