/** Carries out the requests of Upstash's client on a TCP connection of node-redis. */
import { createClient, ErrorReply, type RedisClientOptions } from "redis";
import { parseRedisUrl } from "./address.ts";
import { describeDisconnect } from "./disconnect.ts";
import { isDemoted, isRefused } from "./refusal.ts";

type TcpClient = ReturnType<typeof createTcpClient>;

const connectTimeoutMs = 5_000;
/** Maximum wait of a command for the connection. */
const readyWaitMs = 1_000;

/** @param onError receives failures of the connection; node-redis reconnects by itself */
function createTcpClient(url: string, onError: (error: Error) => void) {
  const { ignored: _, socket, ...options } = parseRedisUrl(url);
  const client = createClient({
    ...options,
    RESP: 2,
    // Commands fail at once while disconnected, so that the worker reads from PostgreSQL instead.
    disableOfflineQueue: true,
    // The type of the package separates TLS, TCP and Unix sockets.
    socket: {
      ...socket,
      connectTimeout: connectTimeoutMs,
      reconnectStrategy: (retries: number) => Math.min(50 * 2 ** retries, 1_000) + Math.random() * 50,
    } as NonNullable<RedisClientOptions["socket"]>,
  });
  // Without a listener, an error event would end the process. Each command reports its own failure.
  client.on("error", onError);
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

/** What Redis answered to one command. */
export interface Reply {
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
    if (error.replies) return error.replies;
    // Redis refused to queue a command, and thus the whole transaction.
    if (error instanceof ErrorReply) return commands.map(() => error);
    throw error;
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

const hasError = (answer: Reply | Reply[], matches: (text: string) => boolean): boolean =>
  [answer].flat().some(({ error }) => error !== undefined && matches(error));

/** Age from which a connection whose server refuses commands is replaced. */
const refusedAfterMs = 3_000;

/**
 * One connection, opened by the first request.
 *
 * States: closed, connecting, ready. Moves:
 * - The first request makes it connecting, and node-redis makes it ready. node-redis reconnects after an end.
 * - A timeout closes a silent connection. The next request opens another.
 * - An answer that the server is no primary replaces the connection, and the request is sent once more. The
 * new connection resolves the server's name again, which a failover may have moved.
 * - Another refusal, such as a full memory, replaces a connection that is some seconds old: it may hide that
 * the server is no primary any more.
 */
export class TcpRequester {
  readonly #url: string;
  readonly #timeoutMs: number;
  readonly #usesTls: boolean;
  #client: TcpClient;
  #createdAt = performance.now();
  #connecting: Promise<unknown> | undefined;
  #closed = false;
  /** The last failure to connect. */
  #lastError: Error | undefined;

  constructor(url: string, timeoutMs: number) {
    this.#url = url;
    this.#timeoutMs = timeoutMs;
    this.#usesTls = parseRedisUrl(url).socket.tls ?? false;
    this.#client = this.#createClient();
  }

  #createClient(): TcpClient {
    return createTcpClient(this.#url, (error) => this.#lastError = error);
  }

  async #waitUntilReady(): Promise<TcpClient> {
    const client = this.#client;
    if (client.isReady) return client;
    // The first connect() retries by itself. A caller waits for it at most `readyWaitMs`.
    this.#connecting ??= client.connect().catch(() => {
      if (client === this.#client) this.#connecting = undefined;
    });
    const until = performance.now() + readyWaitMs;
    while (!client.isReady && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (client.isReady) return client;
    const { message = "" } = this.#lastError ?? {};
    throw new Error(describeDisconnect(message, { usesTls: this.#usesTls, waitedMs: readyWaitMs }));
  }

  async #sendOnce(path: string[] | undefined, body: unknown[]): Promise<[TcpClient, Reply | Reply[]]> {
    const client = await this.#waitUntilReady();
    try {
      return [client, await withTimeout(send(client, path?.[0], body), this.#timeoutMs)];
    } catch (error) {
      if (error instanceof RedisTimeout) this.#replace(client, "at_once");
      throw error;
    }
  }

  async request({ path, body }: { path?: string[]; body?: unknown }): Promise<Reply | Reply[]> {
    const [client, answer] = await this.#sendOnce(path, body as unknown[]);
    if (this.#closed) return answer;
    if (!hasError(answer, isDemoted)) {
      const isOld = performance.now() - this.#createdAt > refusedAfterMs;
      if (isOld && hasError(answer, isRefused)) this.#replace(client, "after_answers");
      return answer;
    }
    this.#replace(client, "after_answers");
    return (await this.#sendOnce(path, body as unknown[]))[1];
  }

  /**
   * Replaces a connection, unless another request did so. Requests under way may receive their answers first.
   */
  #replace(client: TcpClient, when: "at_once" | "after_answers"): void {
    if (client !== this.#client) return;
    this.#client = this.#createClient();
    this.#createdAt = performance.now();
    this.#connecting = undefined;
    if (when === "at_once") return destroy(client);
    const timer = setTimeout(() => destroy(client), this.#timeoutMs);
    client.close().catch(() => {}).finally(() => clearTimeout(timer));
  }

  close(): void {
    this.#closed = true;
    destroy(this.#client);
  }
}

function destroy(client: TcpClient): void {
  try {
    client.destroy();
  } catch {
    // It was never open.
  }
}
