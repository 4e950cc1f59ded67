/** `deno task chaos`: real servers and workers under faults drawn from a seed, judged by rows and ledger. */
import progress from "cli-progress";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { AppError } from "../../errors.ts";
import { print, printError, runMain } from "../../process.ts";
import { runCampaign } from "./campaign.ts";
import { type FaultKind, faultKinds, faults } from "./faults.ts";
import { copyProject, type Mutation, mutations } from "./mutations.ts";
import type { RunResult } from "./run.ts";

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

const exitRed = 4;
const project = new URL("../../", import.meta.url);

const parseWhole = (least: number, most: number) => (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < least || value > most) {
    throw new InvalidArgumentError(`wanted a whole number from ${least} to ${most}`);
  }
  return value;
};

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (!(minutes > 0 && minutes <= 10_000)) {
    throw new InvalidArgumentError("wanted minutes, over 0 up to 10000");
  }
  return minutes;
}

function parseFaults(text: string): FaultKind[] {
  const names = text.split(",").map((name) => name.trim());
  const strange = names.find((name) => !faultKinds.includes(name as FaultKind));
  if (strange !== undefined) throw new InvalidArgumentError(`'${strange}': --list names them all`);
  return names as FaultKind[];
}

function parseMutation(text: string): string {
  if (!(text in mutations)) throw new InvalidArgumentError(`wanted ${Object.keys(mutations).join(", ")}`);
  return text;
}

const command = new Command("chaos")
  .description(
    "Runs workers under faults and judges what became of every cell; exits 4 where a promise was broken.",
  )
  .option("--seed <n>", "of the first run; the next runs count on", parseWhole(0, 2 ** 31), 1)
  .option("--minutes <m>", "begin runs for so long", parseMinutes)
  .option("--runs <k>", "runs at most; 1 unless --minutes is there", parseWhole(1, 1_000_000))
  .option("--parallel <p>", "lanes, each with servers of its own", parseWhole(1, 16), 1)
  .option("--faults <names>", "only these, joined by commas", parseFaults)
  .option("--mutation <name>", "take this guard out first: the runs must turn red", parseMutation)
  .option("--mutations", "check all guards so, one after another")
  .option("--list", "name the faults and the guards")
  .option("--json", "one JSON line a run, one at the end")
  .exitOverride();

function parseOptions(): Options | undefined {
  try {
    return command.parse(Deno.args, { from: "user" }).opts<Options>();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined;
    throw new AppError("usage", "reading the flags: see 'deno task chaos --help'", { cause: error });
  }
}

function printList(): void {
  const width = Math.max(...faultKinds.map((kind) => kind.length));
  for (const kind of faultKinds) print(`${kind.padEnd(width)}  ${faults[kind].about}`);
  print("");
  for (const [name, { about }] of Object.entries(mutations)) print(`${name.padEnd(width)}  ${about}`);
}

const describeRun = ({ plan, tookMs }: RunResult): string => {
  const strikes = plan.strikes.map(({ kind, atMs, place }) => `${kind}@${(atMs / 1000).toFixed(1)}/${place}`);
  const cells = plan.orders.reduce((sum, { prompts }) => sum + prompts.length, 0);
  return `seed ${plan.seed}: ${plan.workers} workers, ${cells} cells, ${strikes.join(" ")}, ` +
    `${(tookMs / 1000).toFixed(1)} s`;
};

/** Everything that is known of a run that went wrong, for whoever looks for the reason. */
async function keepRun({ plan, facts, violations }: RunResult): Promise<string> {
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
      const kept = violations.length > 0 ? await keepRun(run) : undefined;
      if (kept !== undefined) red++;
      bar?.increment(1, { red });
      if (json) {
        print(JSON.stringify({ seed: plan.seed, took_ms: tookMs, violations, ...(kept ? { kept } : {}) }));
      } else if (kept !== undefined || !bar) {
        print(`${kept === undefined ? "✓" : "✗"} ${describeRun(run)}`);
        for (const { rule, what } of violations) print(`    ${rule}: ${what}`);
        if (kept !== undefined) print(`    all about it: ${kept}`);
      }
    },
    onBroken(seed: number, error: unknown): void {
      if (json) print(JSON.stringify({ seed, broken: String(error) }));
      else print(`✗ seed ${seed}: the run came to no end: ${error}`);
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
  else print(`${runs} runs, ${red.length} red${seeds(red)}`);
  if (!json && broken.length > 0) print(`${broken.length} came to no end${seeds(broken)}`);
  return red.length + broken.length > 0 ? exitRed : 0;
}

/** Each guard is taken out in turn; the first red run ends its turn. @returns 4 where one was not missed */
async function checkGuards(options: Options, signal: AbortSignal): Promise<number> {
  const { seed, json = false, runs: runsMax = 10, parallel } = options;
  let missed = 0;
  for (const [name, mutation] of Object.entries(mutations)) {
    await using copy = await copyProject(project, mutation);
    let seen: string[] = [];
    const { runs, red } = await runCampaign({
      root: copy.root,
      seed,
      runsMax,
      lanes: parallel,
      ms: Infinity,
      stopAtRed: true,
      faults: mutation.faults,
      onRun: ({ violations }) => {
        if (violations.length > 0) seen = [...new Set(violations.map(({ rule }) => rule))];
      },
    }, signal);
    if (signal.aborted) break;
    if (red.length === 0) missed++;
    if (json) print(JSON.stringify({ mutation: name, runs, red, rules: seen }));
    else if (red.length === 0) print(`✗ ${name}: not missed in ${runs} runs`);
    else print(`✓ ${name}: red after ${runs} runs (${seen.join("; ")})`);
  }
  return missed > 0 ? exitRed : 0;
}

async function main(signal: AbortSignal): Promise<number> {
  const options = parseOptions();
  if (!options) return 0;
  if (options.list) {
    printList();
    return 0;
  }
  signal.addEventListener(
    "abort",
    () => printError("ending with the runs under way; once more to end at once"),
  );
  if (options.mutations) return await checkGuards(options, signal);
  return await runSeeds(
    options,
    signal,
    options.mutation === undefined ? undefined : mutations[options.mutation],
  );
}

if (import.meta.main) await runMain(main);
