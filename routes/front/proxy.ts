/** Sends requests to the old backend and returns its answers byte for byte. */
import { Readable } from "node:stream";
import { type Dispatcher, Pool } from "undici";

/** Headers that concern one connection only (RFC 9110, 7.6.1). */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Returns the names in `Connection`, which are headers of this connection too. */
const namedByConnection = (value: string | null): Set<string> =>
  new Set((value ?? "").split(",").map((name) => name.trim().toLowerCase()).filter((name) => name !== ""));

/** Sent to the old backend: all headers of the request but those of its connection, and who sent it. */
function requestHeaders({ headers }: Request, peer: string): string[] {
  const named = namedByConnection(headers.get("connection"));
  const list: string[] = [];
  for (const [name, value] of headers) {
    if (hopByHop.has(name) || named.has(name) || name === "x-forwarded-for" || name === "expect") continue;
    list.push(name, value);
  }
  const forwarded = headers.get("x-forwarded-for");
  list.push("x-forwarded-for", forwarded === null ? peer : `${forwarded}, ${peer}`);
  return list;
}

/** Returns the value as bytes, one a character, as `Headers` takes it. The client library has read it as UTF-8. */
function toByteString(value: string): string {
  // deno-lint-ignore no-control-regex -- every character beyond ASCII
  if (!/[^\x00-\x7f]/.test(value)) return value;
  return String.fromCharCode(...new TextEncoder().encode(value));
}

function responseHeaders(raw: readonly string[]): Headers {
  const connection = raw.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === "connection");
  const named = namedByConnection(connection < 0 ? null : raw[connection + 1]!);
  const headers = new Headers();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    if (!hopByHop.has(name) && !named.has(name)) headers.append(name, toByteString(raw[i + 1]!));
  }
  return headers;
}

/** Bodies up to this size are read at once, which is faster than a stream. */
const smallBytesMax = 64 * 1024;
/** Statuses of answers without a body. */
const bodiless = new Set([101, 204, 205, 304]);

const isReadMethod = (method: string) => method === "GET" || method === "HEAD";

/** The old backend did not answer, or its answer was no HTTP. */
export class OldBackendError extends Error {
  constructor(readonly reason: string, cause: unknown) {
    super(`the old backend did not answer: ${reason}`, { cause });
    this.name = "OldBackendError";
  }
}

/** The old backend. */
export interface OldBackend {
  /**
   * Sends a request and returns the answer, whose body is a stream.
   *
   * @param peer address of the client, which is appended to X-Forwarded-For
   * @param onEnd called once when the answer has ended, or failed
   * @throws OldBackendError before the head of the answer
   */
  send(request: Request, peer: string, onEnd: () => void): Promise<Response>;
  close(): Promise<void>;
}

/** Maximum wait for the head of an answer, and for each further part of its body, in milliseconds. */
const silentMsMax = 300_000;
const connectMsMax = 3_000;
const connectionsMax = 256;

async function toResponse(
  { statusCode, headers: raw, body }: Dispatcher.ResponseData,
  method: string,
  onEnd: () => void,
): Promise<Response> {
  const headers = responseHeaders(raw as unknown as string[]);
  const status = statusCode;
  if (method === "HEAD" || bodiless.has(status)) {
    await body.dump();
    onEnd();
    return new Response(null, { status, headers });
  }
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= smallBytesMax) {
    try {
      return new Response(await body.arrayBuffer(), { status, headers });
    } finally {
      onEnd();
    }
  }
  body.once("close", onEnd);
  return new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { status, headers });
}

/** Connects to the old backend at a base URL. */
export function connectOldBackend(baseUrl: string): OldBackend {
  const pool = new Pool(new URL(baseUrl).origin, {
    connections: connectionsMax,
    headersTimeout: silentMsMax,
    bodyTimeout: silentMsMax,
    connect: { timeout: connectMsMax },
  });
  const send = (request: Request, path: string, peer: string) =>
    pool.request({
      path,
      method: request.method as Dispatcher.HttpMethod,
      headers: requestHeaders(request, peer),
      body: request.body === null ? null : Readable.fromWeb(request.body as never),
      responseHeaders: "raw",
      // A write goes on when its client leaves; a read need not.
      ...(isReadMethod(request.method) ? { signal: request.signal } : {}),
    });
  return {
    async send(request, peer, onEnd) {
      const path = /^https?:\/\/[^/?]*(.*)$/.exec(request.url)?.[1] || "/";
      const target = path.startsWith("/") ? path : `/${path}`;
      try {
        const answer = await send(request, target, peer).catch((error) => {
          // A kept connection may have been closed before it was used again; only reads are sent twice.
          if (!isReadMethod(request.method) || error?.code !== "UND_ERR_SOCKET") throw error;
          return send(request, target, peer);
        });
        return await toResponse(answer, request.method, onEnd);
      } catch (error) {
        onEnd();
        const { code = "", message } = error as { code?: string; message: string };
        throw new OldBackendError(code || message, error);
      }
    },
    close: () => pool.destroy(),
  };
}
