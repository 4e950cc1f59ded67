/** Reads URLs of MongoDB in the forms in which hosters and tools hand them out. */
import { AppError } from "../../../errors.ts";
import { type IgnoredOption, MongoOptions } from "./mongo_options.ts";

/** Where a URL comes from, for messages. */
export type MongoSetting = "MONGODB_URL" | "the URL";

/** A parsed URL. */
export interface MongoUrl {
  setting: MongoSetting;
  /** The URL for the driver, with the options that it knows. */
  url: string;
  /** Name of the database. */
  name: string;
  /** The URL without its user, password and options. */
  shown: string;
  hosts: string[];
  /** Whether DNS names the hosts (`mongodb+srv://`). */
  isSrv: boolean;
  usesTls: boolean;
  replicaSet: string | undefined;
  ignored: IgnoredOption[];
  /** Texts that must not appear in messages. */
  secrets: string[];
}

const urlPattern = /^(mongodb(?:\+srv)?):\/\/(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^@?#]*))?(?:\?([^#]*))?$/i;
const hostPattern = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::(\d{1,5}))?$|^%2f[\w.%-]+\.sock$/i;
const portMax = 65_535;
const forms =
  "mongodb://USER:PASSWORD@HOST:PORT/DATABASE, with '/', '@', ':', '?', '#' and '%' in user and " +
  "password written as %2F, %40, %3A, %3F, %23 and %25";

const isHost = (text: string): boolean => {
  const match = hostPattern.exec(text);
  return match !== null && Number(match[1] ?? 1) >= 1 && Number(match[1] ?? 1) <= portMax;
};

interface Account {
  user: string;
  password: string | undefined;
}

/** @throws URIError if the percent-encoding is malformed */
function readAccount(text: string, onFault: (wanted: string) => void): Account | undefined {
  if (text === "") return undefined;
  const [user = "", password, ...rest] = text.split(":");
  if (rest.length > 0) onFault(forms);
  if (user === "") onFault("a user before the password");
  return {
    user: decodeURIComponent(user),
    password: password === undefined ? undefined : decodeURIComponent(password),
  };
}

function checkHosts(hosts: string[], isSrv: boolean, onFault: (wanted: string) => void): void {
  if (!hosts.every(isHost)) {
    onFault(
      "hosts as name:port, with an IPv6 address in brackets, and a socket as its percent-encoded path: " +
        "mongodb://%2Frun%2Fmongodb-27017.sock/DATABASE",
    );
  } else if (isSrv && (hosts.length > 1 || hosts[0]!.includes(":") || hosts[0]!.startsWith("%"))) {
    onFault("one name without a port after mongodb+srv://, because DNS names the hosts and ports");
  }
}

/** Checks what depends on several options. */
function checkTogether(passed: Map<string, string>, isSrv: boolean, hosts: string[]): string | undefined {
  const has = (name: string, value = "true") => passed.get(name) === value;
  if (has("directConnection") && (isSrv || hosts.length > 1)) {
    return "directConnection=true with one host only";
  }
  if (!isSrv && (passed.has("srvMaxHosts") || passed.has("srvServiceName"))) {
    return "srvMaxHosts and srvServiceName only with mongodb+srv://";
  }
  if (passed.has("tlsInsecure") && [...passed.keys()].some((name) => name.startsWith("tlsAllowInvalid"))) {
    return "either tlsInsecure or tlsAllowInvalidCertificates and tlsAllowInvalidHostnames";
  }
  if (has("loadBalanced") && (hosts.length > 1 || passed.has("replicaSet") || has("directConnection"))) {
    return "loadBalanced=true with one host, without replicaSet and directConnection";
  }
}

interface Parts {
  scheme: string;
  account: Account | undefined;
  hosts: string[];
  database: string;
  options: MongoOptions;
}

function splitUrl(text: string, onFault: (wanted: string) => void): Parts | undefined {
  const match = urlPattern.exec(text);
  if (!match) return undefined;
  const [, scheme = "", accountText = "", hostText = "", database = "", query = ""] = match;
  const isSrv = scheme.toLowerCase() === "mongodb+srv";
  try {
    const account = readAccount(accountText, onFault);
    const hosts = hostText.split(",");
    checkHosts(hosts, isSrv, onFault);
    const options = new MongoOptions(query, onFault);
    const conflict = checkTogether(options.passed, isSrv, hosts);
    if (conflict !== undefined) onFault(conflict);
    return { scheme: scheme.toLowerCase(), account, hosts, database: decodeURIComponent(database), options };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** Writes the URL for the driver. */
function writeUrl({ scheme, account, hosts, database, options }: Parts): string {
  const encode = encodeURIComponent;
  const user = account === undefined
    ? ""
    : `${encode(account.user)}${account.password === undefined ? "" : `:${encode(account.password)}`}@`;
  const query = [...options.passed].map(([name, value]) => `${name}=${encode(value)}`).join("&");
  return `${scheme}://${user}${hosts.join()}/${encode(database)}?${query}`;
}

/**
 * Reports whether a part of the password may stand where hosts or options are expected. Azure's `appName=@NAME@` is
 * no such part.
 */
const mayShowPassword = (text: string): boolean =>
  text.replace(/^[^@]*?:\/\/(?:[^@/?#]*@)?/, "").replace(/(?<=[?&]appName=)@[^@&]*@/i, "").includes("@");

/**
 * Parses a URL.
 *
 * @param database name of the database; empty: the URL names it
 * @param setting where the URL comes from
 * @throws AppError invalid_source that names every fault; the password is never shown
 *
 * @example
 * ```ts
 * import { parseMongoUrl } from "./mongo_url.ts";
 * const url = parseMongoUrl("mongodb://u:p%40@h1,h2:27018/old?replicaSet=rs0&ssl=true", "");
 * if (url.name !== "old" || url.shown !== "mongodb://h1,h2:27018/old" || !url.usesTls) throw new Error("misread");
 * ```
 */
export function parseMongoUrl(text: string, database: string, setting: MongoSetting = "the URL"): MongoUrl {
  const faults: string[] = [];
  const parts = splitUrl(text, (wanted) => faults.push(wanted));
  if (parts === undefined || (faults.length > 0 && mayShowPassword(text))) faults.splice(0, Infinity, forms);
  const name = database || parts?.database || "";
  if (/[/\\. "$\0]/.test(name)) faults.push("a database name without '/', '\\', '.', '$', '\"' and spaces");
  if (parts === undefined || faults.length > 0) {
    throw new AppError(
      "invalid_source",
      `reading ${setting}: wanted ${[...new Set(faults)].join("; wanted ")}`,
    );
  }
  const { scheme, account, hosts, options } = parts;
  const { passed, ignored } = options;
  const shown = `${scheme}://${hosts.join()}`;
  if (name === "") {
    throw new AppError(
      "invalid_source",
      `reading ${setting}: no database is named; wanted ${shown}/DATABASE, or DB_NAME`,
    );
  }
  const secrets = [account?.password, passed.get("tlsCertificateKeyFilePassword")]
    .filter((secret) => secret !== undefined && secret !== "") as string[];
  const isSrv = scheme === "mongodb+srv";
  return {
    setting,
    url: writeUrl(parts),
    name,
    shown: `${shown}/${name}`,
    hosts,
    isSrv,
    usesTls: passed.get("tls") === "true" || (isSrv && !passed.has("tls")),
    replicaSet: passed.get("replicaSet"),
    ignored,
    secrets: [...new Set(secrets.flatMap((secret) => [secret, encodeURIComponent(secret)]))],
  };
}
