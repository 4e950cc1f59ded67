/** Documents that a file or a server provides as BSON, with JSON text for the fast path where there is one. */
import { JsonWriter } from "../documents/bson_to_json.ts";
import { readBson } from "../documents/bson_read.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class RawBson implements RawDocument {
  constructor(
    readonly position: number,
    readonly bytes: Uint8Array,
    readonly json: string | undefined,
  ) {}

  read() {
    return readBson(this.bytes);
  }

  original() {
    return this.bytes;
  }
}

const writer = new JsonWriter();

/** Returns the JSON text of each document. A document that cannot be written without loss has an empty text. */
function toJsonTexts(documents: readonly Uint8Array[]): string[] {
  writer.clear();
  for (const bytes of documents) writer.add(bytes);
  try {
    return strictDecoder.decode(writer.bytes).split("\n");
  } catch {
    // One of the documents holds invalid UTF-8. Only that one gets no text.
    return documents.map((bytes) => {
      writer.clear();
      writer.add(bytes);
      try {
        return strictDecoder.decode(writer.bytes).slice(0, -1);
      } catch {
        return "";
      }
    });
  }
}

/** Wraps documents that passed checkBson(). */
export function makeDocuments(
  collection: Collection,
  documents: readonly Uint8Array[],
  firstPosition: number,
): RawDocument[] {
  const texts = tables[collection].fastPath ? toJsonTexts(documents) : [];
  return documents.map((bytes, i) => new RawBson(firstPosition + i, bytes, texts[i] || undefined));
}
