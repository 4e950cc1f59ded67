/** `deno task bench queue`: measures the queue against its goals and against other queues. `--help` lists the options. */
import { Command, InvalidArgumentError } from "commander";
import { parseOptions } from "../../dev/command_line.ts";
import { runMain } from "../../process.ts";
import { parseNames } from "../options.ts";
import { measureCapture } from "./capture.ts";
import { measureMachine } from "./machine.ts";
import { measureDispatch, measureSubmit } from "./dispatch.ts";
import { measureKills } from "./kills.ts";
import { measureRedisFaults } from "./recovery.ts";
import { measureCommands, measureMemory, watchIdle } from "./redis.ts";
import { openReport, type Report } from "../report.ts";
import { measureSlots } from "./slots.ts";
import { type Harness, startHarness } from "./harness.ts";
import { measureThroughput } from "./throughput.ts";

interface BenchOptions {
  quick: boolean;
  cells: number;
  slots: number;
}

/** A part of the bench with a heading for its figures. */
interface Part {
  heading: string;
  run(harness: Harness, report: Report, options: BenchOptions): Promise<void>;
}

const parts = {
  machine: {
    heading: "The machine",
    run: (harness, report, { quick }) =>
      measureMachine(harness, report, { cells: 50_000, rounds: quick ? 1 : 3 }),
  },
  throughput: {
    heading: "Throughput, no-op image API",
    run: (harness, report, { quick, cells, slots }) =>
      measureThroughput(harness, report, {
        cells,
        slots,
        ...(quick
          ? { rounds: 1, secondsMax: 1, secondsInAll: 10 }
          : { rounds: 3, secondsMax: 3, secondsInAll: 80 }),
      }),
  },
  capture: {
    heading: "Capture of changes for the way back to MongoDB",
    run: (harness, report, { quick, cells, slots }) =>
      measureCapture(harness, report, {
        cells,
        slots,
        ...(quick
          ? { rounds: 2, secondsMax: 1, secondsInAll: 20 }
          : { rounds: 9, secondsMax: 3, secondsInAll: 120 }),
      }),
  },
  submit: {
    heading: "Submit",
    run: (harness, report, { quick }) =>
      measureSubmit(harness, report, { cells: 50_000, rounds: quick ? 1 : 3 }),
  },
  dispatch: {
    heading: "Dispatch",
    run: (harness, report, { quick }) => measureDispatch(harness, report, { rounds: quick ? 30 : 150 }),
  },
  slots: {
    heading: "Slots",
    run: (harness, report, { quick }) => measureSlots(harness, report, { seconds: quick ? 3 : 14 }),
  },
  kill: {
    heading: "Killed workers",
    run: (harness, report, { quick }) => measureKills(harness, report, { kills: quick ? 1 : 3 }),
  },
  redis: { heading: "Redis faults", run: (harness, report) => measureRedisFaults(harness, report) },
  cost: {
    heading: "Cost of Redis",
    async run(harness, report, { quick }) {
      await measureMemory(harness, report, { cells: 50_000 });
      await measureCommands(harness, report, { cells: quick ? 1_500 : 5_000 });
    },
  },
  idle: {
    heading: "Idle",
    async run(harness, report) {
      await using idle = watchIdle(harness);
      await idle.finish(report);
    },
  },
} satisfies Record<string, Part>;

type PartName = keyof typeof parts;
const names = Object.keys(parts) as PartName[];
/** Parts that a quick run omits because they take minutes. */
const slowParts: PartName[] = ["machine", "submit", "redis", "idle"];

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 100) {
    throw new InvalidArgumentError(`'${text}': expected an integer of at least 100`);
  }
  return count;
}

function parseSlots(text: string): number {
  const slots = Number(text);
  if (!Number.isInteger(slots) || slots < 2 || slots > 1_000) {
    throw new InvalidArgumentError(`'${text}': expected an integer from 2 to 1000`);
  }
  return slots;
}

interface Flags {
  quick?: true;
  json?: true;
  only?: PartName[];
  cells: number;
  slots: number;
}

const command = new Command("deno task bench queue")
  .description("Measures the queue against its goals and against BullMQ, pg-boss and graphile-worker.")
  .option("--quick", `short run of about a minute, without ${slowParts.join(", ")}`)
  .option(
    "--only <parts>",
    `run only these parts, separated by commas: ${names.join(", ")}`,
    parseNames(names),
  )
  .option("--cells <count>", "cells per throughput run", parseCount, 10_000)
  .option("--slots <count>", "concurrent jobs in a throughput run", parseSlots, 150)
  .option("--json", "print the figures as one line of JSON");

async function main(): Promise<void> {
  const flags = parseOptions<Flags>(command, Deno.args);
  if (!flags) return;
  const options = { quick: flags.quick ?? false, cells: flags.cells, slots: flags.slots };
  const chosen = flags.only ?? names.filter((name) => !options.quick || !slowParts.includes(name));
  const started = performance.now();
  const report = openReport(flags.json ?? false);
  await using harness = await startHarness();
  // The idle worker is observed for minutes while the other parts run.
  await using idle = chosen.includes("idle") ? watchIdle(harness) : undefined;
  for (const name of chosen) {
    report.heading(parts[name].heading);
    if (name === "idle") await idle?.finish(report.add);
    else await (parts[name] as Part).run(harness, report.add, options);
  }
  report.end((performance.now() - started) / 1000);
}

if (import.meta.main) await runMain(main);
