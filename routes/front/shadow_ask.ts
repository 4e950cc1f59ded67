/** Asks both systems for an answer in the background, and reads its text. */
import type { Step } from "../../comparison/request.ts";
import { firstAuthorization } from "../common/headers.ts";

/** An answer as it was received. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  body: Uint8Array;
}

/** An answer whose body is not parsed yet. */
export interface TextAnswer {
  status: number;
  /** Headers by name in lower case. */
  headers: Map<string, string>;
  text: string;
}

/** Parts of a request that are needed to repeat it. */
export interface RepeatableRequest {
  method: string;
  /** URL as the client sent it; `new URL()` would resolve `..`. */
  url: string;
  headers: Headers;
}

export type Ask = (request: Request) => Promise<Response>;

/** Maximum size of a compared answer of the old backend, and of the other one, which may differ. */
export const bodyBytesMax = 1024 * 1024;
const otherBytesMax = 4 * bodyBytesMax;

const answerMsMax = 10_000;

/** Headers that are not repeated: those of the connection, and those that would make the answers incomparable. */
const notRepeated = [
  ...[
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "content-length",
  ],
  ...["accept-encoding", "range", "if-none-match", "if-modified-since", "if-match", "if-range"],
];

const decoder = new TextDecoder();

const packings: Record<string, CompressionFormat> = { gzip: "gzip", "x-gzip": "gzip", deflate: "deflate" };

/** Returns the body without its packing, or undefined if it cannot be unpacked. */
async function unpack({ headers, body }: RawAnswer): Promise<Uint8Array | undefined> {
  const coding = headers.get("content-encoding")?.toLowerCase() ?? "identity";
  if (coding === "identity") return body;
  const format = packings[coding];
  if (format === undefined) return undefined;
  const bytes = new Uint8Array(body);
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
  return await readBytes(unpacked, otherBytesMax).catch(() => undefined);
}

/** Reads the text of an answer. @returns undefined if its body is too large or has an unknown encoding */
export async function readText(raw: RawAnswer): Promise<TextAnswer | undefined> {
  const bytes = await unpack(raw);
  if (bytes === undefined) return undefined;
  return { status: raw.status, headers: new Map(raw.headers), text: decoder.decode(bytes) };
}

/** Reads a stream. @returns undefined if it is longer than `max` */
export async function readBytes(
  stream: ReadableStream<Uint8Array> | null,
  max: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  // Leaving the loop cancels the stream.
  for await (const chunk of stream ?? []) {
    length += chunk.length;
    if (length > max) return undefined;
    chunks.push(new Uint8Array(chunk));
  }
  return await new Blob(chunks).bytes();
}

/** Sends a GET again. @returns undefined without an answer that can be compared */
export async function askAgain(
  ask: Ask,
  { url, headers }: RepeatableRequest,
  signal: AbortSignal,
): Promise<TextAnswer | undefined> {
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = setTimeout(end, answerMsMax);
  signal.addEventListener("abort", end);
  try {
    const sent = new Headers(headers);
    for (const name of notRepeated) sent.delete(name);
    sent.set("accept-encoding", "identity");
    const response = await ask(new Request(url, { headers: sent, signal: ending.signal }));
    const body = await readBytes(response.body, otherBytesMax);
    return body && await readText({ status: response.status, headers: response.headers, body });
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** Splits a URL as the client sent it. */
export function splitUrl(url: string): { origin: string; path: string; query: string[] } {
  const [, origin = "", target = "/"] = /^(https?:\/\/[^/?]*)(.*)$/.exec(url) ?? [];
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  return { origin, path, query: mark < 0 ? [] : target.slice(mark + 1).split("&") };
}

/** Stands for a token that a system accepts, and for one that none accepts. The token itself is not kept. */
const acceptedToken = "Bearer ${token}";
const rejectedToken = "Bearer rejected";

/** Returns the request as the rules read it, without its token. */
export function toStep({ method, url, headers }: RepeatableRequest, isTokenAccepted: boolean): Step {
  const { path, query } = splitUrl(url);
  const shown: [string, string][] = [];
  const authorization = firstAuthorization(headers);
  if (authorization !== undefined) {
    const isBearer = /^bearer \S+$/i.test(authorization.trim());
    shown.push(["authorization", isBearer && isTokenAccepted ? acceptedToken : rejectedToken]);
  }
  return { method, path, query, headers: shown, body: null };
}
