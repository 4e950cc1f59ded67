/** A backend that answers like another one but for what is altered on the way: a proxy on loopback. */

export interface Passing {
  method: string;
  url: URL;
  headers: Headers;
  /** Its body as text. */
  text: string;
}

export interface Answering {
  status: number;
  headers: Headers;
  text: string;
}

export interface Alteration {
  /** Changes a request on its way; an answer given here is sent at once. */
  before?(request: Passing): Answering | undefined;
  /** Changes an answer on its way back. */
  after?(request: Passing, answer: Answering): void;
}

export interface AlteredBackend extends AsyncDisposable {
  origin: string;
  /** Every request as it came, in order. */
  asked: string[];
}

const bodiless = [101, 204, 205, 304];

/** Starts one in front of `origin`, on a free port. */
export function startAltered(origin: string, { before, after }: Alteration): AlteredBackend {
  const client = Deno.createHttpClient({ http2: false });
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const bytes = new Uint8Array(await request.arrayBuffer());
    const passing: Passing = {
      method: request.method,
      url: new URL(request.url),
      headers: new Headers(request.headers),
      text: new TextDecoder().decode(bytes),
    };
    const { pathname, search } = passing.url;
    asked.push(
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
    asked,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      client.close();
    },
  };
}

/** An answer with `{"detail": …}` or plain text. */
export const answering = (status: number, text: string, headers: Record<string, string> = {}): Answering => ({
  status,
  text,
  headers: new Headers({
    "content-type": text.startsWith("{") ? "application/json" : "text/plain; charset=utf-8",
    ...headers,
  }),
});
