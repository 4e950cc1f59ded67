/** Parameters of PostgreSQL connection URLs, and what each means here. */
import type { FieldFault } from "../../errors.ts";
import { quoted } from "../../phrases.ts";

const tlsModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof tlsModes)[number];

export const sessionAttributes = [
  "any",
  "read-write",
  "read-only",
  "primary",
  "standby",
  "prefer-standby",
] as const;
export type SessionAttributes = (typeof sessionAttributes)[number];

/** How connections are encrypted. */
export interface TlsParameters {
  mode: TlsMode;
  /** Paths of PEM files; `system` as `rootCert` means the operating system's certificates. */
  rootCert?: string;
  cert?: string;
  key?: string;
  /** Negotiates TLS without a preceding request, as PostgreSQL 17 allows. */
  direct: boolean;
}

/** A parameter that has no effect here. */
export interface IgnoredParameter {
  name: string;
  reason: string;
}

const connectTimeoutMsDefault = 5_000;

const libpqOnly = "it configures libpq, which is not used here";
const poolSetting = "it configures another driver's pool";
const keepalive = "silent connections are detected by their own deadline";

/** Parameters that hosters and other drivers put into URLs, and why they have no effect. */
const ignoredReasons: Record<string, string> = {
  channel_binding: "the driver authenticates without channel binding",
  gssencmode: "connections are not encrypted with GSSAPI",
  keepalives: keepalive,
  keepalives_idle: keepalive,
  keepalives_interval: keepalive,
  keepalives_count: keepalive,
  tcp_user_timeout: keepalive,
  fallback_application_name: libpqOnly,
  sslcompression: libpqOnly,
  sslsni: "the server name is always sent",
  sslpassword: "keys must not be encrypted",
  sslcrl: libpqOnly,
  sslcrldir: libpqOnly,
  ssl_min_protocol_version: "TLS 1.2 is always the minimum",
  ssl_max_protocol_version: libpqOnly,
  krbsrvname: libpqOnly,
  gsslib: libpqOnly,
  gssdelegation: libpqOnly,
  load_balance_hosts: "hosts are tried in order",
  min_protocol_version: libpqOnly,
  max_protocol_version: libpqOnly,
  connection_limit: poolSetting,
  pool_timeout: poolSetting,
  pool_size: poolSetting,
  socket_timeout: poolSetting,
  statement_cache_size: poolSetting,
  schema: "tables are always in schema public",
  sslaccept: "sslmode decides",
  "sslidentity": libpqOnly,
  supa: poolSetting,
  workaround: poolSetting,
};

/** Parameters whose meaning cannot be kept; a connection without it would be another one. */
const refusedReasons: Record<string, string> = {
  passfile: "no passfile: put the password into the URL or PGPASSWORD",
  service: "no service file: write host, port and database into the URL",
  servicefile: "no service file: write host, port and database into the URL",
  requirepeer: "no requirepeer: the peer of a socket is not checked",
  require_auth: "no require_auth: authentication methods cannot be restricted",
  replication: "no replication connection",
  hostaddr: "host instead of hostaddr",
};

/** Decodes percent-encoding. @throws URIError if it is malformed */
export const decode = (text: string): string => decodeURIComponent(text.replaceAll("+", "%2B"));

export const fault = (wanted: string): FieldFault => ({ field: "DATABASE_URL", wanted });

/** The parameters of one URL. Each is taken once; the rest has no effect. */
export class Parameters {
  readonly #values = new Map<string, string>();
  readonly #faults: FieldFault[];

  /**
   * @param query the part of the URL after `?`
   * @param faults receives a fault for each value that cannot be used
   */
  constructor(query: string, faults: FieldFault[]) {
    this.#faults = faults;
    for (const pair of query.split("&").filter((part) => part !== "")) {
      const [name, ...rest] = pair.split("=");
      if (rest.length === 1) this.#values.set(decode(name!), decode(rest[0]!));
      else faults.push(fault(`parameters as name=value, found ${quoted(decode(name!), 40)}`));
    }
  }

  /** Takes a text; undefined if it is absent or empty. */
  take(name: string): string | undefined {
    const value = this.#values.get(name);
    this.#values.delete(name);
    return value === "" ? undefined : value;
  }

  /** Takes one of several words. */
  takeWord<T extends string>(name: string, known: readonly T[], standard: T): T {
    const given = this.take(name);
    const found = known.find((word) => word === given);
    if (given !== undefined && found === undefined) {
      this.#faults.push(fault(`${name} as one of ${known.join(", ")}, found '${given.slice(0, 40)}'`));
    }
    return found ?? standard;
  }

  /** Takes `connect_timeout`. libpq: 0 and negative mean no limit, 1 counts as 2; here the default is the longest. */
  takeTimeoutMs(): number {
    const text = this.take("connect_timeout");
    const seconds = Number(text ?? 0);
    if (!Number.isInteger(seconds)) {
      this.#faults.push(fault(`connect_timeout in whole seconds, found '${text!.slice(0, 20)}'`));
    }
    return seconds > 0 ? Math.max(2, seconds) * 1000 : connectTimeoutMsDefault;
  }

  /**
   * Takes the parameters of TLS.
   *
   * @param environment PGSSLMODE and PGSSLROOTCERT, for what the URL does not say
   */
  takeTls(environment: Record<string, string | undefined>): TlsParameters {
    const isDemanded = [this.take("ssl") === "true", this.take("requiressl") === "1"].includes(true);
    const rootCert = this.take("sslrootcert") ?? environment.PGSSLROOTCERT;
    const given = tlsModes.find((mode) => mode === environment.PGSSLMODE);
    // libpq: `ssl=true` is JDBC's spelling of `require`, and the system's certificates imply `verify-full`.
    const standard = isDemanded ? "require" : given ?? (rootCert === "system" ? "verify-full" : "prefer");
    const mode = this.takeWord("sslmode", tlsModes, standard);
    const cert = this.take("sslcert");
    const key = this.take("sslkey");
    const direct = this.takeWord("sslnegotiation", ["postgres", "direct"], "postgres") === "direct";
    return {
      mode,
      direct,
      ...(rootCert ? { rootCert } : {}),
      ...(cert ? { cert } : {}),
      ...(key ? { key } : {}),
    };
  }

  /** Takes the parameters of the startup packet. */
  takeStartup(): Record<string, string> {
    const encoding = this.take("client_encoding") ?? "UTF8";
    if (!/^(utf-?8|auto)$/i.test(encoding)) this.#faults.push(fault("client_encoding=UTF8 or none"));
    const startup: Record<string, string> = {};
    for (const name of ["application_name", "options"]) {
      const value = this.take(name);
      if (value !== undefined) startup[name] = value;
    }
    return startup;
  }

  /** Takes all that is left: what has no effect is listed, what cannot be ignored is a fault. */
  takeRest(): IgnoredParameter[] {
    const ignored: IgnoredParameter[] = [];
    for (const [name, value] of this.#values) {
      if (name === "gssencmode" && value === "require") {
        this.#faults.push(fault("gssencmode other than require"));
      } else if (name === "schema" && value !== "public") {
        this.#faults.push(fault("schema=public or no schema"));
      } else if (Object.hasOwn(refusedReasons, name)) this.#faults.push(fault(refusedReasons[name]!));
      else {
        const reason = Object.hasOwn(ignoredReasons, name) ? ignoredReasons[name]! : "it is unknown";
        ignored.push({ name, reason });
      }
    }
    return ignored;
  }
}
