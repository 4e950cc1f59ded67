/** Server-sent events over `fetch`, since an EventSource sends no Authorization header. */
import { noteFailure } from "./network.ts";
import { asApiError, isAbort, toApiError } from "./problem.ts";
import { authorizedFetch } from "./session.ts";

/** One event. */
export interface ServerEvent {
  event: string;
  /** The data, parsed from JSON. */
  // deno-lint-ignore no-explicit-any -- each stream has its own events; the reader knows their shapes
  data: any;
  id: string | undefined;
}

interface StreamOptions {
  /** Ends the stream. */
  signal: AbortSignal;
  onEvent: (event: ServerEvent) => void;
  /** Called when the connection is there, and with false when it is lost and tried again. */
  onConnection?: (isConnected: boolean) => void;
  /** The id to continue from. */
  lastId?: string;
}

const retryMsDefault = 2_000;
const retryMsMax = 30_000;

/** Parses the lines of a stream. */
class EventParser {
  #rest = "";
  retryMs = retryMsDefault;

  /** Returns the events that a piece of the stream completes. */
  read(piece: string): ServerEvent[] {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop()!;
    return blocks.flatMap((block) => this.#parse(block) ?? []);
  }

  #parse(block: string): ServerEvent | undefined {
    const fields = new Map(
      block.split("\n").map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trimStart()] as const;
      }),
    );
    const retry = fields.get("retry");
    if (retry !== undefined) this.retryMs = Number(retry);
    const data = fields.get("data");
    if (data === undefined) return undefined;
    return { event: fields.get("event") ?? "message", data: JSON.parse(data), id: fields.get("id") };
  }
}

/** Reads one connection to its end. @throws ApiError if it is refused */
async function readOnce(
  path: string,
  parser: EventParser,
  lastId: string | undefined,
  { signal, onEvent, onConnection }: StreamOptions,
): Promise<string | undefined> {
  const headers: Record<string, string> = { accept: "text/event-stream" };
  if (lastId !== undefined) headers["last-event-id"] = lastId;
  const response = await authorizedFetch(new Request(new URL(path, location.origin), { headers, signal }));
  if (!response.ok) throw toApiError(response, await response.json().catch(() => undefined));
  onConnection?.(true);
  let last = lastId;
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    for (const event of parser.read(piece)) {
      last = event.id ?? last;
      onEvent(event);
    }
  }
  return last;
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });

/** Refusals after which trying again makes no sense. */
const isFinal = (status: number): boolean => status === 403 || status === 404 || status === 401;

/**
 * Reads a stream until its signal is aborted. A lost connection is opened again from the last event.
 *
 * @throws ApiError if the stream is refused for good: not found, not allowed
 */
export async function readEvents(path: string, options: StreamOptions): Promise<void> {
  const { signal, onConnection } = options;
  const parser = new EventParser();
  let { lastId } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      lastId = await readOnce(path, parser, lastId, {
        ...options,
        onEvent(event) {
          failures = 0;
          lastId = event.id ?? lastId;
          options.onEvent(event);
        },
      });
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      const failure = asApiError(error);
      if (isFinal(failure.status)) throw failure;
      if (failure.code === "offline") noteFailure();
      failures++;
    }
    onConnection?.(false);
    const backoff = Math.min(retryMsMax, parser.retryMs * 2 ** Math.max(0, failures - 1));
    await pause(backoff * (0.75 + Math.random() / 2), signal);
  }
}
