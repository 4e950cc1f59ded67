/** Documents whose bytes the ledger keeps, read again as their source would. */
import { RawBson } from "../sources/bson_documents.ts";
import { checkBson } from "../documents/bson_read.ts";
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

class KeptLine implements RawDocument {
  readonly line = undefined;
  constructor(readonly position: number, readonly bytes: Uint8Array) {}

  read() {
    return readDocument(strict.decode(this.bytes));
  }

  original() {
    return this.bytes;
  }
}

/** One document out of the bytes it came as: BSON, or a line of Extended JSON. */
export function readKept(position: number, bytes: Uint8Array): RawDocument {
  return isBson(bytes) ? new RawBson(position, bytes, undefined) : new KeptLine(position, bytes);
}
