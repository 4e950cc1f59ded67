/** What the rigs share that run one plan for each seed: their command, lanes, reports, and the removal of guards. */
import { Command, InvalidArgumentError } from "commander";
import { counted } from "../../phrases.ts";
import { print, printError } from "../../process.ts";
import { parseOptions, parseWhole } from "../command_line.ts";
import { copyProject, type Mutation } from "./mutations.ts";

/** A guard with the faults that reveal its absence best. */
export type SeededMutation<Fault extends string> = Pick<Mutation, "about" | "patches"> & { faults: Fault[] };

/** What a run found. */
export interface SeededResult<Plan> {
  plan: Plan;
  violations: string[];
  /** Acknowledged writes. */
  writes: number;
  tookMs: number;
  /** The last lines of the processes, where a rule was broken. */
  lines: string[];
}

/** A rig: what it draws from a seed, and how it runs that. */
export interface SeededRig<
  Plan extends { seed: number },
  Fault extends string,
  Guard extends SeededMutation<Fault>,
  Lane extends AsyncDisposable,
> {
  /** Words after `deno task`. */
  name: string;
  description: string;
  faults: Readonly<Record<Fault, string>>;
  mutations: Readonly<Record<string, Guard>>;
  /** Starts the servers that the runs of a lane use one after another. */
  openLane(): Promise<Lane>;
  generatePlan(seed: number, faults: readonly Fault[] | undefined, guard: Guard | undefined): Plan;
  /** @throws Error when the rig itself fails */
  run(root: URL, plan: Plan, lane: Lane): Promise<SeededResult<Plan>>;
  /** Describes a run in one line. */
  describe(result: SeededResult<Plan>): string;
}

interface Options {
  seed: number;
  runs: number;
  parallel: number;
  faults?: string[];
  mutation?: string;
  mutations?: true;
  json?: true;
  list?: true;
}

/** Exit code for broken rules, and for guards whose removal was not detected. */
const exitRed = 4;
const runsForGuard = 20;
const project = new URL("../../", import.meta.url);

const parseNames = (known: object) => (text: string): string[] => {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(`'${unknown}' is unknown; --list shows all`);
};

const createCommand = (
  { name, description, faults, mutations }: {
    name: string;
    description: string;
    faults: object;
    mutations: object;
  },
) =>
  new Command(`deno task ${name}`)
    .description(`${description} Exits with 4 if a rule was broken.`)
    .option("--seed <n>", "seed of the first run; each later run adds 1", parseWhole(0, 2 ** 31), 1)
    .option("--runs <k>", "number of runs", parseWhole(1, 1_000_000), 1)
    .option("--parallel <p>", "number of parallel lanes, each with its own servers", parseWhole(1, 16), 1)
    .option("--faults <names>", "inject only these faults, separated by commas", parseNames(faults))
    .option(
      "--mutation <name>",
      "remove this guard first; the runs must fail",
      (text) => parseNames(mutations)(text)[0]!,
    )
    .option("--mutations", "check that the runs detect the removal of each guard in turn")
    .option("--list", "list the faults and the guards")
    .option("--json", "print one JSON line per run and one at the end");

/** A rig of any plan, fault, guard and lane. */
// deno-lint-ignore no-explicit-any -- the parts of one rig fit together; this file only passes them on
type AnyRig = SeededRig<any, any, any, any>;
// deno-lint-ignore no-explicit-any -- as above
type AnyResult = SeededResult<any>;

function printResult(rig: AnyRig, result: AnyResult, json: boolean): void {
  const { plan, violations, tookMs, lines } = result;
  if (json) {
    const { tookMs: _tookMs, ...rest } = result;
    return print(JSON.stringify(Object.assign({ seed: plan.seed, took_ms: Math.round(tookMs) }, rest)));
  }
  const mark = violations.length === 0 ? "✓" : "✗";
  print(`${mark} seed ${plan.seed}: ${rig.describe(result)}, ${(tookMs / 1000).toFixed(1)} s`);
  for (const violation of violations) print(`    ${violation}`);
  for (const line of lines.slice(-10)) print(`      ${line}`);
}

interface Campaign extends Pick<Options, "seed" | "runs" | "parallel"> {
  faults?: readonly string[] | undefined;
  guard?: SeededMutation<string> | undefined;
  stopAtRed: boolean;
  onRun: (result: AnyResult) => void;
}

