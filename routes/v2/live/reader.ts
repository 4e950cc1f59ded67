/** One reader of a live stream: what it has not read yet is bounded, and beyond that it is told to read anew. */

/** Bytes that wait for a reader at most; texts are shared between readers. */
const waitingBytesMax = 4 * 1024 * 1024;

const encoder = new TextEncoder();

/** A server-sent event; with an id where everything up to that revision has been told by then. */
export function eventText(event: string, data: unknown, id?: number): Uint8Array {
  return encoder.encode(
    `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`,
  );
}

const beat = encoder.encode(": beat\n\n");
const beatMs = 15_000;

export class EventClient {
  readonly stream: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  /** Too much waited and was dropped. */
  #lost = false;
  #ended = false;
  #sentAt = performance.now();
  #wake: (() => void) | undefined;

  /**
   * @param resync makes the events that tell to read anew, as of the moment they are sent
   * @param onLeave told once, when the reader goes or the stream has ended
   */
  constructor(resync: () => Uint8Array[], onLeave: () => void) {
    let left = false;
    const leave = () => {
      if (left) return;
      left = this.#ended = true;
      this.#waiting = [];
      this.#wake?.();
      onLeave();
    };
    this.leave = leave;
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: async (controller) => {
        while (!this.#lost && this.#waiting.length === 0 && !this.#ended) {
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
        if (this.#ended) return;
        if (this.#lost) {
          this.#lost = false;
          for (const text of resync()) this.push(text);
        }
        const piece = this.#waiting.shift()!;
        this.#bytes -= piece.length;
        this.#sentAt = performance.now();
        controller.enqueue(piece);
      },
      cancel: leave,
    }, { highWaterMark: 0 });
  }

  readonly leave: () => void;

  push(text: Uint8Array): void {
    if (this.#ended || this.#lost) return;
    if (this.#bytes + text.length > waitingBytesMax) return this.lose();
    this.#waiting.push(text);
    this.#bytes += text.length;
    this.#wake?.();
  }

  /** Drops what waits: the reader is told to read anew. */
  lose(): void {
    this.#waiting = [];
    this.#bytes = 0;
    this.#lost = true;
    this.#wake?.();
  }

  /** A comment now and then, so that what lies between does not take the stream for dead. */
  keepAlive(): void {
    if (performance.now() - this.#sentAt >= beatMs && this.#waiting.length === 0) {
      this.#sentAt = performance.now();
      this.push(beat);
    }
  }

  /** Ends the stream with a last text; what waits besides is dropped, its reader gets it when it comes again. */
  end(text: Uint8Array): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#controller.enqueue(text);
    this.#controller.close();
    this.leave();
  }
}
