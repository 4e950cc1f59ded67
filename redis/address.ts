/** Reads REDIS_URL in the forms in which hosters hand it out. */
import { AppError } from "../errors.ts";
import { quoted } from "../phrases.ts";

/** Where to connect: a host, or the path of a Unix socket. */
interface SocketPlace {
  host?: string;
  port?: number;
  family?: 4 | 6;
  path?: string;
  tls?: boolean;
  rejectUnauthorized?: boolean;
  /** Certificates of authorities, in PEM, instead of the usual ones. */
  ca?: string;
}

/** What a URL says about the connection. */
export interface RedisUrl {
  socket: SocketPlace;
  username?: string;
  password?: string;
  database?: number;
  /** Names of query parameters that have no meaning here. */
  ignored: string[];
}

const schemes: Record<string, boolean> = {
  "redis:": false,
  "valkey:": false,
  "rediss:": true,
  "valkeys:": true,
};

const fail = (wanted: string): never => {
  throw new AppError("invalid_config", "reading REDIS_URL: the value is invalid", {
    fields: [{ field: "REDIS_URL", wanted }],
  });
};

/** Decodes percent signs. Keeps a text with other percent signs, which some hosters do not encode. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readDatabase(text: string): number | undefined {
  if (text === "") return undefined;
  return /^\d{1,9}$/.test(text) ? Number(text) : fail(`a database number, such as 0, instead of '${text}'`);
}

function readCertificates(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const hint = error instanceof Deno.errors.NotCapable
      ? "this program may read certificates in 'certs' of its working folder, '/etc/ssl' and '/run/secrets'"
      : (error as Error).name;
    return fail(`ssl_ca_certs to name a readable file, ${quoted(path)} is none (${hint})`);
  }
}

/** The parameters with a meaning, as redis-py and ioredis name them. */
function readQuery(query: URLSearchParams): {
  database?: number;
  /** Whose certificates are accepted. */
  trust: Pick<SocketPlace, "rejectUnauthorized" | "ca">;
  family?: 4 | 6;
  ignored: string[];
} {
  const known = new Set(["db", "ssl_cert_reqs", "ssl_ca_certs", "family"]);
  const database = readDatabase(query.get("db") ?? "");
  const family = query.get("family");
  const acceptsAny = /^(?:cert_)?none$/i.test(query.get("ssl_cert_reqs") ?? "");
  const authorities = query.get("ssl_ca_certs") ?? "";
  return {
    ...(database === undefined ? {} : { database }),
    ...(family === "4" || family === "6" ? { family: Number(family) as 4 | 6 } : {}),
    trust: {
      ...(acceptsAny ? { rejectUnauthorized: false } : {}),
      ...(authorities === "" ? {} : { ca: readCertificates(authorities) }),
    },
    ignored: [...new Set(query.keys())].filter((name) => !known.has(name)),
  };
}

const credentials = (username: string, password: string) => ({
  ...(username === "" ? {} : { username: decode(username) }),
  ...(password === "" ? {} : { password: decode(password) }),
});

/** unix://[user[:password]@]/path[?db=N]: no URL for the standard parser if it has a user. */
function parseUnixUrl(text: string): RedisUrl {
  const match = /^unix:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?(\/[^?#]+)(?:\?([^#]*))?/i.exec(text);
  if (!match) return fail("unix:// and the absolute path of a socket");
  const [, username = "", password = "", path, query = ""] = match;
  const { database, ignored } = readQuery(new URLSearchParams(query));
  return {
    socket: { path: decode(path!), tls: false },
    ...credentials(username, password),
    ...(database === undefined ? {} : { database }),
    ignored,
  };
}

/**
 * Parses a URL: redis://, rediss:// (TLS), valkey://, valkeys:// or unix://.
 *
 * @throws AppError invalid_config
 *
 * @example
 * ```ts
 * import { parseRedisUrl } from "./address.ts";
 * const { socket, database, ignored } = parseRedisUrl("rediss://default:s@[::1]:6380/2?protocol=3");
 * if (socket.host !== "::1" || database !== 2 || ignored[0] !== "protocol") throw new Error("read as written");
 * ```
 */
export function parseRedisUrl(text: string): RedisUrl {
  if (/^unix:/i.test(text)) return parseUnixUrl(text);
  const url = URL.canParse(text) ? new URL(text) : fail("a URL whose user and password are percent-encoded");
  const tls = schemes[url.protocol] ?? fail("a URL that starts with redis://, rediss:// or unix://");
  if (url.hostname === "") return fail("a URL with a host");
  const { database, family, trust, ignored } = readQuery(url.searchParams);
  const path = readDatabase(url.pathname.replace(/^\/|\/$/g, "")) ?? database;
  const host = decode(url.hostname.replace(/^\[(.*)\]$/, "$1"));
  const port = url.port === "" ? {} : { port: Number(url.port) };
  const place = { host, ...port, ...(family === undefined ? {} : { family }) };
  return {
    socket: tls ? { ...place, tls, ...trust } : place,
    ...credentials(url.username, url.password),
    ...(path === undefined ? {} : { database: path }),
    ignored,
  };
}
