/** `deno task bench NAME [options]`: runs each bench as a separate process, so that no bench warms up another. */
import { noSettings } from "../dev/servers/programs.ts";
import { AppError } from "../errors.ts";
import { print, runMain } from "../process.ts";

/** Each bench with the line that the usage shows. */
const benches: Record<string, string> = {
  console:
    "console in Chromium: frames, nodes, first heatmap, axis swap, live changes and memory of a large run",
  http: "v1 API: requests per second, latency and memory, compared with a minimal handler",
  load: "migration: speed and memory of `data load` and `data verify`, compared with psql COPY and INSERT",
  operations: "rolling restarts, kills, API processes and workers, restore, steps of the schema",
  queue:
    "queue: throughput, dispatch, recovery and Redis cost, compared with BullMQ, pg-boss and graphile-worker",
  switch: "the switch: cost of the front, cut-overs and rollbacks under load",
  sync: "migration: copy and follow a changing MongoDB: speed, lag, gaps and memory",
  v2: "v2 API: ratings, plan, statistics, export and live events",
};

const width = Math.max(...Object.keys(benches).map((name) => name.length));

const usage = [
  "Usage: deno task bench NAME [options]",
  "",
  "Benches:",
  ...Object.entries(benches).map(([name, about]) => `  ${name.padEnd(width)}  ${about}`),
  "",
  "docs/benches.md describes the options and the results.",
].join("\n");

async function main(): Promise<number> {
  const [name, ...options] = Deno.args;
  if (name === undefined || name === "--help" || name === "-h") {
    print(usage);
    return name === undefined ? 64 : 0;
  }
  if (!Object.hasOwn(benches, name)) {
    throw new AppError(
      "usage",
      `running bench '${name}': expected one of ${Object.keys(benches).join(", ")}`,
    );
  }
  const args = ["run", "-A", new URL(`${name}/main.ts`, import.meta.url).pathname, ...options];
  return (await new Deno.Command(Deno.execPath(), { args, env: noSettings }).spawn().status).code;
}

if (import.meta.main) await runMain(main);
