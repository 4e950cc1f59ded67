/** One Redis API over two transports: Upstash's REST, and TCP through a `Requester` over node-redis. */
import { Redis } from "@upstash/redis";
import { createClient, ErrorReply } from "redis";
import { AppError } from "../errors.ts";

type Requester = ConstructorParameters<typeof Redis>[0] & { request: unknown };

/** Where Redis is. */
export interface RedisPlace {
  /** redis:// or rediss:// */
  url?: string;
  /** Upstash REST, used instead of `url` where it is set. */
  restUrl?: string;
  restToken?: string;
  /** Of one call; a connection that is silent for longer is left behind. */
  timeoutMs?: number;
}

export interface RedisDoor extends AsyncDisposable {
  kind: "tcp" | "rest";
  redis: Redis;
  /** Opens a connection of its own for reads that block up to `blockMs`; undefined where blocking is impossible. */
  openBlocking?: (blockMs: number) => BlockingDoor;
  /** @throws AppError redis_unreachable with what to do */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** A connection that waits; `close` ends a wait at once. */
export interface BlockingDoor {
  redis: Redis;
  close(): void;
}

const callTimeoutMs = 5_000;

type TcpClient = ReturnType<typeof createTcpClient>;

function createTcpClient(url: string) {
  const client = createClient({
    url,
    RESP: 2,
    // A command that cannot be sent now fails now: PostgreSQL is asked instead.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: callTimeoutMs,
      reconnectStrategy: (retries: number) => Math.min(50 * 2 ** retries, 1_000) + Math.random() * 50,
    },
  });
  // Without a listener an error event would end the process; each command reports its own failure.
  client.on("error", () => {});
  return client;
}

/** Rejects when `work` is not done in time: a peer that went silent must not hold a caller. */
async function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, promise]);
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

/** Redis' own refusals are answers; anything else is a failure of the connection. */
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

function send(client: TcpClient, way: string | undefined, body: unknown[]): Promise<Reply | Reply[]> {
  if (way === "multi-exec") return sendAtomic(client, body as unknown[][]);
  // Commands written in one turn leave in one packet.
  if (way === "pipeline") {
    return Promise.all((body as unknown[][]).map((command) => sendOne(client, command)));
  }
  return sendOne(client, body);
}

/** Upstash's protocol spoken to a TCP connection; connects on first use. */
class TcpRequester {
  readonly #client: TcpClient;
  readonly #timeoutMs: number;
  #connecting: Promise<unknown> | undefined;

  constructor(url: string, timeoutMs: number) {
    this.#client = createTcpClient(url);
    this.#timeoutMs = timeoutMs;
  }

  async #ready(): Promise<void> {
    if (this.#client.isReady) return;
    // The first connect() keeps trying by itself; nobody waits for it longer than one call may take.
    this.#connecting ??= this.#client.connect().catch(() => this.#connecting = undefined);
    const until = performance.now() + 1_000;
    while (!this.#client.isReady && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (!this.#client.isReady) throw new Error("Redis is not connected");
  }

  async request({ path, body }: { path?: string[]; body?: unknown }): Promise<Reply | Reply[]> {
    await this.#ready();
    const call = send(this.#client, path?.[0], body as unknown[]);
    try {
      return await withDeadline(call, this.#timeoutMs, "asking Redis");
    } catch (error) {
      if (describe(error).startsWith("asking Redis")) this.#reconnect();
      throw error;
    }
  }

  /** Leaves a silent socket behind. */
  #reconnect(): void {
    this.close();
    this.#connecting = undefined;
  }

  close(): void {
    try {
      this.#client.destroy();
    } catch {
      // It never opened.
    }
  }
}

/** The package's class drops its options when it is given a requester; values must come back as they are. */
class PlainRedis extends Redis {
  constructor(requester: TcpRequester) {
    super(requester as unknown as Requester);
    this.opts = { automaticDeserialization: false };
  }
}

function openTcp(url: string, timeoutMs: number): Omit<RedisDoor, "check" | typeof Symbol.asyncDispose> {
  const requester = new TcpRequester(url, timeoutMs);
  const blocking = new Set<TcpRequester>();
  return {
    kind: "tcp",
    redis: new PlainRedis(requester),
    openBlocking(blockMs) {
      const own = new TcpRequester(url, timeoutMs + blockMs);
      blocking.add(own);
      return {
        redis: new PlainRedis(own),
        close: () => {
          blocking.delete(own);
          own.close();
        },
      };
    },
    // deno-lint-ignore require-await -- closing is immediate here, not everywhere
    async close() {
      for (const own of blocking) own.close();
      requester.close();
    },
  };
}

function openRest(
  restUrl: string,
  token: string,
  timeoutMs: number,
): Omit<RedisDoor, "check" | typeof Symbol.asyncDispose> {
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

/** Host and port of a URL, without user, password and token. */
function describePlace({ url = "", restUrl = "" }: RedisPlace): string {
  const text = restUrl || url;
  return URL.canParse(text) ? new URL(text).host : text;
}

/** Opens Redis lazily: nothing is connected until the first command. */
export function openRedis(place: RedisPlace): RedisDoor {
  const { timeoutMs = callTimeoutMs } = place;
  const door = place.restUrl
    ? openRest(place.restUrl, place.restToken ?? "", timeoutMs)
    : openTcp(place.url ?? "redis://127.0.0.1:6379/0", timeoutMs);
  return {
    ...door,
    async check() {
      try {
        await door.redis.ping();
      } catch (cause) {
        const name = place.restUrl ? "UPSTASH_REDIS_REST_URL" : "REDIS_URL";
        const where = describePlace(place);
        throw new AppError(
          "redis_unreachable",
          `connecting to Redis at '${where}': it does not answer (${describe(cause)}); ` +
            `start it or set ${name}`,
          { cause },
        );
      }
    },
    [Symbol.asyncDispose]: door.close,
  };
}
