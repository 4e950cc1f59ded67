import postgres from "postgres";
import { AppError } from "../../errors.ts";
import { arrayHandlers } from "./arrays.ts";
import { reserveOutsidePool } from "./reserve.ts";
import { openSocket, type SocketAddress } from "./socket.ts";

/** A pool or a transaction. Every function that runs statements takes one of them. */
// deno-lint-ignore ban-types -- the driver's notation for "no custom types"
export type Sql = postgres.Sql<{}> | postgres.TransactionSql<{}>;
// deno-lint-ignore ban-types -- as above
export type Pool = postgres.Sql<{}>;

export interface ConnectOptions {
  /** Maximum connections, without those of `reserve()`. Small pools are faster on few cores. */
  max?: number;
  /** Application name in pg_stat_activity. */
  name?: string;
  /** Additional settings of each session. */
  session?: Record<string, string>;
  /**
   * Sends small packets immediately (TCP_NODELAY). Without it, the statement after a COPY waits 40 ms for a
   * delayed acknowledgement of the server.
   */
  noDelay?: boolean;
  /**
   * Maximum silence in milliseconds. If no byte arrives within this time after a statement was sent, the
   * server counts as lost and the connection is closed. Set it for long-lived pools.
   */
  silentMsMax?: number;
}

/** Creates a pool that connects at its first statement. The time zone of every session is UTC. */
export function connect(url: string, options: ConnectOptions = {}): Pool {
  const pool = open(url, options);
  reserveOutsidePool(pool, () => open(url, { ...options, max: 1 }));
  return pool;
}

function open(
  url: string,
  { max = 4, name = "contactsheet", session = {}, noDelay = false, silentMsMax }: ConnectOptions,
): Pool {
  return postgres(url, {
    max,
    onnotice: () => {},
    connect_timeout: 5,
    // By default, the driver waits up to 20 s before it reconnects, even if the server is back.
    backoff: (tries) => Math.min(0.05 * 2 ** tries, 0.5) * (0.75 + Math.random() / 2),
    idle_timeout: 0,
    max_lifetime: null,
    connection: { application_name: name, TimeZone: "UTC", ...session },
    // By default, the driver reads the array types on each new connection, and may send an array before it
    // knows them.
    types: arrayHandlers as Record<string, postgres.PostgresType>,
    // A connection that ends while the driver reads its types causes an unhandled rejection, which ends the
    // process.
    ...(silentMsMax === undefined ? {} : { fetch_types: false }),
    // The driver accepts a connected socket here, but its type declarations do not.
    ...(noDelay || silentMsMax !== undefined
      ? { socket: (address: SocketAddress) => openSocket(address, silentMsMax) } as object
      : {}),
  });
}

const unreachable = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ETIMEDOUT",
  "CONNECT_TIMEOUT",
  "ECONNRESET",
]);
const refused = new Set(["28P01", "28000", "3D000"]);

/**
 * Translates a failure to connect into an error that says what to do.
 *
 * @returns an AppError if the server does not answer or refuses the connection; otherwise the given error
 */
export function connectError(error: unknown, url: string): unknown {
  const code = (error as { code?: string }).code ?? "";
  const where = describeUrl(url);
  if (unreachable.has(code)) {
    return new AppError(
      "database_unreachable",
      `connecting to PostgreSQL at '${where}': nothing answers there (${code}); start it or set DATABASE_URL`,
      { cause: error },
    );
  }
  if (refused.has(code)) {
    return new AppError(
      "database_refused",
      `connecting to PostgreSQL at '${where}': it refused (${(error as Error).message}); ` +
        "check user, password and database name in DATABASE_URL",
      { cause: error },
    );
  }
  return error;
}

/** Returns host, port and database of a connection URL, without user and password. */
export function describeUrl(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname}`;
  } catch {
    return "DATABASE_URL";
  }
}

/** Runs an empty statement. Rejects if the server does not answer. */
export async function ping(sql: Sql): Promise<void> {
  await sql`select 1`;
}
