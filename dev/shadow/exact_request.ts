/** Sends a request with its path as it is. fetch() resolves `..` and `%2e%2e` before it sends a path. */
import http from "node:http";
import https from "node:https";

/** A request to send. */
export interface ExactRequest {
  /** URL of the backend, without a slash at its end. */
  origin: string;
  /** Path and query, percent-encoded. */
  target: string;
  method: string;
  headers: Headers;
  body: Uint8Array | null;
  signal?: AbortSignal;
}

/** An answer. Repeated headers are joined by commas. */
export interface ExactAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** Sends a request over a connection of its own. Redirects are not followed. */
export function sendExactly(request: ExactRequest): Promise<ExactAnswer> {
  const { protocol, hostname, port, pathname } = new URL(request.origin);
  const base = pathname === "/" ? "" : pathname;
  const { promise, resolve, reject } = Promise.withResolvers<ExactAnswer>();
  const sent = (protocol === "https:" ? https : http).request({
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port,
    path: base + request.target,
    method: request.method,
    headers: Object.fromEntries(request.headers),
    agent: false,
    ...(request.signal ? { signal: request.signal } : {}),
  }, (answer) => {
    const chunks: Uint8Array[] = [];
    answer.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    answer.on("error", reject);
    answer.on("end", async () => {
      const headers = new Headers();
      for (const [name, value] of Object.entries(answer.headers)) {
        for (const one of [value ?? []].flat()) headers.append(name, one);
      }
      resolve({ status: answer.statusCode ?? 0, headers, text: await new Blob(chunks as BlobPart[]).text() });
    });
  });
  sent.on("error", reject);
  sent.end(request.body ?? undefined);
  return promise;
}
