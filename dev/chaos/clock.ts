/** An adjustable wall clock for one process. It needs libfaketime (Debian's package faketime). */

const libraryFolders = ["x86_64-linux-gnu/faketime", "aarch64-linux-gnu/faketime", "faketime"];

async function findLibrary(): Promise<string | undefined> {
  for (const folder of libraryFolders) {
    const path = `/usr/lib/${folder}/libfaketime.so.1`;
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
}

/** The wall clock of one worker. The monotonic clock, which measures durations, is not changed. */
export interface Clock extends AsyncDisposable {
  /** Environment variables that make a process use this clock. */
  env: Record<string, string>;
  /** Sets the offset from the machine's clock in seconds. Processes notice it within a second. */
  step(seconds: number): Promise<void>;
}

/** Creates a clock. @returns undefined if the machine has no libfaketime */
export async function createClock(): Promise<Clock | undefined> {
  const library = await findLibrary();
  if (library === undefined) return undefined;
  const file = await Deno.makeTempFile({ prefix: "contactsheet-clock-" });
  const step = (seconds: number) => Deno.writeTextFile(file, `${seconds < 0 ? "" : "+"}${seconds}\n`);
  await step(0);
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    step,
    [Symbol.asyncDispose]: () => Deno.remove(file).catch(() => {}),
  };
}
