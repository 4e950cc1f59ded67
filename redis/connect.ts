/**
 * Opens Redis over either of two transports: REST with Upstash's client, or TCP with the same client over
 * node-redis.
 */
import { Redis } from "@upstash/redis";
import { AppError } from "../errors.ts";
import { parseRedisUrl } from "./address.ts";
import { describeFault } from "./refusal.ts";
import { TcpRequester } from "./tcp.ts";

type Requester = ConstructorParameters<typeof Redis>[0] & { request: unknown };

/** The address of a Redis server. */
export interface RedisAddress {
  /** A URL as `parseRedisUrl` reads it. */
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
  /**
   * Opens a separate connection for reads that block up to `blockMs`. Absent over REST, which cannot block.
   */
  openBlocking?: (blockMs: number) => BlockingConnection;
  /** Names of the URL's query parameters that have no meaning here. */
  ignored: string[];
  /**
   * Runs `probe`, by default a PING.
   *
   * @throws AppError redis_unreachable; its text names the cause and the setting to correct
   */
  check(probe?: () => Promise<unknown>): Promise<void>;
  close(): Promise<void>;
}

/** A connection for blocking reads. `close` ends a read at once. */
export interface BlockingConnection {
  redis: Redis;
  close(): void;
}

/** Over REST no call blocks, so a silent gateway is noticed sooner. */
const callTimeoutMs = { tcp: 5_000, rest: 2_500 };
const defaultUrl = "redis://127.0.0.1:6379/0";

/**
 * Upstash's client without deserialization. Its own constructor ignores options when it receives a requester.
 */
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
    ignored: parseRedisUrl(url).ignored,
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
  return { kind: "rest", ignored: [], redis, close: () => Promise.resolve() };
}

/** Returns host and port, or the path of a Unix socket, without user, password and token. */
function describeAddress({ url = defaultUrl, restUrl = "" }: RedisAddress): string {
  if (restUrl === "" && /^unix:/i.test(url)) return parseRedisUrl(url).socket.path!;
  const text = restUrl || url;
  return URL.canParse(text) ? new URL(text).host : "an invalid URL";
}

/**
 * Opens Redis. Connects with the first command.
 *
 * @throws AppError invalid_config if the URL is invalid
 */
export function openRedis(address: RedisAddress): RedisConnection {
  const { url = defaultUrl, restUrl, restToken = "" } = address;
  const timeoutMs = address.timeoutMs ?? callTimeoutMs[restUrl ? "rest" : "tcp"];
  const transport = restUrl ? openRest(restUrl, restToken, timeoutMs) : openTcp(url, timeoutMs);
  return {
    ...transport,
    async check(probe = () => transport.redis.ping()) {
      try {
        await probe();
      } catch (cause) {
        const setting = restUrl ? "UPSTASH_REDIS_REST_URL" : "REDIS_URL";
        const { text: what, advice } = describeFault(cause);
        const text = `connecting to Redis at '${describeAddress(address)}': it ${what}; ${advice}; ` +
          `or set ${setting} to another`;
        throw new AppError("redis_unreachable", text, { cause });
      }
    },
    [Symbol.asyncDispose]: transport.close,
  };
}
