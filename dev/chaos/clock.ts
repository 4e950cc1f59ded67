/** A wall clock for one process that can be stepped, where the machine has libfaketime (Debian's package faketime). */

const places = ["x86_64-linux-gnu/faketime", "aarch64-linux-gnu/faketime", "faketime"];

async function findLibrary(): Promise<string | undefined> {
  for (const place of places) {
    const path = `/usr/lib/${place}/libfaketime.so.1`;
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
}

/** The clock of one place in the fleet; its time since boot, by which processes measure, is left alone. */
export interface Clock extends AsyncDisposable {
  /** What a process needs to live by it. */
  env: Record<string, string>;
  /** Puts it so many seconds before or behind the machine's, seen within a second. */
  step(seconds: number): Promise<void>;
}

/** @returns undefined where the machine has no libfaketime */
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
