/** A loopback proxy that alters the requests and answers of a backend. */

/** A request on its way to the backend. */
export interface PassingRequest {
  method: string;
  url: URL;
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
  before?(request: PassingRequest): PassingAnswer | undefined;
  /** Alters an answer. */
  after?(request: PassingRequest, answer: PassingAnswer): void;
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
  const client = Deno.createHttpClient({ http2: false });
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const bytes = new Uint8Array(await request.arrayBuffer());
    const passing: PassingRequest = {
      method: request.method,
      url: new URL(request.url),
      headers: new Headers(request.headers),
      text: new TextDecoder().decode(bytes),
    };
    const { pathname, search } = passing.url;
    requests.push(
      `${request.method} ${pathname}${search} ${request.headers.get("authorization")} ${passing.text}`,
    );
    passing.headers.delete("host");
    const early = before?.(passing);
    if (early) return new Response(early.text, { status: early.status, headers: early.headers });
    const response = await fetch(origin + passing.url.pathname + passing.url.search, {
      method: request.method,
      headers: passing.headers,
      body: bytes.length > 0 ? bytes : null,
      redirect: "manual",
      client,
    });
    const answer = {
      status: response.status,
      headers: new Headers(response.headers),
      text: await response.text(),
    };
    after?.(passing, answer);
    answer.headers.delete("content-length");
    const body = request.method === "HEAD" || bodiless.includes(answer.status) ? null : answer.text;
    return new Response(body, { status: answer.status, headers: answer.headers });
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      client.close();
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
