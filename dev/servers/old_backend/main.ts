/** Runs the played old backend as a process of its own, for tests that kill it. Its argument is JSON of its options. */
import { print, runMain, whenAborted } from "../../../process.ts";
import { type OldBackendOptions, startOldBackend } from "../old_backend.ts";

async function main(signal: AbortSignal): Promise<number> {
  const options = JSON.parse(Deno.args[0] ?? "{}") as OldBackendOptions;
  await using old = await startOldBackend(options);
  print(old.origin);
  await whenAborted(signal);
  return 0;
}

if (import.meta.main) await runMain(main);
