/** The only HTTP client of the product. */

export interface HttpRequest {
  method: "GET" | "POST";
  url: string;
  headers?: Record<string, string>;
  body?: string;
  /** Timeout of the whole exchange, including the body of the answer. */
  timeoutMs: number;
  /** Maximum size of the answer's body. */
  bodyBytesMax: number;
  signal?: AbortSignal;
}

/** How a call ended. Only an abort by the caller is an exception. */
export type HttpResult =
  | { kind: "answer"; status: number; headers: Headers; text: string }
  | { kind: "unreachable"; reason: string }
  | { kind: "slow" }
  | { kind: "too_large" };

export type Http = (request: HttpRequest) => Promise<HttpResult>;

class Stopped extends Error {}

/**
 * Opens a signal that ends one call at its timeout or with the caller's signal. The caller's signal can live
 * for hours, so `close` removes the listener from it.
 */
function openCallSignal(timeoutMs: number, outer: AbortSignal | undefined) {
  const controller = new AbortController();
  let late = false;
  const stop = () => controller.abort();
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, timeoutMs);
  outer?.addEventListener("abort", stop, { once: true });
  // Each step races against this promise: reading a stalled body does not always end with the abort.
  const stopped = new Promise<never>((_, reject) => {
    controller.signal.addEventListener("abort", () => reject(new Stopped()), { once: true });
  });
  stopped.catch(() => {});
  return {
    signal: controller.signal,
    isLate: () => late,
    race: <T>(step: Promise<T>) => Promise.race([step, stopped]),
    close() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", stop);
    },
  };
}

/**
 * Reports whether the headers promise a short, uncompressed body. Reading it in one call is twice as fast.
 */
function hasShortLength(headers: Headers, bytesMax: number): boolean {
  const length = headers.get("content-length");
  return length !== null && Number(length) <= bytesMax && headers.get("content-encoding") === null;
}

/** @returns the body, or undefined where it is longer than `bytesMax` */
async function readText(
  response: Response,
  bytesMax: number,
  race: <T>(step: Promise<T>) => Promise<T>,
): Promise<string | undefined> {
  if (response.body === null) return "";
  if (hasShortLength(response.headers, bytesMax)) return await race(response.text());
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await race(reader.read());
      if (done) return text + decoder.decode();
      bytes += value.length;
      if (bytes > bytesMax) return undefined;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * A client with a new connection for each call, for calls that must not be repeated. On a reused connection,
 * `fetch` silently sends a request again when the connection closes before the answer, and a repeated POST is
 * paid for twice.
 */
const unpooledClient = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

/**
 * Makes a call and reads the whole answer. Does not follow redirects.
 *
 * @throws the reason of `signal` once it is aborted
 */
export const callHttp: Http = async ({ method, url, headers, body, timeoutMs, bodyBytesMax, signal }) => {
  signal?.throwIfAborted();
  const gate = openCallSignal(timeoutMs, signal);
  try {
    const response = await gate.race(fetch(url, {
      method,
      redirect: "manual",
      signal: gate.signal,
      ...(method === "GET" ? {} : { client: unpooledClient }),
      ...(headers ? { headers } : {}),
      ...(body === undefined ? {} : { body }),
    }));
    const text = await readText(response, bodyBytesMax, gate.race);
    if (text === undefined) return { kind: "too_large" };
    return { kind: "answer", status: response.status, headers: response.headers, text };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (gate.isLate()) return { kind: "slow" };
    return { kind: "unreachable", reason: error instanceof Error ? error.name : "unknown" };
  } finally {
    gate.close();
  }
};
