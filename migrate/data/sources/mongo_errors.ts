/** Errors of MongoDB, shown without passwords. */
import type { MongoClient } from "mongodb";
import { AppError } from "../../../errors.ts";
import { explainDns, explainUnreachable, type MongoContext } from "./mongo_failure.ts";

/** Returns the hosts and the database of a client as a URL without user and password. */
export const formatLocation = ({ options }: MongoClient, name: string): string =>
  `mongodb://${options.srvHost ?? options.hosts.map(String).join(",")}/${name}`;

interface DriverError {
  name?: string;
  code?: number | string;
  message?: string;
}

// Unauthorized, AuthenticationFailed, MechanismUnavailable, and the code of Atlas.
const refusedCodes = new Set<unknown>([13, 18, 334, 8000]);

// The driver passes some errors of the socket through.
const isConnectionError = (name: string, code: unknown, message: string) =>
  /^MongoServerSelection|^MongoNetwork|^MongoTopologyClosed|^MongoNotConnected|PoolCleared/.test(name) ||
  (!name.startsWith("Mongo") &&
    (/^(EPIPE|E(CONN|HOST|NET)\w+|ETIMEDOUT)$/.test(String(code)) || /socket/.test(message)));

function describeRefusal(code: unknown, setting: string): string {
  if (code === 334) return `it does not offer this authMechanism; correct authMechanism in ${setting}`;
  return (code === 13 ? "its account may not read there" : "it refuses the user or the password") +
    `; wanted in ${setting} an account with the role 'read' on the database, and authSource=admin where the ` +
    "account lives there";
}

/**
 * Converts an error of the driver to an AppError without the secrets. Returns an AppError unchanged.
 *
 * @param action first words of the message
 */
export function toAppError(error: unknown, action: string, context: MongoContext): unknown {
  if (error instanceof AppError) return error;
  const { secrets, setting } = context;
  const { name = "", code, message: fullMessage = "" } = error as DriverError;
  const message = secrets.reduce((text, secret) => text.replaceAll(secret, "***"), fullMessage);
  const cause = new Error(message);
  const explained = explainUnreachable(error, action, context) ?? explainDns(error, action, context);
  if (explained) return explained;
  if (refusedCodes.has(code)) {
    const [what, wanted] = describeRefusal(code, setting).split("; ");
    return new AppError("database_refused", `${action}: ${what} (${message}); ${wanted}`, { cause });
  }
  if (isConnectionError(name, code, message)) {
    return new AppError(
      "database_unreachable",
      `${action}: the old database does not answer (${message}); start it or correct ${setting}, and run the ` +
        "same command again",
      { cause },
    );
  }
  if (/^Mongo(Parse|InvalidArgument|MissingCredentials|API|Compatibility)/.test(name)) {
    return new AppError("invalid_source", `${action}: ${setting} cannot be used (${message})`, { cause });
  }
  return name.startsWith("Mongo")
    ? new AppError("invalid_source", `${action}: ${message}`, { cause })
    : error;
}

// Unrecognized expression: the server is older than the operator.
const unknownExpression = 168;

/** Reports whether the server cannot compute digests of documents. */
export const isDigestUnsupported = (error: unknown): boolean =>
  (error as DriverError).code === unknownExpression;

// The oplog was overwritten, the stream cannot be resumed, the capped collection has moved on.
const lostCodes = new Set<unknown>([286, 280, 136]);

/** Reports whether a change stream cannot start because the oplog does not reach back to its position. */
export const isPositionLost = (error: unknown): boolean => lostCodes.has((error as DriverError).code);

// Codes of elections, shutdowns and lost cursors.
const passingCodes = new Set<unknown>([
  ...[6, 7, 43, 63, 89, 91, 133, 134, 189, 234, 237, 262, 9001],
  ...[10058, 10107, 11600, 11601, 11602, 13388, 13435, 13436],
]);

/** Reports whether a failure of MongoDB passes by itself: a lost connection, an election, a restart. */
export function isPassingMongo(error: unknown): boolean {
  const { name = "", code, message = "" } = error as DriverError;
  const labels = (error as { hasErrorLabel?(label: string): boolean }).hasErrorLabel;
  return isConnectionError(name, code, message) || passingCodes.has(code) ||
    ["ResumableChangeStreamError", "RetryableWriteError", "TransientTransactionError"].some((label) =>
      labels?.call(error, label)
    );
}
