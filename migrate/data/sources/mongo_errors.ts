/** What a MongoDB's refusal means, without a password in any word of it. */
import type { MongoClient } from "mongodb";
import { AppError } from "../../../errors.ts";

const urlPattern = /^(mongodb(?:\+srv)?):\/\/(?:([^/?@]*)@)?([^/?@]+)(?:\/([^?@]*))?(?:\?(.*))?$/i;
const hostPattern = /^(?:[\w.-]+|\[[\da-f:]+\]|[\w.%-]+\.sock)(?::\d{1,5})?$/i;

/** A URL taken apart. */
export interface Address {
  /** The database. */
  name: string;
  /** The URL as it may be shown. */
  shown: string;
  /** What may be shown nowhere. */
  secrets: string[];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The database that a URL names, or the setting beside it.
 *
 * @throws AppError invalid_source
 */
export function readUrl(url: string, database: string): Address {
  const [, scheme, account = "", hosts = "", path = ""] = urlPattern.exec(url) ?? [];
  if (scheme === undefined || !hosts.split(",").every((host) => hostPattern.test(host))) {
    throw new AppError(
      "invalid_source",
      "opening the old database: its URL cannot be read; wanted mongodb://USER:PASSWORD@HOST:PORT/DATABASE, with " +
        "'/', '@', ':' in a password written as %2F, %40, %3A",
    );
  }
  const name = database || decode(path);
  if (name === "") {
    throw new AppError(
      "invalid_source",
      `opening '${scheme}://${hosts}': no database is named; wanted ${scheme}://${hosts}/DATABASE, or DB_NAME`,
    );
  }
  const password = account.includes(":") ? account.slice(account.indexOf(":") + 1) : "";
  const secrets = [password, decode(password)].filter((secret) => secret !== "");
  return { name, shown: `${scheme}://${hosts}/${name}`, secrets };
}

/** The hosts a client was told, and the database. */
export const locationOf = ({ options }: MongoClient, name: string): string =>
  `mongodb://${options.srvHost ?? options.hosts.map(String).join(",")}/${name}`;

interface Refusal {
  name?: string;
  code?: number | string;
  message?: string;
}

// Unauthorized, AuthenticationFailed, and Atlas's own.
const refused = new Set<unknown>([13, 18, 8000]);

// A socket's own errors come through the driver now and then.
const isGone = (name: string, code: unknown, message: string) =>
  /^MongoServerSelection|^MongoNetwork|^MongoTopologyClosed|^MongoNotConnected|PoolCleared/.test(name) ||
  (!name.startsWith("Mongo") &&
    (/^(EPIPE|E(CONN|HOST|NET)\w+|ETIMEDOUT)$/.test(String(code)) || /socket/.test(message)));

/** A driver's error in our words, without the secrets; one of ours stays as it is. */
export function explain(error: unknown, doing: string, secrets: readonly string[]): unknown {
  if (error instanceof AppError) return error;
  const { name = "", code, message: told = "" } = error as Refusal;
  const message = secrets.reduce((text, secret) => text.replaceAll(secret, "***"), told);
  const cause = new Error(message);
  if (refused.has(code)) {
    const why = code === 13 ? "its account may not read there" : "it refuses the user or the password";
    return new AppError(
      "database_refused",
      `${doing}: ${why} (${message}); wanted an account with the role 'read' on the database, and ` +
        "authSource=admin in the URL where the account lives there",
      { cause },
    );
  }
  if (isGone(name, code, message)) {
    return new AppError(
      "database_unreachable",
      `${doing}: the old database does not answer (${message}); start it or name another one, and run the ` +
        "same command again",
      { cause },
    );
  }
  if (/^Mongo(Parse|InvalidArgument|MissingCredentials|API)/.test(name) || code === "ENOTFOUND") {
    return new AppError("invalid_source", `${doing}: its URL cannot be used (${message})`, { cause });
  }
  return name.startsWith("Mongo") ? new AppError("invalid_source", `${doing}: ${message}`, { cause }) : error;
}
