/** `deno task bench queue [--quick] [--only parts] [--cells N] [--json]`: the queue's goals, and its peers beside it. */
import { Command, InvalidArgumentError } from "commander";
import { runMain } from "../../process.ts";
import { measureMachine } from "./machine.ts";
import { measureDispatch, measureSubmit } from "./dispatch.ts";
import { measureKills, measureRedisFaults } from "./recovery.ts";
import { measureCommands, measureMemory, watchIdle } from "./redis.ts";
import { openReport, type Report } from "./report.ts";
import { measureSlots } from "./slots.ts";
import { openStand, type Stand } from "./stand.ts";
import { measureThroughput } from "./throughput.ts";

interface Wish {
  quick: boolean;
  cells: number;
  slots: number;
}

interface Part {
  head: string;
  run(stand: Stand, report: Report, wish: Wish): Promise<void>;
}

const parts = {
  machine: {
    head: "The machine",
    run: (stand, report, { quick }) =>
      measureMachine(stand, report, { cells: 50_000, rounds: quick ? 1 : 3 }),
  },
  throughput: {
    head: "Throughput, no-op image API",
    run: (stand, report, { quick, cells, slots }) =>
      measureThroughput(stand, report, {
        cells,
        slots,
        ...(quick
          ? { rounds: 1, secondsMax: 1, secondsInAll: 10 }
          : { rounds: 3, secondsMax: 3, secondsInAll: 80 }),
      }),
  },
  submit: {
    head: "Submit",
    run: (stand, report, { quick }) => measureSubmit(stand, report, { cells: 50_000, rounds: quick ? 1 : 3 }),
  },
  dispatch: {
    head: "Dispatch",
    run: (stand, report, { quick }) => measureDispatch(stand, report, { rounds: quick ? 30 : 150 }),
  },
  slots: {
    head: "Slots",
    run: (stand, report, { quick }) => measureSlots(stand, report, { seconds: quick ? 3 : 14 }),
  },
  kill: {
    head: "Workers killed",
    run: (stand, report, { quick }) => measureKills(stand, report, { kills: quick ? 1 : 3 }),
  },
  redis: { head: "Redis struck", run: (stand, report) => measureRedisFaults(stand, report) },
  cost: {
    head: "What Redis costs",
    async run(stand, report, { quick }) {
      await measureMemory(stand, report, { cells: 50_000 });
      await measureCommands(stand, report, { cells: quick ? 1_500 : 5_000 });
    },
  },
  idle: {
    head: "Idle",
    async run(stand, report) {
      await using idle = watchIdle(stand);
      await idle.finish(report);
    },
  },
} satisfies Record<string, Part>;

type PartName = keyof typeof parts;
const names = Object.keys(parts) as PartName[];
/** These cannot be told in a short run: minutes of calm, the old pace awaited twice, medians of big submits. */
const long: PartName[] = ["machine", "submit", "redis", "idle"];

function parseOnly(text: string): PartName[] {
  const chosen = text.split(",").map((name) => name.trim());
  const strange = chosen.find((name) => !names.includes(name as PartName));
  if (strange !== undefined) throw new InvalidArgumentError(`'${strange}': wanted ${names.join(", ")}`);
  return chosen as PartName[];
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 100) {
    throw new InvalidArgumentError(`'${text}': wanted a whole number from 100`);
  }
  return count;
}

function parseSlots(text: string): number {
  const slots = Number(text);
  if (!Number.isInteger(slots) || slots < 2 || slots > 1_000) {
    throw new InvalidArgumentError(`'${text}': wanted a whole number from 2 to 1000`);
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

async function main(): Promise<void> {
  const flags = new Command("bench queue")
    .option("--quick", `under a minute, without ${long.join(" and ")}`)
    .option("--only <parts>", `these, joined by commas: ${names.join(", ")}`, parseOnly)
    .option("--cells <count>", "cells of each throughput run", parseCount, 10_000)
    .option("--slots <count>", "jobs at once in each throughput run", parseSlots, 150)
    .option("--json", "figures as one line of JSON")
    .parse(Deno.args, { from: "user" }).opts<Flags>();
  const wish = { quick: flags.quick ?? false, cells: flags.cells, slots: flags.slots };
  const chosen = flags.only ?? names.filter((name) => !wish.quick || !long.includes(name));
  const started = performance.now();
  const report = openReport(flags.json ?? false);
  await using stand = await openStand();
  // Minutes of calm pass beside the others.
  await using idle = chosen.includes("idle") ? watchIdle(stand) : undefined;
  for (const name of chosen) {
    report.head(parts[name].head);
    if (name === "idle") await idle?.finish(report.add);
    else await (parts[name] as Part).run(stand, report.add, wish);
  }
  report.end((performance.now() - started) / 1000);
}

if (import.meta.main) await runMain(main);
