/** `deno task chaos live`: follows a MongoDB under generated faults and compares both sides in full afterwards. */
import { Command, InvalidArgumentError } from "commander";
import { counted } from "../../../phrases.ts";
import { print, printError } from "../../../process.ts";
import { parseOptions } from "../../command_line.ts";
import { copyProject } from "../mutations.ts";
import { type LiveMutation, liveMutations } from "./mutations.ts";
import { generateLivePlan, type LiveFault, liveFaultNames, liveFaults } from "./plan.ts";
import { type LiveResult, runLivePlan } from "./run.ts";
import { LanePostgres } from "./world.ts";

interface Options {
  seed: number;
  runs: number;
  parallel: number;
  faults?: LiveFault[];
  mutation?: string;
  mutations?: true;
  json?: true;
  list?: true;
}

/** Exit code for broken rules, and for guards whose removal was not detected. */
const exitRed = 4;
const project = new URL("../../../", import.meta.url);

const parseWhole = (min: number, max: number) => (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`expected an integer from ${min} to ${max}`);
  }
  return value;
};

function parseFaults(text: string): LiveFault[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !liveFaultNames.includes(name as LiveFault));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`'${unknown}' is unknown; --list shows all faults`);
  }
  return names as LiveFault[];
}

function parseMutation(name: string): string {
  if (name in liveMutations) return name;
  throw new InvalidArgumentError(`'${name}' is unknown; --list shows all guards`);
}

const command = new Command("deno task chaos live")
  .description(
    "Follows a MongoDB under injected faults and compares both sides. Exits with 4 if a rule was broken.",
  )
  .option("--seed <n>", "seed of the first run; each later run adds 1", parseWhole(0, 2 ** 31), 1)
  .option("--runs <k>", "number of runs", parseWhole(1, 1_000_000), 1)
  .option("--parallel <p>", "number of parallel lanes, each with its own servers", parseWhole(1, 16), 1)
  .option("--faults <names>", "inject only these faults, separated by commas", parseFaults)
  .option("--mutation <name>", "remove this guard first; the runs must fail", parseMutation)
  .option("--mutations", "check that the runs detect the removal of each guard in turn")
  .option("--list", "list the faults and the guards")
  .option("--json", "print one JSON line per run and one at the end");

function printResult({ plan, violations, writes, tookMs, lines }: LiveResult, json: boolean): void {
  if (json) {
    return print(
      JSON.stringify({ seed: plan.seed, took_ms: Math.round(tookMs), writes, violations, lines, plan }),
    );
  }
  const faults = plan.faults.map(({ kind, atMs }) => `${kind}@${(atMs / 1000).toFixed(1)}`).join(" ");
  const back = plan.hasWayBack ? `way back (${plan.backFaults.join(" ") || "no faults"})` : "";
  const shape = [
    plan.members === 3 ? "set of three" : "set of one",
    plan.hasOldBackend ? "old backend" : "",
    back,
  ];
  const what = `seed ${plan.seed}: ${shape.filter((part) => part !== "").join(", ")}, ${
    counted(writes, "write")
  }`;
  print(
    `${violations.length === 0 ? "✓" : "✗"} ${what}, ${faults || "no faults"}, ${
      (tookMs / 1000).toFixed(1)
    } s`,
  );
  for (const violation of violations) print(`    ${violation}`);
  for (const line of lines.slice(-10)) print(`      ${line}`);
}

interface Campaign {
  seed: number;
  runs: number;
  parallel: number;
  faults?: readonly LiveFault[] | undefined;
  stopAtRed: boolean;
  /** Whether every run has the way back. */
  needsWayBack?: boolean;
  onRun: (result: LiveResult) => void;
}

/** Runs seeds in lanes. @returns the seeds of failed runs, and the number of runs */
async function runCampaign(
  root: URL,
  { seed, runs, parallel, faults, stopAtRed, needsWayBack = false, onRun }: Campaign,
  signal: AbortSignal,
): Promise<{ red: number[]; runs: number }> {
  const red: number[] = [];
  let next = seed;
  let done = 0;
  const mayStart = () => next < seed + runs && !signal.aborted && !(stopAtRed && red.length > 0);
  await Promise.all(Array.from({ length: Math.min(parallel, runs) }, async () => {
    await using postgres = await LanePostgres.start();
    while (mayStart()) {
      const plan = generateLivePlan(next++, faults);
      if (needsWayBack) plan.hasWayBack = true;
      const result = await runLivePlan(root, plan, postgres);
      done++;
      if (result.violations.length > 0) red.push(result.plan.seed);
      onRun(result);
    }
  }));
  return { red, runs: done };
}

const copyMutated = (mutation?: LiveMutation) =>
  copyProject(project, mutation && Object.assign({}, mutation, { faults: [] }));

async function runSeeds(options: Options, signal: AbortSignal): Promise<number> {
  const { seed, runs, parallel } = options;
  const json = options.json ?? false;
  const mutation = options.mutation === undefined ? undefined : liveMutations[options.mutation];
  const faults = options.faults ?? mutation?.faults;
  await using copy = await copyMutated(mutation);
  const onRun = (result: LiveResult) => printResult(result, json);
  const { red, runs: done } = await runCampaign(
    copy.root,
    Object.assign({ seed, runs, parallel, stopAtRed: false, onRun }, mutation, { faults }),
    signal,
  );
  if (json) print(JSON.stringify({ runs: done, red }));
  else print(`${counted(done, "run")}, ${red.length} red${red.length > 0 ? `: ${red.join(", ")}` : ""}`);
  return red.length > 0 ? exitRed : 0;
}

const runsForGuard = 20;

async function checkGuard(
  name: string,
  mutation: LiveMutation,
  options: Options,
  signal: AbortSignal,
): Promise<boolean> {
  await using copy = await copyMutated(mutation);
  const { seed, parallel } = options;
  const { red, runs } = await runCampaign(
    copy.root,
    Object.assign({ seed, runs: runsForGuard, parallel, stopAtRed: true, onRun: () => {} }, mutation),
    signal,
  );
  if (options.json) print(JSON.stringify({ mutation: name, runs, red }));
  else if (red.length > 0) print(`✓ ${name}: its removal was detected after ${counted(runs, "run")}`);
  else print(`✗ ${name}: its removal was not detected in ${counted(runs, "run")}`);
  return red.length > 0;
}

/** Runs the rig. @returns the exit code */
export async function runLive(args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = parseOptions<Options>(command, args);
  if (!options) return 0;
  if (options.list) {
    for (const [name, about] of Object.entries(liveFaults)) print(`${name.padEnd(20)}  ${about}`);
    for (const [name, { about }] of Object.entries(liveMutations)) {
      print(`${name.padEnd(20)}  without: ${about}`);
    }
    return 0;
  }
  signal.addEventListener(
    "abort",
    () => printError("finishing the current runs; press again to end at once"),
  );
  if (!options.mutations) return await runSeeds(options, signal);
  let undetected = 0;
  for (const [name, mutation] of Object.entries(liveMutations)) {
    if (!signal.aborted && !await checkGuard(name, mutation, options, signal)) undetected++;
  }
  return undetected > 0 ? exitRed : 0;
}
