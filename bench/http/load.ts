/**
 * A load generator that sends requests over raw TCP with keep-alive. It is a separate program, because a client in the
 * same process or one that uses fetch() would be slower than the server. Its argument is a {@link LoadInput} as JSON; it
 * prints a {@link LoadResult}.
 */
import { print } from "../../process.ts";

/** The load to generate. */
export interface LoadInput {
  port: number;
  /** The complete HTTP/1.1 request. */
  request: string;
  connections: number;
  /** Maximum duration. */
  seconds: number;
  /** Maximum number of requests over all connections. */
  requestsMax: number;
  /** Expected status of every answer. */
  status: number;
}

/** The measured load. */
export interface LoadResult {
  requests: number;
  seconds: number;
  bytes: number;
  /** Percentiles of the time from sending the request to the last byte of its answer, in milliseconds. */
  p50: number;
  p95: number;
  p99: number;
}

const decoder = new TextDecoder("latin1");

/** Reads the status and the body's length, which is undefined for chunked answers. */
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

  /** Sends a request and reads its answer. @returns the size of the answer in bytes */
  async send(request: Uint8Array, expectedStatus: number): Promise<number> {
    await this.conn.write(request);
    let chunk = await this.#read();
    let head = decoder.decode(chunk);
    let end = head.indexOf("\r\n\r\n");
    let bytes = chunk.length;
    while (end < 0) {
      chunk = await this.#read();
      bytes += chunk.length;
      head += decoder.decode(chunk);
      end = head.indexOf("\r\n\r\n");
    }
    const { status, length } = readHead(head.slice(0, end));
    if (status !== expectedStatus) {
      throw new Error(`expected status ${expectedStatus}, got ${head.slice(0, 500)}`);
    }
    if (length !== undefined) {
      while (bytes < end + 4 + length) bytes += (await this.#read()).length;
      return bytes;
    }
    // Chunked: JSON text never contains the bytes of the last chunk.
    let tail = head.slice(-lastChunk.length);
    while (tail !== lastChunk) {
      chunk = await this.#read();
      bytes += chunk.length;
      tail = (tail + decoder.decode(chunk.subarray(-lastChunk.length))).slice(-lastChunk.length);
    }
    return bytes;
  }
}

async function run(input: LoadInput): Promise<LoadResult> {
  const request = new TextEncoder().encode(input.request);
  const connections = await Promise.all(
    Array.from({ length: input.connections }, () => Connection.open(input.port)),
  );
  const times: number[] = [];
  let requests = 0;
  let bytes = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + input.seconds * 1000;
  await Promise.all(connections.map(async (connection) => {
    while (requests < input.requestsMax && performance.now() < endsAt) {
      requests++;
      const from = performance.now();
      bytes += await connection.send(request, input.status);
      times.push(performance.now() - from);
    }
    connection.conn.close();
  }));
  const seconds = (performance.now() - startedAt) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { requests: times.length, seconds, bytes, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** Runs the program. @throws Error when an answer has another status, or the server closes a connection */
export async function runLoad(input: LoadInput): Promise<LoadResult> {
  const args = ["run", "-A", "--no-check", new URL(import.meta.url).pathname, JSON.stringify(input)];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (import.meta.main) print(JSON.stringify(await run(JSON.parse(Deno.args[0]!))));
