/**
 * Starts the API: in this process, or as API_PROCESSES processes that share the port. Only the parent of several processes
 * may run a program.
 */
import { parseConfig, readEnvironment } from "./config.ts";
import { runMain } from "./process.ts";
import { checkStartArguments } from "./start_arguments.ts";

async function main(signal: AbortSignal): Promise<number | void> {
  if (!checkStartArguments(Deno.args)) return;
  const config = parseConfig(readEnvironment(), "api");
  const count = config.API_PROCESSES === 0 ? navigator.hardwareConcurrency : config.API_PROCESSES;
  // Both branches load packages; the process that serves requests loads them without the permission.
  if (count === 1) {
    await Deno.permissions.revoke({ name: "run" });
    const { runApi } = await import("./api.ts");
    return await runApi(signal);
  }
  const { runProcesses } = await import("./processes/run.ts");
  return await runProcesses(config, count, signal);
}

if (import.meta.main) await runMain(main);
