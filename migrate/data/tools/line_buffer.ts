/** COPY lines as UTF-8 in one growing buffer. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const newline = 10;

export class LineBuffer {
  /** The lines, each with its newline, fill the first `length` bytes. */
  bytes: Uint8Array;
  length = 0;

  /** @param bytesExpected approximate size of all lines */
  constructor(bytesExpected = 64 * 1024) {
    this.bytes = new Uint8Array(bytesExpected);
  }

  /** Returns the lines. They are valid until the next change of the buffer. */
  get content(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    grown.set(this.content);
    this.bytes = grown;
  }

  /** Adds a line, given without its newline. */
  addText(line: string): void {
    // UTF-8 has at most three bytes for a UTF-16 unit.
    this.reserve(line.length * 3 + 1);
    this.length += encoder.encodeInto(line, this.bytes.subarray(this.length)).written;
    this.bytes[this.length++] = newline;
  }

  /** Returns the lines from the offset `from` on, without their newlines. */
  split(from = 0): string[] {
    return this.length === from ? [] : decoder.decode(this.bytes.subarray(from, this.length - 1)).split("\n");
  }
}
