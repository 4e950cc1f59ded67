/** The command line of `deno task start`. */
import { AppError } from "./errors.ts";
import { quoted } from "./phrases.ts";
import { print } from "./process.ts";

const usage = `Usage: deno task start

Runs the API on PORT until it receives SIGTERM. It takes no arguments: docs/settings.md lists its settings.`;

/**
 * Prints the usage where it is requested.
 *
 * @returns whether the API should run
 * @throws AppError usage
 */
export function checkStartArguments([first]: string[]): boolean {
  if (first === "--help" || first === "-h") {
    print(usage);
    return false;
  }
  if (first === undefined) return true;
  throw new AppError(
    "usage",
    `reading the arguments: ${quoted(first)} is unknown; see 'deno task start --help'`,
  );
}
