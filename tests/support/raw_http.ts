/** HTTP requests as raw bytes, including forms that client libraries do not send. */

/** A request. */
export interface RawRequest {
  method: string;
  /** Target of the request line, unchanged. */
  path: string;
  headers?: [name: string, value: string][];
  body?: Uint8Array | string | null;
}

/** An answer. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
}

const encoder = new TextEncoder();

/** Encodes a text as Latin-1. */
export const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

async function readAll(connection: Deno.Conn): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) break;
    chunks.push(buffer.slice(0, count));
  }
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function joinChunks(bytes: Uint8Array): Uint8Array {
  const decoder = new TextDecoder("latin1");
  const parts: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at);
    const size = parseInt(decoder.decode(bytes.subarray(at, end)), 16);
    if (!(size > 0)) break;
    for (const byte of bytes.subarray(end + 1, end + 1 + size)) parts.push(byte);
    at = end + 1 + size + 2;
  }
  return Uint8Array.from(parts);
}

/** Sends bytes and reads the answer to its end. @returns undefined if the server closed the connection without one */
export async function sendBytes(port: number, bytes: Uint8Array): Promise<RawAnswer | undefined> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const writing = (async () => {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  })().catch(() => {});
  const answer = await readAll(connection);
  await writing;
  const text = new TextDecoder("latin1").decode(answer);
  const split = text.indexOf("\r\n\r\n");
  if (split < 0) return undefined;
  const [first = "", ...lines] = text.slice(0, split).split("\r\n");
  const headers = new Headers();
  for (const line of lines) {
    headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim());
  }
  const rest = answer.subarray(split + 4);
  const body = headers.get("transfer-encoding") === "chunked" ? joinChunks(rest) : rest;
  return { status: Number(first.split(" ")[1]), headers, text: new TextDecoder().decode(body) };
}

/** Sends one request on a new connection. */
export async function sendRaw(port: number, request: RawRequest): Promise<RawAnswer | undefined> {
  const { method, path, headers = [], body = null } = request;
  const bytes = typeof body === "string" ? encoder.encode(body) : body ?? new Uint8Array();
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Connection: close",
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body !== null || method === "POST" || method === "PUT" ? [`Content-Length: ${bytes.length}`] : []),
  ];
  const head = encoder.encode(lines.join("\r\n") + "\r\n\r\n");
  const whole = new Uint8Array(head.length + bytes.length);
  whole.set(head);
  whole.set(bytes, head.length);
  return await sendBytes(port, whole);
}
