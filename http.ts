/** The one place where the product calls out. */

export interface HttpRequest {
  method: "GET" | "POST";
  url: string;
  headers?: Record<string, string>;
  body?: string;
  /** For the whole exchange, the body included. */
  timeoutMs: number;
  /** An answer longer than this is given up. */
  bodyBytesMax: number;
  signal?: AbortSignal;
}

/** How a call ended; only the caller's own abort is an exception. */
export type HttpResult =
  | { kind: "answer"; status: number; headers: Headers; text: string }
  | { kind: "unreachable"; reason: string }
  | { kind: "slow" }
  | { kind: "too_large" };

export type Http = (request: HttpRequest) => Promise<HttpResult>;

class Stopped extends Error {}

/** A signal of our own for one call: the caller's signal may live for hours and must not gather listeners. */
function openGate(timeoutMs: number, outer: AbortSignal | undefined) {
  const controller = new AbortController();
  let late = false;
  const stop = () => controller.abort();
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, timeoutMs);
  outer?.addEventListener("abort", stop, { once: true });
  // Raced against each step, for a body that stalls does not always notice the abort.
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

/** Bodies that say that they are short, and are not unpacked on the way, are read in one go: twice as fast. */
function saysShort(headers: Headers, bytesMax: number): boolean {
  const length = headers.get("content-length");
  return length !== null && Number(length) <= bytesMax && headers.get("content-encoding") === null;
}

async function readText(
  response: Response,
  bytesMax: number,
  race: <T>(step: Promise<T>) => Promise<T>,
): Promise<string | undefined> {
  if (response.body === null) return "";
  if (saysShort(response.headers, bytesMax)) return await race(response.text());
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
 * For calls that must be sent once: on a connection that was used before, `fetch` sends a call again whose answer did
 * not come, and a POST is paid for twice. These have a connection of their own each.
 */
const onceOnly = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

/**
 * Makes one call and reads its answer whole; redirects are not followed.
 *
 * @throws the reason of `signal` once that is aborted
 */
export const callHttp: Http = async ({ method, url, headers, body, timeoutMs, bodyBytesMax, signal }) => {
  signal?.throwIfAborted();
  const gate = openGate(timeoutMs, signal);
  try {
    const response = await gate.race(fetch(url, {
      method,
      redirect: "manual",
      signal: gate.signal,
      ...(method === "GET" ? {} : { client: onceOnly }),
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
