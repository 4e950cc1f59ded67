/** Opens Redis over either of two transports: REST with Upstash's client, or TCP with the same client over node-redis. */
import { Redis } from "@upstash/redis";
import { createClient, ErrorReply } from "redis";
import { AppError } from "../errors.ts";

type Requester = ConstructorParameters<typeof Redis>[0] & { request: unknown };

/** The address of a Redis server. */
export interface RedisAddress {
  /** redis:// or rediss:// */
  url?: string;
  /** URL of Upstash's REST interface. It takes precedence over `url`. */
  restUrl?: string;
  restToken?: string;
  /** Timeout of a call. A TCP connection that is silent for longer is closed. */
  timeoutMs?: number;
}

export interface RedisConnection extends AsyncDisposable {
  kind: "tcp" | "rest";
  redis: Redis;
  /** Opens a separate connection for reads that block up to `blockMs`. Absent over REST, which cannot block. */
  openBlocking?: (blockMs: number) => BlockingConnection;
  /** @throws AppError redis_unreachable; its text names the setting to correct */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** A connection for blocking reads. `close` ends a read at once. */
export interface BlockingConnection {
  redis: Redis;
  close(): void;
}

const callTimeoutMs = 5_000;

type TcpClient = ReturnType<typeof createTcpClient>;

function createTcpClient(url: string) {
  const client = createClient({
    url,
    RESP: 2,
    // Commands fail at once while disconnected, so that the worker reads from PostgreSQL instead.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: callTimeoutMs,
      reconnectStrategy: (retries: number) => Math.min(50 * 2 ** retries, 1_000) + Math.random() * 50,
    },
  });
  // Without a listener, an error event would end the process. Each command reports its own failure.
  client.on("error", () => {});
  return client;
}

class RedisTimeout extends Error {}

/** @throws RedisTimeout when `work` has not ended after `ms` */
async function withTimeout<T>(work: Promise<T>, ms: number): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new RedisTimeout(`asking Redis: no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

const toText = (part: unknown): string => typeof part === "string" ? part : String(part);
const describe = (error: unknown): string => error instanceof Error ? error.message : String(error);

interface Reply {
  result?: unknown;
  error?: string;
}

/** Turns an error that Redis answered into a reply. Throws other errors: the connection failed. */
function toReply(result: unknown): Reply {
  if (result instanceof ErrorReply) return { error: result.message };
  if (result instanceof Error) throw result;
  return { result };
}

const sendOne = (client: TcpClient, command: unknown[]): Promise<Reply> =>
  client.sendCommand(command.map(toText)).catch((error) => error).then(toReply);

async function sendAtomic(client: TcpClient, commands: unknown[][]): Promise<Reply[]> {
  const multi = client.multi();
  for (const command of commands) multi.addCommand(command.map(toText));
  const replies = await multi.exec().catch((error: { replies?: unknown[] }) => {
    if (!error.replies) throw error;
    return error.replies;
  });
  return (replies as unknown[]).map(toReply);
}

/** @param mode path of Upstash's REST interface; undefined sends a single command */
function send(client: TcpClient, mode: string | undefined, body: unknown[]): Promise<Reply | Reply[]> {
  if (mode === "multi-exec") return sendAtomic(client, body as unknown[][]);
  // node-redis sends commands that are written in the same turn in one packet.
  if (mode === "pipeline") {
    return Promise.all((body as unknown[][]).map((command) => sendOne(client, command)));
  }
  return sendOne(client, body);
}

/** Carries out the requests of Upstash's client on a TCP connection. Connects on first use. */
class TcpRequester {
  readonly #client: TcpClient;
  readonly #timeoutMs: number;
  #connecting: Promise<unknown> | undefined;

  constructor(url: string, timeoutMs: number) {
    this.#client = createTcpClient(url);
    this.#timeoutMs = timeoutMs;
  }

  async #waitUntilReady(): Promise<void> {
    if (this.#client.isReady) return;
    // The first connect() retries by itself. A caller waits for it at most a second.
    this.#connecting ??= this.#client.connect().catch(() => this.#connecting = undefined);
    const until = performance.now() + 1_000;
    while (!this.#client.isReady && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (!this.#client.isReady) throw new Error("Redis is not connected");
  }

  async request({ path, body }: { path?: string[]; body?: unknown }): Promise<Reply | Reply[]> {
    await this.#waitUntilReady();
    const call = send(this.#client, path?.[0], body as unknown[]);
    try {
      return await withTimeout(call, this.#timeoutMs);
    } catch (error) {
      if (error instanceof RedisTimeout) this.#disconnect();
      throw error;
    }
  }

  /** Closes a silent connection. The next request opens a new one. */
  #disconnect(): void {
    this.close();
    this.#connecting = undefined;
  }

  close(): void {
    try {
      this.#client.destroy();
    } catch {
      // It was never open.
    }
  }
}

/** Upstash's client without deserialization. Its own constructor ignores options when it receives a requester. */
class PlainRedis extends Redis {
  constructor(requester: TcpRequester) {
    super(requester as unknown as Requester);
    this.opts = { automaticDeserialization: false };
  }
}

type Transport = Omit<RedisConnection, "check" | typeof Symbol.asyncDispose>;

function openTcp(url: string, timeoutMs: number): Transport {
  const requester = new TcpRequester(url, timeoutMs);
  const blockingRequesters = new Set<TcpRequester>();
  return {
    kind: "tcp",
    redis: new PlainRedis(requester),
    openBlocking(blockMs) {
      const own = new TcpRequester(url, timeoutMs + blockMs);
      blockingRequesters.add(own);
      return {
        redis: new PlainRedis(own),
        close: () => {
          blockingRequesters.delete(own);
          own.close();
        },
      };
    },
    // deno-lint-ignore require-await -- the interface is asynchronous, this transport closes at once
    async close() {
      for (const own of blockingRequesters) own.close();
      requester.close();
    },
  };
}

function openRest(restUrl: string, token: string, timeoutMs: number): Transport {
  const redis = new Redis({
    url: restUrl,
    token,
    automaticDeserialization: false,
    enableTelemetry: false,
    enableAutoPipelining: false,
    retry: { retries: 2, backoff: (retry) => 50 * 2 ** retry },
    signal: () => AbortSignal.timeout(timeoutMs),
  });
  return { kind: "rest", redis, close: () => Promise.resolve() };
}

/** Returns host and port, without user, password and token. */
function describeAddress({ url = "", restUrl = "" }: RedisAddress): string {
  const text = restUrl || url;
  return URL.canParse(text) ? new URL(text).host : text;
}

/** Opens Redis. Connects with the first command. */
export function openRedis(address: RedisAddress): RedisConnection {
  const { url = "redis://127.0.0.1:6379/0", restUrl, restToken = "", timeoutMs = callTimeoutMs } = address;
  const transport = restUrl ? openRest(restUrl, restToken, timeoutMs) : openTcp(url, timeoutMs);
  return {
    ...transport,
    async check() {
      try {
        await transport.redis.ping();
      } catch (cause) {
        const setting = restUrl ? "UPSTASH_REDIS_REST_URL" : "REDIS_URL";
        const text = `connecting to Redis at '${describeAddress(address)}': it does not answer ` +
          `(${describe(cause)}); start it or set ${setting}`;
        throw new AppError("redis_unreachable", text, { cause });
      }
    },
    [Symbol.asyncDispose]: transport.close,
  };
}
