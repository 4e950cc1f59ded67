import postgres from "postgres";
import { AppError } from "../../errors.ts";
import { arrayHandlers } from "./arrays.ts";
import { reserveOutsidePool } from "./reserve.ts";
import { readLibpqEnvironment } from "../../config.ts";
import { type DatabaseUrl, parseDatabaseUrl } from "./connection_url.ts";
import { createHostChooser } from "./hosts.ts";
import { pinnedSettings } from "./session.ts";
import { createSocketOpener } from "./socket.ts";
import { readTlsFiles } from "./tls.ts";

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
   * Maximum silence in milliseconds. If no byte arrives within this time after a statement was sent, the
   * server counts as lost and the connection is closed. Set it for long-lived pools.
   */
  silentMsMax?: number;
  /** URL for what belongs to a session, where the pool leads to a pooler: `listen()` and `reserve()`. */
  directUrl?: string;
  /** The setting that holds the URL, which errors name. */
  setting?: string;
}

/** What every connection of a pool, and of its reserved sessions, needs. */
interface Opener {
  url: DatabaseUrl;
  options: ConnectOptions;
  socket: ReturnType<typeof createSocketOpener>;
}

/**
 * Creates a pool that connects at its first statement. Every session has the settings that our statements rely on,
 * whatever the defaults of the server, the database and the user are.
 *
 * @throws AppError invalid_config if the URL cannot be used
 */
export function connect(text: string, options: ConnectOptions = {}): Pool {
  const opener = createOpener(text, options);
  const pool = open(opener, options.max ?? 4);
  const { directUrl = "" } = options;
  const sessions = directUrl === ""
    ? opener
    : createOpener(directUrl, { ...options, setting: "DATABASE_DIRECT_URL" });
  if (sessions !== opener) listenDirectly(pool, open(sessions, 1));
  reserveOutsidePool(pool, () => open(sessions, 1));
  return pool;
}

/** Makes `pool.listen()` use another pool, which ends with it. */
function listenDirectly(pool: Pool, direct: Pool): void {
  pool.listen = direct.listen;
  const { end } = pool;
  pool.end = async (options) => {
    await Promise.all([end(options), direct.end(options)]);
  };
}

function createOpener(text: string, options: ConnectOptions): Opener {
  const url = parseDatabaseUrl(text, readLibpqEnvironment(), options.setting);
  const socket = createSocketOpener({
    url,
    files: readTlsFiles(url.tls),
    silentMsMax: options.silentMsMax,
    chooseHost: createHostChooser(url, readState),
  });
  return { url, options, socket };
}

/** Asks one host whether it permits writes. */
async function readState(url: DatabaseUrl): Promise<{ isReadOnly: boolean; isStandby: boolean }> {
  const socket = createSocketOpener({
    url,
    files: readTlsFiles(url.tls),
    chooseHost: () => Promise.resolve({ position: 0, mode: url.tls.mode }),
  });
  const sql = open({ url, options: {}, socket }, 1);
  try {
    const [state] = await sql<{ is_read_only: boolean; is_standby: boolean }[]>`
      select current_setting('transaction_read_only')::bool as is_read_only, pg_is_in_recovery() as is_standby`;
    return { isReadOnly: state!.is_read_only, isStandby: state!.is_standby };
  } finally {
    await sql.end({ timeout: 0 });
  }
}

function open({ url, options, socket }: Opener, max: number): Pool {
  const { name = "contactsheet", session = {}, silentMsMax } = options;
  const { user, password, database, prepare, startup } = url;
  return postgres({
    host: "localhost",
    user,
    password,
    database,
    prepare,
    ssl: false,
    max,
    onnotice: () => {},
    connect_timeout: url.connectTimeoutMs / 1000 + 1,
    // By default, the driver waits up to 20 s before it reconnects, even if the server is back.
    backoff: (tries) => Math.min(0.05 * 2 ** tries, 0.5) * (0.75 + Math.random() / 2),
    idle_timeout: 0,
    max_lifetime: null,
    // A pooler refuses parameters that it does not track.
    connection: {
      application_name: name,
      ...pinnedSettings(prepare),
      ...startup,
      ...(prepare ? session : {}),
    },
    // By default, the driver reads the array types on each new connection, and may send an array before it
    // knows them.
    types: arrayHandlers as Record<string, postgres.PostgresType>,
    // A connection that ends while the driver reads its types causes an unhandled rejection, which ends the
    // process.
    ...(silentMsMax === undefined ? {} : { fetch_types: false }),
    // The driver accepts a connected socket here, but its type declarations do not.
    ...({ socket } as object),
  });
}

const unreachable = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "ENOENT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "CONNECT_TIMEOUT",
  "ECONNRESET",
  "EAI_AGAIN",
]);
const refused = new Set(["28P01", "28000", "3D000"]);

/** Reports whether TLS failed: the server has none, or its certificate was not accepted. */
const isTlsFailure = (code: string, message: string): boolean =>
  /^(TLS_|ERR_(TLS|SSL)|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code) ||
  /certificate|TLS|ssl/i.test(message);

/**
 * Translates a failure to connect into an error that says what to do.
 *
 * @param setting the setting that holds the URL
 * @returns an AppError if the server does not answer or refuses the connection; otherwise the given error
 */
export function connectError(error: unknown, url: string, setting = "DATABASE_URL"): unknown {
  const { code = "", message = "" } = error as { code?: string; message?: string };
  const where = describeUrl(url);
  const fail = (name: "database_unreachable" | "database_refused", what: string) =>
    new AppError(name, `connecting to PostgreSQL at '${where}': ${what}`, { cause: error });
  if (unreachable.has(code)) {
    return fail("database_unreachable", `nothing answers there (${code}); start it or set ${setting}`);
  }
  if (code === "SESSION_ATTRIBUTES") {
    return fail("database_unreachable", `${message}, as target_session_attrs in ${setting} demands`);
  }
  if (/unsupported startup parameter/.test(message)) {
    return fail(
      "database_refused",
      "PgBouncer answers there: for transaction mode add 'pgbouncer=true' to the parameters of DATABASE_URL, and set " +
        "DATABASE_DIRECT_URL to PostgreSQL's own address",
    );
  }
  if (refused.has(code)) {
    return fail(
      "database_refused",
      `it refused (${message}); check user, password and database name in ${setting}`,
    );
  }
  if (!/^[0-9A-Z]{5}$/.test(code) && isTlsFailure(code, message)) {
    return fail("database_refused", `TLS failed (${message}); check sslmode and sslrootcert in ${setting}`);
  }
  return error;
}

/** Returns hosts and database of a connection URL, without user and password. */
export function describeUrl(text: string): string {
  try {
    const { hosts, database } = parseDatabaseUrl(text);
    const names = hosts.map((host) =>
      "path" in host ? host.path : `${host.host.includes(":") ? `[${host.host}]` : host.host}:${host.port}`
    );
    return `${names.join(",")}/${database}`;
  } catch {
    return "DATABASE_URL";
  }
}

/** Returns the parameters of a connection URL that have no effect, each with the reason. */
export const listIgnoredParameters = (text: string): DatabaseUrl["ignored"] => parseDatabaseUrl(text).ignored;

/** Reports whether a URL says that a pooler in transaction mode answers (`pgbouncer=true`). */
export const isPooledUrl = (text: string): boolean => !parseDatabaseUrl(text).prepare;

/** Runs an empty statement. Rejects if the server does not answer. */
export async function ping(sql: Sql): Promise<void> {
  await sql`select 1`;
}