/** Runs seeds in lanes. @returns the seeds of failed runs, and the number of runs */
async function runCampaign(
  rig: AnyRig,
  root: URL,
  { seed, runs, parallel, faults, guard, stopAtRed, onRun }: Campaign,
  signal: AbortSignal,
): Promise<{ red: number[]; runs: number }> {
  const red: number[] = [];
  let next = seed;
  let done = 0;
  const mayStart = () => next < seed + runs && !signal.aborted && !(stopAtRed && red.length > 0);
  /** Runs seeds one after another. A run that did not complete ends the lane, since its servers are in an unknown state. */
  const runLane = async () => {
    await using lane = await rig.openLane();
    let isSound = true;
    while (isSound && mayStart()) {
      const plan = rig.generatePlan(next++, faults, guard);
      const result = await rig.run(root, plan, lane).catch((error): AnyResult => {
        isSound = false;
        return { plan, violations: [`the run did not complete: ${error}`], writes: 0, tookMs: 0, lines: [] };
      });
      done++;
      if (result.violations.length > 0) red.push(result.plan.seed);
      onRun(result);
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, runs) }, async () => {
    while (mayStart()) await runLane();
  }));
  return { red, runs: done };
}

const copyMutated = (guard?: SeededMutation<string>) =>
  copyProject(project, guard && Object.assign({}, guard, { faults: [] }));

async function runSeeds(rig: AnyRig, options: Options, signal: AbortSignal): Promise<number> {
  const json = options.json ?? false;
  const guard = options.mutation === undefined ? undefined : rig.mutations[options.mutation];
  await using copy = await copyMutated(guard);
  const onRun = (result: AnyResult) => printResult(rig, result, json);
  const { seed, runs, parallel } = options;
  const faults = options.faults ?? guard?.faults;
  const { red, runs: done } = await runCampaign(
    rig,
    copy.root,
    { seed, runs, parallel, faults, guard, stopAtRed: false, onRun },
    signal,
  );
  if (json) print(JSON.stringify({ runs: done, red }));
  else print(`${counted(done, "run")}, ${red.length} red${red.length > 0 ? `: ${red.join(", ")}` : ""}`);
  return red.length > 0 ? exitRed : 0;
}

/** Removes a guard and runs until a rule is broken. @returns whether the removal was detected */
async function checkGuard(
  rig: AnyRig,
  name: string,
  options: Options,
  signal: AbortSignal,
): Promise<boolean> {
  const guard = rig.mutations[name]!;
  await using copy = await copyMutated(guard);
  const { seed, parallel } = options;
  let violation = "";
  const onRun = ({ violations }: AnyResult) => violation = violations[0] ?? violation;
  const { red, runs } = await runCampaign(
    rig,
    copy.root,
    { seed, runs: runsForGuard, parallel, faults: guard.faults, guard, stopAtRed: true, onRun },
    signal,
  );
  if (options.json) print(JSON.stringify({ mutation: name, runs, red, violation }));
  else if (red.length > 0) {
    print(`✓ ${name}: its removal was detected after ${counted(runs, "run")}`);
    print(`    ${violation}`);
  } else print(`✗ ${name}: its removal was not detected in ${counted(runs, "run")}`);
  return red.length > 0;
}

function printList({ faults, mutations }: AnyRig): void {
  const names = [...Object.keys(faults), ...Object.keys(mutations)];
  const width = Math.max(...names.map((name) => name.length));
  for (const [name, about] of Object.entries(faults)) print(`${name.padEnd(width)}  ${about}`);
  print("");
  for (const [name, { about }] of Object.entries<SeededMutation<string>>(mutations)) {
    print(`${name.padEnd(width)}  without: ${about}`);
  }
}

/** Runs the command of a rig. @returns the exit code */
export async function runSeeded(rig: AnyRig, args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = parseOptions<Options>(createCommand(rig), args);
  if (!options) return 0;
  if (options.list) {
    printList(rig);
    return 0;
  }
  signal.addEventListener(
    "abort",
    () => printError("finishing the current runs; press again to end at once"),
  );
  if (!options.mutations) return await runSeeds(rig, options, signal);
  let undetected = 0;
  for (const name of Object.keys(rig.mutations)) {
    if (!signal.aborted && !await checkGuard(rig, name, options, signal)) undetected++;
  }
  return undetected > 0 ? exitRed : 0;
}
