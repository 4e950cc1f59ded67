/**
 * One client of an event stream, with a bounded queue.
 *
 * States and moves:
 * - `open`: events are queued until the client reads them. `push()` beyond the limit and `drop()` lead to
 *   `overflowed`.
 * - `overflowed`: the queue is empty and further events are ignored. The next read queues the resync events
 *   and leads to `open`.
 * - `ended`: reached by `end()`, `leave()` or the client's cancellation. The stream sends nothing more.
 */

/** Maximum number of queued bytes of a client. Clients share the texts. */
const queuedBytesMax = 4 * 1024 * 1024;

const encoder = new TextEncoder();

/**
 * Formats a server-sent event. `id` is the revision up to which the client is complete after this event, if
 * any.
 */
export function eventText(event: string, data: unknown, id?: number): Uint8Array {
  return encoder.encode(
    `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`,
  );
}

const heartbeat = encoder.encode(": beat\n\n");
const heartbeatMs = 15_000;

/** The queue of events of one client. */
export class EventClient {
  readonly stream: ReadableStream<Uint8Array>;
  /** Ends the stream because the client has disconnected. */
  readonly leave: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #hasOverflowed = false;
  #hasEnded = false;
  #sentAt = performance.now();
  #wake: (() => void) | undefined;

  /**
   * @param resync returns the events that make the client read the current state
   * @param onLeave called once, when the client has disconnected or the stream has ended
   */
  constructor(resync: () => Uint8Array[], onLeave: () => void) {
    let hasLeft = false;
    this.leave = () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#hasEnded = true;
      this.#queue = [];
      this.#wake?.();
      onLeave();
    };
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: async (controller) => {
        while (!this.#hasOverflowed && this.#queue.length === 0 && !this.#hasEnded) {
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
        if (this.#hasEnded) return;
        if (this.#hasOverflowed) {
          this.#hasOverflowed = false;
          for (const text of resync()) this.push(text);
        }
        const text = this.#queue.shift()!;
        this.#queuedBytes -= text.length;
        this.#sentAt = performance.now();
        controller.enqueue(text);
      },
      cancel: this.leave,
    }, { highWaterMark: 0 });
  }

  /** Queues an event. */
  push(text: Uint8Array): void {
    if (this.#hasEnded || this.#hasOverflowed) return;
    if (this.#queuedBytes + text.length > queuedBytesMax) return this.drop();
    this.#queue.push(text);
    this.#queuedBytes += text.length;
    this.#wake?.();
  }

  /** Drops the queue. The client receives the resync events instead. */
  drop(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#hasOverflowed = true;
    this.#wake?.();
  }

  /** Sends a comment if nothing was sent for a while, so that proxies keep the connection. */
  keepAlive(): void {
    if (performance.now() - this.#sentAt >= heartbeatMs && this.#queue.length === 0) {
      this.#sentAt = performance.now();
      this.push(heartbeat);
    }
  }

  /**
   * Sends a last event and ends the stream. Queued events are dropped; the client receives them when it
   * reconnects.
   */
  end(text: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#controller.enqueue(text);
    this.#controller.close();
    this.leave();
  }
}
