/** Server-sent events as a client reads them. */
import assert from "node:assert/strict";
import type { V2Person } from "./api.ts";

export interface Heard {
  event: string;
  id: string | undefined;
  // deno-lint-ignore no-explicit-any -- each event has its own; each test says what it expects
  data: any;
}

function parse(text: string): Heard | undefined {
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

/** An open stream; everything it said is in `heard`. */
export class Listener implements AsyncDisposable {
  readonly heard: Heard[] = [];
  /** All text, comments too. */
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
      this.heard.push(...blocks.map(parse).filter((heard) => heard !== undefined));
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    }
  }

  /** The id that a client would come again with. */
  get lastId(): string | undefined {
    return this.heard.findLast(({ id }) => id !== undefined)?.id;
  }

  /** The first event, from the place `from` on, that `isWanted`. */
  async until(isWanted: (heard: Heard) => boolean, from = 0): Promise<Heard> {
    for (;;) {
      const found = this.heard.slice(from).find(isWanted);
      if (found) return found;
      if (this.ended) throw new Error(`the stream ended without it: ${this.text.slice(-2000)}`);
      await this.#wake.promise;
    }
  }

  async untilEnd(): Promise<void> {
    await this.#reading;
  }

  /** What is known of each cell by now. */
  cells(): Map<number, Record<string, unknown>> {
    const told = this.heard.filter(({ event }) => event === "cells").flatMap(({ data }) => data.cells);
    return new Map(told.map((cell) => [cell.cell, cell]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }
}

/** Opens a stream as somebody. */
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
