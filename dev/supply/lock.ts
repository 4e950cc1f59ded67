/** The packages of deno.lock. */
import { AppError } from "../../errors.ts";

/** A locked package. */
export interface Locked {
  /** Key in the lock file. One version may be locked twice, with different peers. */
  key: string;
  name: string;
  version: string;
  /** SHA-512 of the package in hexadecimal digits. */
  sha512: string;
  /** Keys of the packages that it depends on. */
  dependencies: string[];
}

interface LockEntry {
  integrity?: string;
  dependencies?: string[];
  optionalDependencies?: string[];
}

const toHex = (base64: string): string =>
  [...atob(base64)].map((letter) => letter.charCodeAt(0).toString(16).padStart(2, "0")).join("");

/** Splits `@scope/name@1.2.3_peer@4.5.6`. */
function split(key: string): { name: string; version: string } {
  const at = key.indexOf("@", 1);
  return { name: key.slice(0, at), version: key.slice(at + 1).split("_")[0]! };
}

/**
 * Reads the packages of a lock file.
 *
 * @throws AppError invalid_source if it is not a lock file of Deno
 */
export function parseLock(text: string): Locked[] {
  let lock: { npm?: Record<string, LockEntry> };
  try {
    lock = JSON.parse(text);
  } catch (cause) {
    throw new AppError("invalid_source", `reading the lock file: ${(cause as Error).message}`, { cause });
  }
  const entries = Object.entries(lock.npm ?? {});
  if (entries.length === 0) {
    throw new AppError("invalid_source", "reading the lock file: it has no npm packages");
  }
  const keys = new Set(entries.map(([key]) => key));
  // A dependency without a version is the only locked one of its name.
  const byName = new Map(entries.map(([key]) => [split(key).name, key]));
  const resolve = (text: string): string =>
    keys.has(text) ? text : byName.get(split(`${text}@`).name) ?? text;
  return entries.map(([key, { integrity = "", dependencies = [], optionalDependencies = [] }]) => ({
    key,
    ...split(key),
    sha512: integrity.startsWith("sha512-") ? toHex(integrity.slice(7)) : "",
    dependencies: [...dependencies, ...optionalDependencies].map(resolve).filter((found) => keys.has(found)),
  }));
}
