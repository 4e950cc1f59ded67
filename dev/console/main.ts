/** `deno task console [--watch]`: builds the console, which the API serves at /console. */
import { Command } from "commander";
import { print, printError, runMain } from "../../process.ts";
import { describeError } from "../../errors.ts";
import { parseOptions } from "../command_line.ts";
import { buildConsole } from "./build.ts";

const command = new Command("deno task console")
  .description(
    "Builds the console, which the API serves at /console. Does nothing if its sources have not changed.",
  )
  .option("--watch", "keep running, and build again on every change");

/** Pause in milliseconds in which further changes join the same build. An editor writes several files. */
const settleMs = 100;

async function build(): Promise<void> {
  const { isUnchanged, milliseconds } = await buildConsole();
  if (!isUnchanged) printError(`console: built in ${milliseconds} ms`);
}

/** Builds on every change until the signal is aborted. A failed build is reported, and the next one tried. */
async function watch(signal: AbortSignal): Promise<void> {
  const watcher = Deno.watchFs(new URL("../../console/", import.meta.url).pathname);
  signal.addEventListener("abort", () => watcher.close(), { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const rebuild = () => void build().catch((error) => printError(describeError(error)));
  rebuild();
  for await (const { paths } of watcher) {
    if (paths.every((path) => path.includes("/console/built"))) continue;
    clearTimeout(timer);
    timer = setTimeout(rebuild, settleMs);
  }
  clearTimeout(timer);
}

if (import.meta.main) {
  await runMain(async (signal) => {
    const options = parseOptions<{ watch?: true }>(command, Deno.args);
    if (!options) return;
    if (!options.watch) return await build();
    print("console: watching for changes");
    await watch(signal);
  });
}
