/** Passes JSON text from PostgreSQL to a socket as bytes, without parsing it or making JavaScript strings. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Returns the UTF-8 bytes of a text. */
export const toBytes = (text: string): Uint8Array => encoder.encode(text);

/** Returns the text of UTF-8 bytes; empty for null. */
export const toText = (bytes: Uint8Array | null | undefined): string => bytes ? decoder.decode(bytes) : "";

/** Creates a stream that fetches a piece only when its reader asks for one. */
export function streamPieces(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  }, { highWaterMark: 0 });
}

/** Maximum bytes that a loop copies faster than a call of `set`. */
const shortMax = 64;
const asciiMax = 0x7f;

/**
 * Packs small pieces into few large ones, in order. Writing thousands of small pieces to a socket is far
 * slower.
 */
export class Packer {
  #full: Uint8Array[] = [];
  #buffer = new Uint8Array(0);
  #length = 0;

  /** @param size approximate bytes of a packed piece */
  constructor(readonly size = 256 * 1024) {}

  /** Nothing was added since the last {@link take}. */
  get isEmpty(): boolean {
    return this.#length === 0 && this.#full.length === 0;
  }

  /** {@link takeFull} would return pieces. */
  get isFull(): boolean {
    return this.#full.length > 0;
  }

  /** Adds a piece. */
  add(piece: Uint8Array): void {
    this.addPart(piece, 0, piece.length);
  }

  /** Adds the bytes from `from` to before `to`. This is faster than adding a subarray. */
  addPart(piece: Uint8Array, from: number, to: number): void {
    const count = to - from;
    if (this.#length + piece.length > this.#buffer.length) this.#start(piece.length);
    const buffer = this.#buffer;
    const at = this.#length;
    this.#length = at + count;
    // The next piece overwrites the bytes that are copied beyond `to`.
    if (count > shortMax) buffer.set(from === 0 ? piece : piece.subarray(from, to), at);
    else for (let i = 0; i < count; i++) buffer[at + i] = piece[from + i]!;
  }

  /** Adds a short text, which is fastest if it is ASCII. */
  addText(text: string): void {
    if (this.#length + text.length > this.#buffer.length) this.#start(text.length);
    const buffer = this.#buffer;
    const at = this.#length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > asciiMax) return this.add(toBytes(text));
      buffer[at + i] = code;
    }
    this.#length = at + text.length;
  }

  #start(count: number): void {
    if (this.#length > 0) this.#full.push(this.#buffer.subarray(0, this.#length));
    this.#buffer = new Uint8Array(Math.max(count, this.size));
    this.#length = 0;
  }

  /** Returns and removes the completely packed pieces; the last, unfinished one stays. */
  takeFull(): Uint8Array[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** Returns and removes all pieces. */
  take(): Uint8Array[] {
    if (this.#length > 0) this.#full.push(this.#buffer.subarray(0, this.#length));
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
    return this.takeFull();
  }
}
