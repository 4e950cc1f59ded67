/**
 * Decodes and encodes UTF-8 that may be invalid, without loss. A byte 0x80–0xFF that belongs to no character becomes
 * the lone surrogate U+DC80–U+DCFF (like Python's surrogateescape). Valid UTF-8 contains no lone surrogates, so the
 * mapping is reversible.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const shortBytesMax = 24;

/** Decodes the bytes from `from` to `to`. */
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
    return decodeInvalid(part);
  }
}

/** Returns the number of bytes of the character at `at`, or 0 if it is invalid. */
export function characterBytes(bytes: Uint8Array, at: number): number {
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
  // Overlong forms, surrogates, and code points beyond U+10FFFF.
  if (first === 0xe0 && next < 0xa0 || first === 0xed && next > 0x9f) return 0;
  if (first === 0xf0 && next < 0x90 || first === 0xf4 && next > 0x8f) return 0;
  for (let i = 1; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

function decodeInvalid(bytes: Uint8Array): string {
  let text = "";
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const length = characterBytes(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += decoder.decode(bytes.subarray(from, at)) + String.fromCharCode(0xdc00 + bytes[at]!);
    from = ++at;
  }
  return text + decoder.decode(bytes.subarray(from));
}

/** Encodes the text of decodeUtf8(). Returns undefined if the text contains any other lone surrogate. */
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
