/** `deno task chaos`: runs real servers and workers under generated faults and checks every cell afterwards. */
import progress from "cli-progress";
import { Command, InvalidArgumentError } from "commander";
import { print, printError, runMain } from "../../process.ts";
import { parseOptions, parseWhole } from "../command_line.ts";
import { runAlerts } from "./alerts/main.ts";
import { runCampaign } from "./campaign.ts";
import { type FaultKind, faultKinds, faults } from "./faults.ts";
import { liveRig } from "./live/main.ts";
import { runSeeded } from "./seeded.ts";
import { switchRig } from "./switch/main.ts";
import { copyProject, type Mutation, mutations } from "./mutations.ts";
import type { RunResult } from "./run.ts";
import { counted } from "../../phrases.ts";

interface Options {
  seed: number;
  minutes?: number;
  runs?: number;
  parallel: number;
  faults?: FaultKind[];
  mutation?: string;
  mutations?: true;
  json?: true;
  list?: true;
}

/** Rigs that are named by the first argument. Without one, the queue is run. */
const rigs: Record<string, Parameters<typeof runSeeded>[0]> = { live: liveRig, switch: switchRig };

/** Exit code for violations, incomplete runs and mutations that no rule detected. */
const exitRed = 4;
const project = new URL("../../", import.meta.url);

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (!(minutes > 0 && minutes <= 10_000)) {
    throw new InvalidArgumentError("expected a number of minutes above 0 and up to 10000");
  }
  return minutes;
}

function parseFaults(text: string): FaultKind[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !faultKinds.includes(name as FaultKind));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`'${unknown}' is unknown; --list shows all faults`);
  }
  return names as FaultKind[];
}

function parseMutation(text: string): string {
  if (!(text in mutations)) {
    throw new InvalidArgumentError(`expected one of ${Object.keys(mutations).join(", ")}`);
  }
  return text;
}

const command = new Command("deno task chaos")
  .description(
    "Runs workers under injected faults and checks every cell afterwards. Exits with 4 if a rule was broken.",
  )
  .option("--seed <n>", "seed of the first run; each later run adds 1", parseWhole(0, 2 ** 31), 1)
  .option("--minutes <m>", "start runs during this time", parseMinutes)
  .option(
    "--runs <k>",
    "maximum number of runs (default: 1, unlimited with --minutes)",
    parseWhole(1, 1_000_000),
  )
  .option("--parallel <p>", "number of parallel lanes, each with its own servers", parseWhole(1, 16), 1)
  .option("--faults <names>", "inject only these faults, separated by commas", parseFaults)
  .option("--mutation <name>", "remove this guard from the source first; runs must then fail", parseMutation)
  .option("--mutations", "check that the runs detect the removal of each guard in turn")
  .option("--list", "list the faults and the guards")
  .option("--json", "print one JSON line per run and one at the end");

function printList(): void {
  const width = Math.max(...faultKinds.map((kind) => kind.length));
  for (const kind of faultKinds) print(`${kind.padEnd(width)}  ${faults[kind].about}`);
  print("");
  for (const [name, { about }] of Object.entries(mutations)) print(`${name.padEnd(width)}  ${about}`);
}

const describeRun = ({ plan, tookMs }: RunResult): string => {
  const plannedFaults = plan.plannedFaults.map(({ kind, atMs, workerIndex }) =>
    `${kind}@${(atMs / 1000).toFixed(1)}/${workerIndex}`
  );
  const cells = plan.plannedTasks.reduce((sum, { prompts }) => sum + prompts.length, 0);
  return `seed ${plan.seed}: ${counted(plan.workers, "worker")}, ${counted(cells, "cell")}, ${
    plannedFaults.join(" ")
  }, ` +
    `${(tookMs / 1000).toFixed(1)} s`;
};

/** Writes all facts of a failed run to a temporary file. @returns its path */
async function saveRun({ plan, facts, violations }: RunResult): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: `chaos-seed-${plan.seed}-`, suffix: ".json" });
  await Deno.writeTextFile(path, JSON.stringify({ violations, ...facts, posts: [...facts.posts] }, null, 1));
  return path;
}

