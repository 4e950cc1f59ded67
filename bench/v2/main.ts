/**
 * `deno task bench v2`: measures v2 against its goals: ratings, plan, statistics, export and live events.
 * `--help` lists the options.
 */
import { Command } from "commander";
import { parseOptions } from "../../dev/command_line.ts";
import { printError, runMain } from "../../process.ts";
import { parseNames } from "../options.ts";
import { atMost, median, openReport } from "../report.ts";
import { type BenchApi, startBenchApi } from "./api.ts";
import { benchEvents } from "./events.ts";
import { benchExport, type ExportRow, type Origin } from "./export.ts";
import { benchRatings } from "./ratings.ts";
import { fillStats, measureStats } from "./stats.ts";

/** A measured value with its maximum. */
interface Measured {
  what: string;
  value: number;
  unit: string;
  goal?: number;
}

interface Options {
  only?: PartName[];
  quick?: true;
  json?: true;
}

const partNames = ["ratings", "plan", "statistics", "export", "events"] as const;
type PartName = typeof partNames[number];

const command = new Command("deno task bench v2")
  .description("Measures v2 against its goals.")
  .option(
    "--only <parts>",
    `run only these parts, separated by commas: ${partNames.join(", ")}`,
    parseNames(partNames),
  )
  .option("--quick", "10,000 cells instead of 50,000, and fewer rounds")
  .option("--json", "print one line of JSON");

let quick = false;
let cells = 50_000;

async function measureEvents(api: BenchApi): Promise<Measured[]> {
  const { lost, p50_ms, p95_ms, rss_mib } = await benchEvents(api, {
    clients: 200,
    seconds: quick ? 5 : 15,
    cells,
  });
  return [
    { what: "commit → received by 200 clients, p50", value: p50_ms, unit: "ms" },
    { what: "commit → received by 200 clients, p95", value: p95_ms, unit: "ms", goal: 150 },
    { what: "events that a client did not receive", value: lost, unit: "", goal: 0 },
    {
      what: "memory growth with 200 clients",
      value: (rss_mib.last ?? 0) - (rss_mib.first ?? 0),
      unit: "MiB",
    },
  ];
}

async function measureExport(api: BenchApi, origin: Origin): Promise<Measured[]> {
  const rows = await benchExport(api, { cells, raters: 3, rounds: quick ? 1 : 3, origin });
  return ["csv", "ndjson", "html"].flatMap((format) => {
    const some = rows.filter((row) => row.format === format);
    const medianOf = (read: (row: ExportRow) => number) => median(some.map(read));
    const what = `export as ${format}${origin === "imported" ? ", imported" : ""}`;
    return [
      { what: `${what}, first byte`, value: medianOf((row) => row.first_ms), unit: "ms", goal: 150 },
      { what: `${what}, last byte`, value: medianOf((row) => row.all_ms), unit: "ms", goal: 2000 },
      {
        what: `${what}, memory growth`,
        value: medianOf(({ rss_mib: [before, most] }) => most - before),
        unit: "MiB",
        goal: 30,
      },
    ];
  });
}

async function measureExports(api: BenchApi): Promise<Measured[]> {
  const own = await measureExport(api, "own");
  return [...own, ...await measureExport(api, "imported")];
}

async function measureStatistics(api: BenchApi): Promise<Measured[]> {
  await fillStats(api.sql, api.url);
  const rows = await measureStats(api.url, quick ? 5 : 20);
  return rows.map(({ what, p95, goal }) => ({
    what: `${what}, p95`,
    value: p95,
    unit: "ms",
    ...(goal === undefined ? {} : { goal }),
  }));
}

/** Returns the body of a plan request for `count` cells. */
function planBody(count: number, seeds: Record<string, unknown>): string {
  const values = (n: number, name: string) => Array.from({ length: n }, (_, i) => `${name} ${i}`);
  const tag = (type: string) => ({ type, isVariable: true, name: type });
  return JSON.stringify({
    name: "a plan",
    tags: [tag("prompt"), tag("element")],
    settings: {},
    ...seeds,
    variables: {
      v0: { name: "prompt", values: values(count / 100, "prompt") },
      v1: { name: "element", values: values(100, "element") },
    },
  });
}

async function measurePlan(api: BenchApi): Promise<Measured[]> {
  const { token } = await api.addUser();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const figures: Measured[] = [];
  for (const [name, seeds] of Object.entries({ shared: {}, pinned: { seed_policy: "pinned", seed: 7 } })) {
    const times: number[] = [];
    for (let round = 0; round < (quick ? 3 : 10); round++) {
      const started = performance.now();
      const response = await fetch(`${api.origin}/api/v2/tasks/plan`, {
        method: "POST",
        headers,
        body: planBody(cells, seeds),
      });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`planning: ${response.status} ${text}`);
      times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    figures.push({
      what: `plan, ${name} seeds, p50`,
      value: times[times.length >> 1]!,
      unit: "ms",
      goal: 100,
    });
  }
  return figures;
}

async function measureRatings(api: BenchApi): Promise<Measured[]> {
  const { ours, bare } = await benchRatings(api, quick ? { seconds: 4, rounds: 1 } : {});
  return [
    { what: "rating at 500/s, p50", value: ours.p50, unit: "ms" },
    { what: "rating at 500/s, p95", value: ours.p95, unit: "ms", goal: 15 },
    { what: "the same by a minimal handler, p95", value: bare.p95, unit: "ms" },
    { what: "failed ratings", value: ours.failed, unit: "", goal: 0 },
  ];
}

const parts: Record<PartName, (api: BenchApi) => Promise<Measured[]>> = {
  ratings: measureRatings,
  plan: measurePlan,
  statistics: measureStatistics,
  export: measureExports,
  events: measureEvents,
};

async function main(): Promise<void> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return;
  if (options.quick) {
    quick = true;
    cells = 10_000;
  }
  const report = openReport(options.json ?? false);
  const started = performance.now();
  for (const name of options.only ?? partNames) {
    printError(`▸ ${name}`);
    await using api = await startBenchApi();
    for (const { what, value, unit, goal } of await parts[name](api)) {
      report.add({ what, value, unit, ...(goal === undefined ? {} : { goal: atMost(value, goal, unit) }) });
    }
  }
  report.end((performance.now() - started) / 1000);
}

if (import.meta.main) await runMain(main);
