/** The only code that ends the process or writes to its standard output. */
import { AppError, describeError } from "./errors.ts";

const encoder = new TextEncoder();

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(to.writeSync(bytes));
}

/** Writes a line to stdout, for scripts. */
export function print(line: string): void {
  writeAll(Deno.stdout, line + "\n");
}

/** Writes a line to stderr, for people. */
export function printError(line: string): void {
  writeAll(Deno.stderr, line + "\n");
}

/** Returns the exit code of a failure: the code of an AppError, else 1. */
export function exitCode(error: unknown): number {
  return error instanceof AppError ? error.exit : 1;
}

/** Waits until the signal is aborted. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Resolves when standard input ends: the program that started this one has closed it, or has ended. */
async function whenInputEnds(): Promise<void> {
  const buffer = new Uint8Array(1024);
  while (await Deno.stdin.read(buffer) !== null);
}

/**
 * Runs a program and exits with the code that `main` returned, or with the code of its failure, which it
 * prints. SIGINT and SIGTERM abort the signal that `main` receives; a second one exits at once with code 130.
 * If `main` throws an AbortError after the first one, the exit code is 130, too.
 *
 * @param ignoresInterrupt ignores SIGINT, which a terminal sends to a whole group of processes, and ends with its parent
 */
export async function runMain(
  main: (signal: AbortSignal) => Promise<number | void>,
  { ignoresInterrupt = false } = {},
): Promise<never> {
  const stop = new AbortController();
  if (ignoresInterrupt) {
    Deno.addSignalListener("SIGINT", () => {});
    void whenInputEnds().finally(() => stop.abort(new DOMException("the input ended", "AbortError")));
  }
  for (const name of ignoresInterrupt ? ["SIGTERM"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => {
      if (stop.signal.aborted) Deno.exit(130);
      stop.abort(new DOMException(`received ${name}`, "AbortError"));
    });
  }
  try {
    Deno.exit(await main(stop.signal) ?? 0);
  } catch (error) {
    if (stop.signal.aborted && (error as Error)?.name === "AbortError") {
      printError("stopped");
      Deno.exit(130);
    }
    printError(`error: ${describeError(error)}`);
    if (!(error instanceof AppError) && error instanceof Error && error.stack) printError(error.stack);
    Deno.exit(exitCode(error));
  }
}
