/** A loopback proxy that alters the requests and answers of a backend. It passes paths on unchanged. */
import { sendExactly } from "../../../dev/shadow/exact_request.ts";

/** A request on its way to the backend. */
export interface PassingRequest {
  method: string;
  /** URL with a normalised path. */
  url: URL;
  /** Path as the client sent it, without the query. */
  path: string;
  headers: Headers;
  /** Body as text. */
  text: string;
}

/** An answer on its way to the client. */
export interface PassingAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** Functions that alter requests and answers. */
export interface Alteration {
  /** Alters a request. If it returns an answer, the backend is not called. */
  before?(request: PassingRequest): PassingAnswer | undefined | Promise<PassingAnswer | undefined>;
  /** Alters an answer. */
  after?(request: PassingRequest, answer: PassingAnswer): void | Promise<void>;
}

/** A running proxy. */
export interface AlteredBackend extends AsyncDisposable {
  origin: string;
  /** Received requests in order. */
  requests: string[];
}

const bodiless = [101, 204, 205, 304];

/** Starts a proxy to `origin` on a free port. */
export function startAltered(origin: string, { before, after }: Alteration): AlteredBackend {
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const bytes = new Uint8Array(await request.arrayBuffer());
    const target = request.url.slice(request.url.indexOf("/", "http://".length));
    const passing: PassingRequest = {
      method: request.method,
      url: new URL(request.url),
      path: target.split("?")[0]!,
      headers: new Headers(request.headers),
      text: new TextDecoder().decode(bytes),
    };
    requests.push(`${request.method} ${target} ${request.headers.get("authorization")} ${passing.text}`);
    passing.headers.delete("host");
    const early = await before?.(passing);
    if (early) return new Response(early.text, { status: early.status, headers: early.headers });
    const answer: PassingAnswer = await sendExactly({
      origin,
      target,
      method: request.method,
      headers: passing.headers,
      body: bytes.length > 0 ? bytes : null,
    });
    await after?.(passing, answer);
    for (const name of ["connection", "transfer-encoding"]) answer.headers.delete(name);
    answer.headers.delete("content-length");
    const body = request.method === "HEAD" || bodiless.includes(answer.status) ? null : answer.text;
    return new Response(body, { status: answer.status, headers: answer.headers });
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}

/** Creates an answer with a JSON or plain text body. */
export const createAnswer = (
  status: number,
  text: string,
  headers: Record<string, string> = {},
): PassingAnswer => ({
  status,
  text,
  headers: new Headers({
    "content-type": text.startsWith("{") ? "application/json" : "text/plain; charset=utf-8",
    ...headers,
  }),
});
