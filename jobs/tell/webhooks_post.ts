/**
 * Sends one POST to one of the addresses that a name was resolved to once, after each was checked. `fetch`
 * would resolve the name again and could get another address. Speaks HTTP/1.1 with one request on a
 * connection, and reads only the status of the answer.
 */
import { lookup } from "node:dns/promises";
import { isPublicAddress } from "./webhooks_address.ts";
import { dialFirst, UnreachableError } from "./webhooks_dial.ts";

export interface Post {
  url: URL;
  /** Whether the setting WEBHOOK_HOSTS allows private addresses for it. */
  trusted: boolean;
  headers: Record<string, string>;
  body: string;
  timeoutMs: number;
}

export interface PostDeps {
  /** Resolves a name to addresses; the system's resolver by default. */
  resolve?: (name: string) => Promise<string[]>;
  /** Certificates that are trusted in addition to the system's, in PEM. */
  caCerts?: string[];
}

export type PostResult = { status: number } | { error: string };

const headBytesMax = 16 * 1024;
const resolveAll = async (name: string): Promise<string[]> =>
  (await lookup(name, { all: true })).map(({ address }) => address);

const bareHost = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "");

function writeRequest({ url, headers, body }: Post): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  const all = {
    host: url.host,
    connection: "close",
    "content-length": String(bytes.length),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = new TextEncoder().encode(`POST ${url.pathname}${url.search} HTTP/1.1\r\n${lines}\r\n`);
  const whole = new Uint8Array(head.length + bytes.length);
  whole.set(head);
  whole.set(bytes, head.length);
  return whole;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await conn.write(bytes.subarray(written));
}

/** Reads the status of the first answer that is not an interim (1xx) one. */
async function readStatus(conn: Deno.Conn): Promise<PostResult> {
  const buffer = new Uint8Array(headBytesMax);
  for (let length = 0; length < headBytesMax;) {
    const read = await conn.read(buffer.subarray(length));
    if (read === null) return { error: "closed without an answer" };
    length += read;
    let text = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    while (/^HTTP\/1\.[01] 1\d\d[^]*?\r\n\r\n/.test(text)) text = text.slice(text.indexOf("\r\n\r\n") + 4);
    const [, status] = /^HTTP\/1\.[01] ([2-5]\d\d)[ \r]/.exec(text) ?? [];
    if (status !== undefined) return { status: Number(status) };
    if (!"HTTP/1.".startsWith(text.slice(0, 7))) return { error: "not an answer of HTTP/1.1" };
  }
  return { error: "not an answer of HTTP/1.1" };
}

/** Returns the addresses to connect to, or the reason why there are none. */
async function findAddresses({ url, trusted }: Post, resolve: (name: string) => Promise<string[]>) {
  const host = bareHost(url);
  const isLiteral = /^[\d.]+$/.test(host) || host.includes(":");
  const addresses = isLiteral ? [host] : [...new Set(await resolve(host))];
  if (addresses.length === 0) return "no address of that name";
  // One private address refuses the name as a whole: such an answer is a mistake or an attack.
  if (!trusted && !addresses.every(isPublicAddress)) return "the name leads into a private network";
  return addresses;
}

/**
 * Sends a POST.
 *
 * @returns the status of the answer, also of a redirect, or the reason why there is none
 */
export async function postPinned(
  post: Post,
  { resolve = resolveAll, caCerts = [] }: PostDeps = {},
): Promise<PostResult> {
  const { url, timeoutMs } = post;
  const isTls = url.protocol === "https:";
  const late = new AbortController();
  let conn: Deno.Conn | undefined;
  const { promise: timeout, resolve: giveUp } = Promise.withResolvers<PostResult>();
  const timer = setTimeout(() => {
    late.abort();
    conn?.close();
    giveUp({ error: `no answer within ${timeoutMs / 1000} s` });
  }, timeoutMs);
  const work = async (): Promise<PostResult> => {
    const addresses = await findAddresses(post, resolve);
    if (typeof addresses === "string") return { error: addresses };
    conn = await dialFirst({
      addresses,
      port: Number(url.port || (isTls ? 443 : 80)),
      signal: late.signal,
      ...(isTls && { tls: { hostname: bareHost(url), caCerts } }),
    });
    await writeAll(conn, writeRequest(post));
    return await readStatus(conn);
  };
  try {
    return await Promise.race([
      work().catch((error): PostResult => ({
        error: error instanceof UnreachableError ? error.message : `unreachable: ${(error as Error).name}`,
      })),
      timeout,
    ]);
  } finally {
    clearTimeout(timer);
    try {
      conn?.close();
    } catch {
      // The receiver or the timeout has closed it.
    }
  }
}
