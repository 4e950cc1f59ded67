/** Documents as BSON came from a file or a server, with the line a subtask's fast way reads where it has one. */
import { LineWriter } from "../documents/bson_line.ts";
import { readBson } from "../documents/bson_read.ts";
import type { Collection, RawDocument } from "../documents/source.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One document; without a line it is read as a tree. */
export class RawBson implements RawDocument {
  constructor(
    readonly position: number,
    readonly bytes: Uint8Array,
    readonly line: string | undefined,
  ) {}

  read() {
    return readBson(this.bytes);
  }

  original() {
    return this.bytes;
  }
}

const writer = new LineWriter();

/** The line of each document, by place; empty where there is none. */
function makeLines(documents: readonly Uint8Array[]): string[] {
  writer.clear();
  for (const bytes of documents) writer.add(bytes);
  try {
    return strict.decode(writer.bytes).split("\n");
  } catch {
    // Some text in it is no UTF-8: that document alone has no line.
    return documents.map((bytes) => {
      writer.clear();
      writer.add(bytes);
      try {
        return strict.decode(writer.bytes).slice(0, -1);
      } catch {
        return "";
      }
    });
  }
}

/** Documents that checkBson() has passed, numbered from `firstPosition`. */
export function makeDocuments(
  collection: Collection,
  documents: readonly Uint8Array[],
  firstPosition: number,
): RawDocument[] {
  const lines = collection === "dramatiq_tasks" ? makeLines(documents) : [];
  return documents.map((bytes, i) => new RawBson(firstPosition + i, bytes, lines[i] || undefined));
}
