/** Values of both sides for messages: short, and different where the values differ. */
import { createHash } from "node:crypto";
import { toStorable, writeCanonical } from "../documents/ejson_write.ts";
import type { RawDocument } from "../documents/source.ts";
import { shorten } from "./differences.ts";

/** Two values as they are shown. */
export interface ShownPair {
  source: string | null;
  row: string | null;
}

const decodeBytes = (bytes: Uint8Array): string => toStorable(new TextDecoder().decode(bytes));

const showDigest = (text: string): string =>
  `${shorten(text)} (SHA-256 ${createHash("sha256").update(text).digest("hex")})`;

/** Shortens two texts. Where that makes them equal, adds their digests. */
export function showTexts(source: string | null, row: string | null): ShownPair {
  const short = { source: source && shorten(source), row: row && shorten(row) };
  if (short.source !== short.row) return short;
  return { source: source && showDigest(source), row: row && showDigest(row) };
}

/** Shows the bytes of two documents as text, or as hex if they look the same. */
export function showBytes(source: Uint8Array, row: Uint8Array): ShownPair {
  const texts = { source: decodeBytes(source), row: decodeBytes(row) };
  return texts.source === texts.row
    ? showTexts(source.toHex(), row.toHex())
    : showTexts(texts.source, texts.row);
}

/** Shows the beginning of a document. */
export function showDocument(raw: RawDocument): string {
  try {
    return shorten(toStorable(writeCanonical(raw.read())));
  } catch {
    return shorten(decodeBytes(raw.original()));
  }
}
