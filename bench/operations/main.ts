/** `deno task bench operations`: restarts, kills, scale-out, restore, and steps of the schema. `--help` lists the options. */
import { Command } from "commander";
import { parseOptions } from "../../dev/command_line.ts";
import { runMain } from "../../process.ts";
import { parseNames, parsePositive } from "../options.ts";
import { openReport, type Report } from "../report.ts";
import { measureKills } from "./kills.ts";
import { measureKilledPrograms } from "./kill_programs.ts";
import { measureLarge } from "./large.ts";
import { measureRolling } from "./rolling.ts";
import { startRig } from "./rig.ts";
import { measureProcesses, measureWorkers } from "./scale.ts";

interface Options {
  quick: boolean;
  subtasks: number;
}

interface Part {
  heading: string;
  run(report: Report, options: Options): Promise<void>;
}

const parts = {
  processes: {
    heading: "API processes",
    run: (report, { quick }) =>
      measureProcesses(report, quick ? { rounds: 1, seconds: 2 } : { rounds: 5, seconds: 4 }),
  },
  workers: {
    heading: "Workers",
    run: (report, { quick }) => measureWorkers(report, { cells: quick ? 1_000 : 10_000 }),
  },
  rolling: {
    heading: "Rolling restart under 200 requests/s",
    run: (report, { quick }) => measureRolling(report, { rounds: quick ? 1 : 10 }),
  },
  kills: {
    heading: "Killed parts under 100 requests/s",
    async run(report) {
      await using rig = await startRig();
      await measureKills(report, rig);
      await measureKilledPrograms(report, rig);
    },
  },
  restore: {
    heading: "Backup and drill",
    run: (report, { subtasks }) => measureLarge(report, { subtasks, parts: ["restore"] }),
  },
  steps: {
    heading: "Steps of the schema",
    run: (report, { subtasks }) => measureLarge(report, { subtasks, parts: ["steps"] }),
  },
} satisfies Record<string, Part>;

type PartName = keyof typeof parts;
const names = Object.keys(parts) as PartName[];

interface Flags {
  quick?: true;
  json?: true;
  only?: PartName[];
  subtasks?: number;
}

const command = new Command("deno task bench operations")
  .description("Measures restarts, kills, scale-out, backup and restore, and what steps of the schema block.")
  .option("--quick", "short run with 20,000 subtasks and one round")
  .option(
    "--only <parts>",
    `run only these parts, separated by commas: ${names.join(", ")}`,
    parseNames(names),
  )
  .option("--subtasks <n>", "subtasks of the parts restore and steps (default: 1000000)", parsePositive)
  .option("--json", "print the figures as one line of JSON");

async function main(): Promise<number> {
  const flags = parseOptions<Flags>(command, Deno.args);
  if (!flags) return 0;
  const quick = flags.quick ?? false;
  const options = { quick, subtasks: flags.subtasks ?? (quick ? 20_000 : 1_000_000) };
  const started = performance.now();
  const report = openReport(flags.json ?? false);
  for (const name of flags.only ?? names) {
    report.heading(parts[name].heading);
    await (parts[name] as Part).run(report.add, options);
  }
  report.end((performance.now() - started) / 1000);
  return 0;
}

if (import.meta.main) await runMain(main);
