/** Failures of PostgreSQL and Redis that pass by themselves, by the `code` of the error. */

/** Returns the error's `code`: an SQLSTATE, a name of the driver, or a name of the operating system. */
const codeOf = (error: unknown): string =>
  String((error as { code?: unknown } | undefined | null)?.code ?? "");

/** Codes of the driver, of the operating system, of name resolution and of sockets; SQLSTATE class 08. */
const connectionCodes =
  /^(?:CONNECT_TIMEOUT|CONNECTION_[A-Z_]+|E[A-Z]+|EAI_[A-Z]+|ERR_(?:SOCKET|STREAM|TLS)_[A-Z_]+|08[0-9A-Z]{3})$/;

/** Reports whether a connection could not be made, or broke. */
export const isConnectionFailure = (error: unknown): boolean => connectionCodes.test(codeOf(error));

/**
 * Reports whether PostgreSQL rolled the transaction back: a deadlock or a serialization failure (class 40).
 */
export const isRolledBack = (error: unknown): boolean => /^40[0-9A-Z]{3}$/.test(codeOf(error));

/** Reports whether PostgreSQL ran out of memory, disk space or connections (class 53). */
export const isOutOfResources = (error: unknown): boolean => /^53[0-9A-Z]{3}$/.test(codeOf(error));

/** Reports whether PostgreSQL stops, starts, or cancelled the statement (class 57). */
export const isInterrupted = (error: unknown): boolean => /^57[0-9A-Z]{3}$/.test(codeOf(error));

/** Reports whether the server only reads: it is a standby that is not promoted yet. */
export const isReadOnly = (error: unknown): boolean => codeOf(error) === "25006";

/** Reports whether `lock_timeout` ended the wait for a lock. */
export const isLockTimeout = (error: unknown): boolean => codeOf(error) === "55P03";

/**
 * Reports whether the same work can succeed later without a change: it is worth repeating.
 *
 * @example
 * ```ts
 * import { isPassing } from "./passing.ts";
 * if (!isPassing({ code: "40P01" }) || isPassing({ code: "23505" })) throw new Error("a deadlock passes");
 * ```
 */
export const isPassing = (error: unknown): boolean =>
  isConnectionFailure(error) || isRolledBack(error) || isOutOfResources(error) || isInterrupted(error) ||
  isReadOnly(error);

/**
 * Reports whether a client should send its request again: the failure passes, or a lock was held for too
 * long.
 */
export const isPassingForClient = (error: unknown): boolean => isPassing(error) || isLockTimeout(error);

const lostCodes = new Set([
  "57P01",
  "57P02",
  "57P03",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "EPIPE",
]);

/** Reports whether an open connection was lost, or the server is stopping. */
export const isConnectionLost = (error: unknown): boolean => lostCodes.has(codeOf(error));

/** Reports whether the disk is full, or a limit that stands for it is reached. */
export const isDiskFull = (error: unknown): boolean => codeOf(error) === "53100" || codeOf(error) === "53400";

/** Reports whether PostgreSQL refused a value (class 22) or a row (class 23). */
export const isRefusedRow = (error: unknown): boolean => /^2[23][0-9A-Z]{3}$/.test(codeOf(error));

/** Reports whether a row was refused because it refers to a missing row, or because its unique key is taken. */
export const isKeyConflict = (error: unknown): boolean => /^235(?:03|05)$/.test(codeOf(error));
