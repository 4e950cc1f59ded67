/** `deno task bench NAME [options]`: runs each bench as a separate process, so that no bench warms up another. */
import { noSettings } from "../dev/servers/programs.ts";
import { AppError } from "../errors.ts";
import { print, runMain } from "../process.ts";
import { benches } from "./benches.ts";

/** Commands that run several benches or use their figures, each with the line that the usage shows. */
const tools: Readonly<Record<string, string>> = {
  all: "runs every bench once and prints all figures, with --json as one object",
  docs: "writes the tables of docs/benches.md from such an object",
  guard: "compares two commits and fails if the second is slower",
};

const names = [...Object.keys(benches), ...Object.keys(tools)];
const width = Math.max(...names.map((name) => name.length));
const toLines = (abouts: [name: string, about: string][]) =>
  abouts.map(([name, about]) => `  ${name.padEnd(width)}  ${about}`);

const usage = [
  "Usage: deno task bench NAME [options]",
  "",
  "Benches:",
  ...toLines(Object.entries(benches).map(([name, { about }]) => [name, about])),
  "",
  "Commands for several benches:",
  ...toLines(Object.entries(tools)),
  "",
  "docs/benches.md describes the options and the results.",
].join("\n");

async function main(signal: AbortSignal): Promise<number> {
  const [name, ...options] = Deno.args;
  if (name === undefined || name === "--help" || name === "-h") {
    print(usage);
    return name === undefined ? 64 : 0;
  }
  if (!names.includes(name)) {
    throw new AppError("usage", `running bench '${name}': expected one of ${names.join(", ")}`);
  }
  const args = ["run", "-A", new URL(`${name}/main.ts`, import.meta.url).pathname, ...options];
  const child = new Deno.Command(Deno.execPath(), { args, env: noSettings }).spawn();
  // A terminal sends SIGINT to the whole group, so the bench has it already.
  signal.addEventListener("abort", () => {
    if ((signal.reason as Error).message.includes("SIGTERM")) child.kill("SIGTERM");
  });
  return (await child.status).code;
}

if (import.meta.main) await runMain(main);
