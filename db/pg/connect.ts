import postgres from "postgres";
import { AppError } from "../../errors.ts";
import { arrayHandlers } from "./arrays.ts";
import { reserveBeside } from "./reserve.ts";
import { openSocket, type SocketPlace } from "./socket.ts";

/** A pool or a transaction: every statement takes one of either. */
// deno-lint-ignore ban-types -- porsager's own way to say "no custom types"
export type Sql = postgres.Sql<{}> | postgres.TransactionSql<{}>;
// deno-lint-ignore ban-types -- as above
export type Pool = postgres.Sql<{}>;

export interface ConnectOptions {
  /** Connections held at most, beside those that `reserve()` opens; small pools win on few cores. */
  max?: number;
  /** Shown in pg_stat_activity. */
  name?: string;
  /** Extra settings of each session. */
  session?: Record<string, string>;
  /**
   * Sends small packets at once. Without it the statement after a COPY waits 40 ms for an acknowledgement that
   * the server delays.
   */
  noDelay?: boolean;
  /**
   * A statement that gets no byte for an answer within this has lost its server: its connection is closed. For pools
   * that live long.
   */
  silentMsMax?: number;
}

/** Opens a pool lazily: nothing is connected until the first statement. Times are UTC in every session. */
export function connect(url: string, options: ConnectOptions = {}): Pool {
  const pool = open(url, options);
  reserveBeside(pool, () => open(url, { ...options, max: 1 }));
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
    // Left to itself the driver waits up to 20 s before it tries a server again that is long back.
    backoff: (tries) => Math.min(0.05 * 2 ** tries, 0.5) * (0.75 + Math.random() / 2),
    idle_timeout: 0,
    max_lifetime: null,
    connection: { application_name: name, TimeZone: "UTC", ...session },
    // Left to itself the driver learns arrays from each new connection, and was seen to send one before it had.
    types: arrayHandlers as Record<string, postgres.PostgresType>,
    // Where such a connection ends while the driver asks for its arrays, the failure is nobody's and ends the process.
    ...(silentMsMax === undefined ? {} : { fetch_types: false }),
    // The driver takes a connected socket here, which its types do not know.
    ...(noDelay || silentMsMax !== undefined
      ? { socket: (place: SocketPlace) => openSocket(place, silentMsMax) } as object
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
 * Names a failure to connect: what to do about a server that is not there, and about one that refuses.
 *
 * @returns an AppError for those two; else the error as it came
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

/** Host, port and database of a connection URL, without user and password. */
export function describeUrl(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname}`;
  } catch {
    return "DATABASE_URL";
  }
}

/** Asks the server for an answer; rejects when there is none. */
export async function ping(sql: Sql): Promise<void> {
  await sql`select 1`;
}
