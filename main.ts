/** One process of the API: alone, or as one of several that `start.ts` starts. */
import { runApi } from "./api.ts";
import { runMain } from "./process.ts";
import { checkStartArguments } from "./start_arguments.ts";

/** How `start.ts` starts each of several processes: `--child PORT`. */
const [flag, port] = Deno.args;
const isChild = flag === "--child" && port !== undefined;

async function main(signal: AbortSignal): Promise<void> {
  if (isChild) await runApi(signal, { port: Number(port) });
  else if (checkStartArguments(Deno.args)) await runApi(signal);
}

if (import.meta.main) await runMain(main, { ignoresInterrupt: isChild });
