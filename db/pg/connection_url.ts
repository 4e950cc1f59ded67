/** Reads PostgreSQL connection URLs as libpq does (its manual, «Connection URIs» and «Parameter Key Words»). */
import { AppError, type FieldFault } from "../../errors.ts";
import {
  decode,
  fault,
  type IgnoredParameter,
  Parameters,
  type SessionAttributes,
  sessionAttributes,
  type TlsParameters,
} from "./connection_parameters.ts";
import { counted } from "../../phrases.ts";

/** One server: a TCP address, or the path of a Unix socket. */
export type DatabaseHost = { host: string; port: number } | { path: string };

/** A parsed connection URL. */
export interface DatabaseUrl {
  /** Servers to try in this order. */
  hosts: DatabaseHost[];
  database: string;
  user: string;
  password: string;
  tls: TlsParameters;
  sessionAttributes: SessionAttributes;
  connectTimeoutMs: number;
  /** Prepared statements survive between transactions; false behind a pooler in transaction mode. */
  prepare: boolean;
  /** Parameters of the startup packet. */
  startup: Record<string, string>;
  /** Parameters that have no effect here, each with the reason. */
  ignored: IgnoredParameter[];
}

const portDefault = 5432;

/** Splits the part after the scheme: `user:password@hosts/database?query`. */
function splitUrl(
  text: string,
): { userInfo: string; hosts: string; database: string; query: string } | undefined {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text);
  if (!match) return undefined;
  const [, userInfo = "", hosts = "", database = "", query = ""] = match;
  return { userInfo, hosts, database, query };
}

/** Parses `host:port`, `[IPv6]:port`, an encoded socket directory, or a port alone. */
function parseHost(text: string): { host: string; port: string } | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:\]]*))?$/.exec(text);
  return match ? { host: match[1] ?? decode(match[2]!), port: match[3] ?? "" } : undefined;
}

/** Pairs hosts with ports as libpq does: one port serves all hosts. */
function pairHosts(hosts: string[], ports: string[], faults: FieldFault[]): DatabaseHost[] {
  if (ports.length > 1 && ports.length !== hosts.length) {
    faults.push(
      fault(
        `as many ports as hosts, found ${counted(ports.length, "port")} for ${counted(hosts.length, "host")}`,
      ),
    );
    return [];
  }
  return hosts.map((host, i) => {
    const portText = (ports.length > 1 ? ports[i] : ports[0]) || String(portDefault);
    const port = Number(portText);
    if (!/^\d+$/.test(portText) || port < 1 || port > 65_535) {
      faults.push(fault(`a port from 1 to 65535, found '${portText.slice(0, 20)}'`));
    }
    if (host.startsWith("/")) return { path: `${host}/.s.PGSQL.${portText}` };
    return { host: host === "" ? "localhost" : host, port };
  });
}

/** Reads hosts and ports from the URL, its parameters, or the environment, in this order of precedence by libpq. */
function readHosts(
  text: string,
  parameters: Parameters,
  environment: Record<string, string | undefined>,
  faults: FieldFault[],
): DatabaseHost[] {
  const parsed = text === "" ? [] : text.split(",").map(parseHost);
  if (parsed.includes(undefined)) faults.push(fault("hosts as name:port, with an IPv6 address in brackets"));
  const hosts = parsed.map((host) => host?.host ?? "");
  const ports = parsed.map((host) => host?.port ?? "");
  const hasPorts = ports.some((port) => port !== "");
  const hostText = parameters.take("host") ??
    (hosts.length === 0 ? environment.PGHOST ?? "" : hosts.join(","));
  const portText = parameters.take("port") ?? (hasPorts ? ports.join(",") : environment.PGPORT ?? "");
  return pairHosts(hostText.split(","), portText === "" ? [] : portText.split(","), faults);
}

/**
 * Parses a connection URL.
 *
 * @param environment values for what the URL does not say: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE,
 * PGSSLROOTCERT
 * @param setting the setting that holds the URL, which faults name
 * @throws AppError invalid_config that names every fault; the password is never shown
 *
 * @example
 * ```ts
 * import { parseDatabaseUrl } from "./connection_url.ts";
 * const url = parseDatabaseUrl("postgres://u:p%40@[::1]:5433,db2/images?sslmode=require", {});
 * if (url.password !== "p@" || url.hosts.length !== 2 || url.tls.mode !== "require") throw new Error();
 * ```
 */
export function parseDatabaseUrl(
  text: string,
  environment: Record<string, string | undefined> = {},
  setting = "DATABASE_URL",
): DatabaseUrl {
  const faults: FieldFault[] = [];
  const url = readUrl(text, environment, faults);
  if (url === undefined || faults.length > 0) {
    const fields = faults.map((fault) => ({ ...fault, field: setting }));
    throw new AppError("invalid_config", `reading ${setting}: it cannot be used`, { fields });
  }
  return url;
}

function readUrl(
  text: string,
  environment: Record<string, string | undefined>,
  faults: FieldFault[],
): DatabaseUrl | undefined {
  const parts = splitUrl(text);
  if (!parts) {
    faults.push(fault("postgres://user:password@host:port/database"));
    return undefined;
  }
  try {
    const parameters = new Parameters(parts.query, faults);
    const hosts = readHosts(parts.hosts, parameters, environment, faults);
    const [userText = "", ...passwordTexts] = parts.userInfo.split(":");
    const user = decode(userText) || (parameters.take("user") ?? environment.PGUSER ?? "postgres");
    return {
      hosts,
      user,
      password: decode(passwordTexts.join(":")) ||
        (parameters.take("password") ?? environment.PGPASSWORD ?? ""),
      database: decode(parts.database) || (parameters.take("dbname") ?? environment.PGDATABASE ?? user),
      tls: parameters.takeTls(environment),
      sessionAttributes: parameters.takeWord("target_session_attrs", sessionAttributes, "any"),
      connectTimeoutMs: parameters.takeTimeoutMs(),
      prepare: parameters.take("pgbouncer") !== "true",
      startup: parameters.takeStartup(),
      ignored: parameters.takeRest(),
    };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    faults.push(fault("valid percent-encoding: write % as %25"));
    return undefined;
  }
}
