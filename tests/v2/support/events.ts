/** A client of server-sent events. */
import assert from "node:assert/strict";
import type { V2Person } from "./api.ts";

/** A received event. */
export interface ReceivedEvent {
  event: string;
  id: string | undefined;
  // deno-lint-ignore no-explicit-any -- each event has its own shape; each test checks the fields that it uses
  data: any;
}

function parse(text: string): ReceivedEvent | undefined {
  const fields = new Map(
    text.split("\n").map((line) => {
      const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/.exec(line)!;
      return [name, value];
    }),
  );
  const data = fields.get("data");
  if (data === undefined) return undefined;
  return { event: fields.get("event") ?? "message", id: fields.get("id"), data: JSON.parse(data) };
}

const waitMs = 120_000;

/** An open stream. `events` contains everything received so far. */
export class Listener implements AsyncDisposable {
  readonly events: ReceivedEvent[] = [];
  /** The whole text, including comments. */
  text = "";
  ended = false;
  readonly #abort: AbortController;
  readonly #reading: Promise<void>;
  #wake = Promise.withResolvers<void>();

  constructor(readonly response: Response, abort: AbortController) {
    this.#abort = abort;
    this.#reading = this.#read().catch(() => {}).finally(() => {
      this.ended = true;
      this.#wake.resolve();
    });
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.response.body!.pipeThrough(new TextDecoderStream())) {
      this.text += text;
      const blocks = (rest + text).split("\n\n");
      rest = blocks.pop()!;
      this.events.push(...blocks.map(parse).filter((event) => event !== undefined));
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    }
  }

  /** The id with which a client would reconnect. */
  get lastId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  /** Waits, at most two minutes, for the first event from position `from` on that satisfies `isWanted`. */
  async until(isWanted: (event: ReceivedEvent) => boolean, from = 0): Promise<ReceivedEvent> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const found = this.events.slice(from).find(isWanted);
      if (found) return found;
      if (this.ended) throw new Error(`the stream ended without the event: ${this.text.slice(-2000)}`);
      if (performance.now() > deadline) {
        throw new Error(`no such event within ${waitMs} ms: ${this.text.slice(-2000)}`);
      }
      const tick = new Promise((resolve) => setTimeout(resolve, 1000));
      await Promise.race([this.#wake.promise, tick]);
    }
  }

  async untilEnd(): Promise<void> {
    await this.#reading;
  }

  /** Returns the last received state of each cell. */
  cells(): Map<number, Record<string, unknown>> {
    const changes = this.events.filter(({ event }) => event === "cells").flatMap(({ data }) => data.cells);
    return new Map(changes.map((cell) => [cell.cell, cell]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }
}

/** Opens a stream as a person or with a token. */
export async function listen(
  { origin }: { origin: string },
  who: V2Person | string,
  task: string,
  headers: Record<string, string> = {},
  query = "",
): Promise<Listener> {
  const abort = new AbortController();
  const response = await fetch(`${origin}/api/v2/tasks/${task}/events${query}`, {
    headers: { authorization: `Bearer ${typeof who === "string" ? who : who.access}`, ...headers },
    signal: abort.signal,
  });
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
  assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
  return new Listener(response, abort);
}