function createReporter(json: boolean, runsMax: number) {
  const bar = !json && Deno.stderr.isTerminal()
    ? new progress.SingleBar({ format: "{bar} {value}/{total} runs, {red} red", clearOnComplete: true })
    : undefined;
  let red = 0;
  bar?.start(Number.isFinite(runsMax) ? runsMax : 0, 0, { red });
  return {
    async onRun(run: RunResult): Promise<void> {
      const { plan, violations, tookMs } = run;
      const kept = violations.length > 0 ? await saveRun(run) : undefined;
      if (kept !== undefined) red++;
      bar?.increment(1, { red });
      if (json) {
        print(JSON.stringify({ seed: plan.seed, took_ms: tookMs, violations, ...(kept ? { kept } : {}) }));
      } else if (kept !== undefined || !bar) {
        print(`${kept === undefined ? "✓" : "✗"} ${describeRun(run)}`);
        for (const { rule, what } of violations) print(`    ${rule}: ${what}`);
        if (kept !== undefined) print(`    all facts: ${kept}`);
      }
    },
    onBroken(seed: number, error: unknown): void {
      if (json) print(JSON.stringify({ seed, broken: String(error) }));
      else print(`✗ seed ${seed}: the run did not complete: ${error}`);
    },
    stop: () => bar?.stop(),
  };
}

async function runSeeds(options: Options, signal: AbortSignal, mutation?: Mutation): Promise<number> {
  const { seed, parallel, json = false, minutes } = options;
  const runsMax = options.runs ?? (minutes === undefined ? 1 : Infinity);
  await using copy = await copyProject(project, mutation);
  const reporter = createReporter(json, runsMax);
  const kinds = options.faults ?? mutation?.faults;
  const { runs, red, broken } = await runCampaign({
    root: copy.root,
    seed,
    runsMax,
    lanes: parallel,
    onRun: reporter.onRun,
    onBroken: reporter.onBroken,
    ms: (minutes ?? Infinity) * 60_000,
    ...(kinds ? { faults: kinds } : {}),
  }, signal);
  reporter.stop();
  const seeds = (list: number[]) => list.length > 0 ? `: seeds ${list.join(", ")}` : "";
  if (json) print(JSON.stringify({ runs, red, broken }));
  else print(`${counted(runs, "run")}, ${red.length} red${seeds(red)}`);
  if (!json && broken.length > 0) print(`${counted(broken.length, "run")} did not complete${seeds(broken)}`);
  return red.length + broken.length > 0 ? exitRed : 0;
}

/** Removes each guard in turn and runs until a rule is broken. @returns exit code 4 if a removal was not detected */
async function checkGuards(options: Options, signal: AbortSignal): Promise<number> {
  const { seed, json = false, runs: runsMax = 10, parallel } = options;
  let undetected = 0;
  for (const [name, mutation] of Object.entries(mutations)) {
    await using copy = await copyProject(project, mutation);
    let rules: string[] = [];
    const { runs, red } = await runCampaign({
      root: copy.root,
      seed,
      runsMax,
      lanes: parallel,
      ms: Infinity,
      stopAtRed: true,
      faults: mutation.faults,
      onRun: ({ violations }) => {
        if (violations.length > 0) rules = [...new Set(violations.map(({ rule }) => rule))];
      },
    }, signal);
    if (signal.aborted) break;
    if (red.length === 0) undetected++;
    if (json) print(JSON.stringify({ mutation: name, runs, red, rules }));
    else if (red.length === 0) print(`✗ ${name}: its removal was not detected in ${counted(runs, "run")}`);
    else print(`✓ ${name}: its removal was detected after ${counted(runs, "run")} (${rules.join("; ")})`);
  }
  return undetected > 0 ? exitRed : 0;
}

async function main(signal: AbortSignal): Promise<number> {
  if (Deno.args[0] === "alerts") return await runAlerts(Deno.args.slice(1), signal);
  const rig = rigs[Deno.args[0] ?? ""];
  if (rig) return await runSeeded(rig, Deno.args.slice(1), signal);
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return 0;
  if (options.list) {
    printList();
    return 0;
  }
  signal.addEventListener(
    "abort",
    () => printError("finishing the current runs; press again to end at once"),
  );
  if (options.mutations) return await checkGuards(options, signal);
  return await runSeeds(
    options,
    signal,
    options.mutation === undefined ? undefined : mutations[options.mutation],
  );
}

if (import.meta.main) await runMain(main);
