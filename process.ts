/** The one place that ends the process and writes to its standard output. */
import { AppError, describeError } from "./errors.ts";

const encoder = new TextEncoder();

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(to.writeSync(bytes));
}

/** Writes a line to stdout: what a script may read. */
export function print(line: string): void {
  writeAll(Deno.stdout, line + "\n");
}

/** Writes a line to stderr: what a person reads beside it. */
export function printError(line: string): void {
  writeAll(Deno.stderr, line + "\n");
}

/** The exit code of a failure: an AppError's own, else 1. */
export function exitCode(error: unknown): number {
  return error instanceof AppError ? error.exit : 1;
}

/** Settles once the signal is aborted, at once when it is already. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/**
 * Runs a program to its end: SIGINT and SIGTERM abort the signal it is given (a second one ends it at once), a
 * failure is printed as one message, and the process exits with what `main` returned or the failure's code.
 */
export async function runMain(main: (signal: AbortSignal) => Promise<number | void>): Promise<never> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => {
      if (stop.signal.aborted) Deno.exit(130);
      stop.abort(new DOMException(`received ${name}`, "AbortError"));
    });
  }
  try {
    Deno.exit(await main(stop.signal) ?? 0);
  } catch (error) {
    printError(`error: ${describeError(error)}`);
    if (!(error instanceof AppError) && error instanceof Error && error.stack) printError(error.stack);
    Deno.exit(exitCode(error));
  }
}
