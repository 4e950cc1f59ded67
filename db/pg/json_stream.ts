/** JSON text as bytes, straight from PostgreSQL to a socket: never parsed, never turned into JavaScript strings. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The UTF-8 bytes of a text. */
export const toBytes = (text: string): Uint8Array => encoder.encode(text);

/** The text of UTF-8 bytes; empty for null. */
export const toText = (bytes: Uint8Array | null | undefined): string => bytes ? decoder.decode(bytes) : "";

/** A stream that asks for a piece when its reader wants one: what is not read is not fetched. */
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

/** Bytes that a loop copies faster than a call. */
const shortMax = 64;

/** Packs small pieces into few large ones, in order: a socket takes 3,000 small ones far slower. */
export class Packer {
  #full: Uint8Array[] = [];
  #buffer = new Uint8Array(0);
  #length = 0;

  /** @param size bytes of a packed piece, about */
  constructor(readonly size = 256 * 1024) {}

  /** Whether nothing was added since the last {@link take}. */
  get isEmpty(): boolean {
    return this.#length === 0 && this.#full.length === 0;
  }

  /** Whether pieces are packed that can be taken. */
  get isFull(): boolean {
    return this.#full.length > 0;
  }

  add(piece: Uint8Array): void {
    this.addPart(piece, 0, piece.length);
  }

  /** The bytes of a piece from `from` to before `to`, without a view of their own: making one takes longer. */
  addPart(piece: Uint8Array, from: number, to: number): void {
    const count = to - from;
    if (this.#length + count > this.#buffer.length) this.#start(count);
    const buffer = this.#buffer;
    const at = this.#length;
    this.#length = at + count;
    if (count > shortMax) buffer.set(count === piece.length ? piece : piece.subarray(from, to), at);
    else for (let i = 0; i < count; i++) buffer[at + i] = piece[from + i]!;
  }

  #start(count: number): void {
    if (this.#length > 0) this.#full.push(this.#buffer.subarray(0, this.#length));
    this.#buffer = new Uint8Array(Math.max(count, this.size));
    this.#length = 0;
  }

  /** The packed pieces but the last, which more may come to. */
  takeFull(): Uint8Array[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** All that was added; the packer is empty afterwards. */
  take(): Uint8Array[] {
    if (this.#length > 0) this.#full.push(this.#buffer.subarray(0, this.#length));
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
    return this.takeFull();
  }
}
