/**
 * UTF-8 that may be broken, both ways: a byte 0x80–0xFF that belongs to no character becomes the lone surrogate
 * U+DC80–U+DCFF. UTF-8 itself never gives a lone surrogate, so nothing else reads as one and every byte comes back.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const shortBytesMax = 24;

/** Reads `bytes` from `from` to `to`. */
export function decodeUtf8(bytes: Uint8Array, from: number, to: number): string {
  if (to - from <= shortBytesMax) {
    let text = "";
    let at = from;
    for (; at < to && bytes[at]! < 0x80; at++) text += String.fromCharCode(bytes[at]!);
    if (at === to) return text;
  }
  const part = bytes.subarray(from, to);
  try {
    return decoder.decode(part);
  } catch {
    return decodeBroken(part);
  }
}

/** Bytes of the whole character at `at`; 0 where there is none. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first <= 0xdf
    ? 2
    : first >= 0xe0 && first <= 0xef
    ? 3
    : first >= 0xf0 && first <= 0xf4
    ? 4
    : 0;
  const next = bytes[at + 1] ?? 0;
  // Longer forms than needed, halves of surrogate pairs, and what is past U+10FFFF.
  if (first === 0xe0 && next < 0xa0 || first === 0xed && next > 0x9f) return 0;
  if (first === 0xf0 && next < 0x90 || first === 0xf4 && next > 0x8f) return 0;
  for (let i = 1; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

function decodeBroken(bytes: Uint8Array): string {
  let text = "";
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const length = lengthAt(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += decoder.decode(bytes.subarray(from, at)) + String.fromCharCode(0xdc00 + bytes[at]!);
    from = ++at;
  }
  return text + decoder.decode(bytes.subarray(from));
}

/** Writes what decodeUtf8() read; undefined for a text with another lone surrogate, which has no bytes. */
export function encodeUtf8(text: string): Uint8Array | undefined {
  if (text.isWellFormed()) return encoder.encode(text);
  const parts: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) parts.push(code - 0xdc00);
    else if (code >= 0xd800 && code <= 0xdfff) return undefined;
    else parts.push(...encoder.encode(char));
  }
  return new Uint8Array(parts);
}
