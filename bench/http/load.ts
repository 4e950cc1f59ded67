/**
 * A small load generator over raw TCP with keep-alive, a program of its own: a client in the server's process, or
 * one built on fetch(), would be what is measured. Reads a {@link LoadOrder} as its argument, prints {@link Loaded}.
 */
import { print } from "../../process.ts";

export interface LoadOrder {
  port: number;
  /** A whole HTTP/1.1 request. */
  request: string;
  connections: number;
  /** Ends after so many seconds, or so many requests in all. */
  seconds: number;
  requestsMax: number;
  /** The status that every answer must have. */
  status: number;
}

export interface Loaded {
  requests: number;
  seconds: number;
  bytes: number;
  /** Milliseconds from the request's first byte to the answer's last. */
  p50: number;
  p95: number;
  p99: number;
}

const decoder = new TextDecoder("latin1");

/** How the answer's end is told, from its head. */
function readHead(head: string): { status: number; length: number | undefined } {
  const status = Number(head.slice(9, 12));
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (status === 304 || status === 204) return { status, length: 0 };
  return { status, length: length === undefined ? undefined : Number(length) };
}

const lastChunk = "0\r\n\r\n";

class Connection {
  readonly #buffer = new Uint8Array(256 * 1024);

  private constructor(readonly conn: Deno.TcpConn) {}

  static async open(port: number): Promise<Connection> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    return new Connection(conn);
  }

  async #read(): Promise<Uint8Array> {
    const count = await this.conn.read(this.#buffer);
    if (count === null) throw new Error("the server closed the connection");
    return this.#buffer.subarray(0, count);
  }

  /** @returns bytes of the answer */
  async ask(request: Uint8Array, wanted: number): Promise<number> {
    await this.conn.write(request);
    let piece = await this.#read();
    let head = decoder.decode(piece);
    let end = head.indexOf("\r\n\r\n");
    let bytes = piece.length;
    while (end < 0) {
      piece = await this.#read();
      bytes += piece.length;
      head += decoder.decode(piece);
      end = head.indexOf("\r\n\r\n");
    }
    const { status, length } = readHead(head.slice(0, end));
    if (status !== wanted) throw new Error(`wanted status ${wanted}, got ${head.slice(0, 500)}`);
    if (length !== undefined) {
      while (bytes < end + 4 + length) bytes += (await this.#read()).length;
      return bytes;
    }
    // Chunked: JSON text never holds the bytes of the last chunk.
    let tail = head.slice(-lastChunk.length);
    while (tail !== lastChunk) {
      piece = await this.#read();
      bytes += piece.length;
      tail = (tail + decoder.decode(piece.subarray(-lastChunk.length))).slice(-lastChunk.length);
    }
    return bytes;
  }
}

async function run(order: LoadOrder): Promise<Loaded> {
  const request = new TextEncoder().encode(order.request);
  const connections = await Promise.all(
    Array.from({ length: order.connections }, () => Connection.open(order.port)),
  );
  const times: number[] = [];
  let started = 0;
  let bytes = 0;
  const started0 = performance.now();
  const until = started0 + order.seconds * 1000;
  await Promise.all(connections.map(async (connection) => {
    while (started < order.requestsMax && performance.now() < until) {
      started++;
      const from = performance.now();
      bytes += await connection.ask(request, order.status);
      times.push(performance.now() - from);
    }
    connection.conn.close();
  }));
  const seconds = (performance.now() - started0) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { requests: times.length, seconds, bytes, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

if (import.meta.main) print(JSON.stringify(await run(JSON.parse(Deno.args[0]!))));
