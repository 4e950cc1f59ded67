/**
 * `deno task bench switch`: measures what the front costs, and cut-overs and rollbacks under load. `--help` lists the
 * options.
 */
import { Command } from "commander";
import { copyProject } from "../../dev/chaos/mutations.ts";
import { startLaneServers } from "../../dev/chaos/switch/lane.ts";
import { parseOptions } from "../../dev/command_line.ts";
import { findMongoBinary } from "../../dev/servers/mongo.ts";
import { AppError } from "../../errors.ts";
import { runMain } from "../../process.ts";
import { parseCount, parseNames, parsePositive } from "../options.ts";
import { openReport } from "../report.ts";
import type { Bench } from "./bench.ts";
import { measureFront } from "./front.ts";
import { measureSwitches } from "./switches.ts";

interface Options {
  rounds: number;
  seconds: number;
  subtasks: number;
  only?: string[];
  quick?: true;
  json?: true;
}

const parts: Record<string, (bench: Bench) => Promise<void>> = {
  front: measureFront,
  switches: measureSwitches,
};

const partNames = Object.keys(parts);

const command = new Command("deno task bench switch")
  .description("Measures the front, and cut-overs and rollbacks under 200 mixed requests per second.")
  .option("--rounds <n>", "cut-overs and rollbacks", parsePositive, 10)
  .option("--seconds <n>", "duration of a measurement of throughput", parsePositive, 3)
  .option("--subtasks <n>", "subtasks of the large task", parseCount, 50_000)
  .option("--only <parts>", `parts, separated by commas: ${partNames.join(", ")}`, parseNames(partNames))
  .option("--quick", "2 rounds, 1 second, 5,000 subtasks")
  .option("--json", "print one line of JSON");

async function main(): Promise<number> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return 0;
  if (!await findMongoBinary()) {
    throw new AppError("source_missing", "bench switch: no mongod was found and none could be downloaded");
  }
  const report = openReport(options.json ?? false);
  const started = performance.now();
  await using copy = await copyProject(new URL("../../", import.meta.url));
  await using servers = await startLaneServers({ durable: true });
  const bench: Bench = {
    root: copy.root,
    servers,
    report: report.add,
    rounds: options.quick ? 2 : options.rounds,
    seconds: options.quick ? 1 : options.seconds,
    subtasks: options.quick ? 5000 : options.subtasks,
  };
  for (const name of options.only ?? partNames) {
    report.heading(name);
    await parts[name]!(bench);
  }
  report.end((performance.now() - started) / 1000);
  return 0;
}

if (import.meta.main) await runMain(main);
