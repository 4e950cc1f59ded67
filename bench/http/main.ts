/**
 * `deno task bench http`: compares the API with a minimal handler that runs the same statements. Both are measured in
 * turns: requests per second, latencies, CPU time, and the API's memory.
 * `--help` lists the options.
 */
import { Command } from "commander";
import { connect } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { parseOptions, parseWhole } from "../../dev/command_line.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { formatTable } from "../../migrate/data/tools/format.ts";
import { print, printError, runMain } from "../../process.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import { importTasks } from "../imported.ts";
import { parsePositive } from "../options.ts";
import { readCpuMs, readMemory } from "../process.ts";
import { openReport } from "../report.ts";
import { measure, type Measured, type Server, toFigures, toRow } from "./measure.ts";
import { allImported, email, fillRows } from "./rows.ts";
import { scenarios } from "./scenarios.ts";

const secret = "a key of the bench that has 32 bytes";

interface Options {
  seconds?: number;
  rounds?: number;
  tasks: number;
  connections: number;
  only: string;
  quick?: true;
  json?: true;
}

const command = new Command("deno task bench http")
  .description("Compares the v1 API with a minimal handler that runs the same statements.")
  .option("--seconds <n>", "maximum duration of a measurement (default: 3)", parsePositive)
  .option(
    "--rounds <n>",
    "rounds per request, of which medians are reported (default: 3)",
    parseWhole(1, 1000),
  )
  .option("--tasks <n>", "number of tasks in the database", parsePositive, 1000)
  .option("--connections <n>", "concurrent connections", parsePositive, 4)
  .option("--only <text>", "measure only requests whose name contains this text", "")
  .option("--quick", "1 second and one round")
  .option("--json", "print one line of JSON");

async function startServer(kind: Server["kind"], url: string): Promise<Server> {
  const port = findFreePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("./server.ts", import.meta.url).pathname, kind, String(port)],
    env: { DATABASE_URL: url, SECRET_KEY: secret },
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let tries = 0;; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      break;
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    kind,
    port,
    memory: () => readMemory(child.pid),
    cpuMs: () => readCpuMs(child.pid),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

async function main(): Promise<number> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return 0;
  const { quick = false, seconds = quick ? 1 : 3, rounds = quick ? 1 : 3, connections } = options;
  const extent = { seconds, rounds, connections };
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  await using server = await startPostgres({ folder, keep: false });
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database bench`;
  await admin.end();
  const url = server.url("bench");
  const sql = connect(url, { max: 1 });
  await migrateUp(sql);
  printError(`inserting ${options.tasks} tasks, and own and imported tasks of 3,024 and 50,000 subtasks`);
  await fillRows(sql, options.tasks);
  await importTasks(url, allImported);
  await sql`vacuum analyze`;
  await sql.end();

  const tokens = createTokens(secret, 600);
  await using ours = await startServer("ours", url);
  await using bare = await startServer("bare", url);
  const all: Measured[] = [];
  const started = performance.now();
  for (const scenario of scenarios.filter(({ name }) => name.includes(options.only))) {
    printError(scenario.name);
    const token = await tokens.sign({ sub: "bench", email: scenario.email ?? email });
    all.push(await measure([ours, bare], scenario, token, extent));
  }
  if (options.json) {
    const report = openReport(true);
    all.flatMap(toFigures).forEach(report.add);
    report.end((performance.now() - started) / 1000);
    return 0;
  }
  const head = [
    "request",
    "ours /s",
    "bare /s",
    "ratio",
    "p50 ms",
    "p95",
    "p99",
    "bare p50",
    "CPU ms, ours / bare",
    "MiB now / peak",
    "goal",
  ];
  print(formatTable(head, all.map(toRow)));
  print(`load of the machine ${Deno.loadavg().map((load) => load.toFixed(1)).join(", ")}`);
  return 0;
}

if (import.meta.main) await runMain(main);
