/**
 * `deno task bench all`: runs every bench once, each in a process of its own, and prints all figures. `--help` lists the
 * options.
 */
import { Command } from "commander";
import { parseOptions } from "../../dev/command_line.ts";
import { AppError } from "../../errors.ts";
import { print, printError, runMain } from "../../process.ts";
import { benches, parseBenches } from "../benches.ts";
import { formatFigure } from "../report.ts";
import { readMachine } from "./machine.ts";
import { addRun, type AllResult, createResult } from "./result.ts";
import { type Ended, runBench } from "./run.ts";
import { formatLeft, minutesLeft } from "./time_left.ts";

interface Options {
  quick?: true;
  json?: true;
  only?: string[];
  out?: string;
}

const command = new Command("deno task bench all")
  .description("Runs every bench once. Exits with 1 if a bench fails; a missed goal is no failure.")
  .option("--quick", "short run of each bench")
  .option(
    "--only <benches>",
    `run only these, separated by commas: ${Object.keys(benches).join(", ")}`,
    parseBenches,
  )
  .option("--out <file>", "write the object to a file as well, after each bench")
  .option("--json", "print one object on the last line; without it, a table for each bench");

const root = new URL("../../", import.meta.url);
/** Minutes after which a bench counts as stuck. A busy machine has at least half an hour for each. */
const limitOf = (usualMinutes: number): number => Math.max(30, 6 * usualMinutes);

/** Writes the result so far, so that a run that is interrupted keeps what it has measured. */
async function save(path: string | undefined, result: AllResult): Promise<void> {
  if (path !== undefined) await Deno.writeTextFile(path, `${JSON.stringify(result)}\n`);
}

/** Fails before the first measurement if the file cannot be written. */
async function checkWritable(path: string): Promise<void> {
  try {
    (await Deno.open(path, { create: true, append: true })).close();
  } catch (cause) {
    throw new AppError("usage", `writing the result to '${path}': ${(cause as Error).message}`, { cause });
  }
}

function printBench(name: string, result: AllResult): void {
  const run = result.benches.find(({ bench }) => bench === name);
  const failure = result.failed.find(({ bench }) => bench === name);
  print(`\n${name}${failure ? `: FAILED with exit code ${failure.exitCode}` : ""}`);
  for (const figure of result.figures.filter(({ bench }) => bench === name)) print(formatFigure(figure));
  if (run) {
    const [start, end] = run.loads.map((load) => load.toFixed(1));
    print(
      `${run.met} of ${run.goals} goals met; ${
        Math.round(run.seconds)
      } s; load ${start} at the start, ${end} at the end`,
    );
  }
}

/** Shows how long the present bench has been running until the disposal. */
function showProgress(title: string, left: () => number): Disposable {
  printError(`${title}: started; ${formatLeft(left())} left`);
  const timer = setInterval(() => printError(`${title}: running; ${formatLeft(left())} left`), 60_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function main(signal: AbortSignal): Promise<number> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return 0;
  const { quick = false, json = false, only: names = Object.keys(benches), out } = options;
  if (out !== undefined) await checkWritable(out);
  const usual = names.map((name) => benches[name]!.minutes[quick ? 1 : 0]);
  let result = createResult(readMachine(), navigator.hardwareConcurrency);
  for (const [index, bench] of names.entries()) {
    const title = `[${index + 1}/${names.length}] ${bench}`;
    const at = new Date().toISOString();
    const loadBefore = Deno.loadavg()[0]!;
    const started = performance.now();
    const since = () => (performance.now() - started) / 1000;
    let ended: Ended;
    {
      using _progress = showProgress(
        title,
        () => minutesLeft(usual, index, since() / 60, result.seconds / 60),
      );
      const args = quick ? ["--quick"] : [];
      ended = await runBench(bench, { args, root, minutesMax: limitOf(usual[index]!), signal });
    }
    const seconds = since();
    const loads: [number, number] = [loadBefore, Deno.loadavg()[0]!];
    result = addRun(result, { bench, at, quick, seconds, loads }, ended);
    await save(out, result);
    if (!json) printBench(bench, result);
    const { goals = 0, met = 0 } = ended.report ?? {};
    const what = ended.exitCode === 0 && ended.report
      ? `${met} of ${goals} goals met`
      : `failed with exit code ${ended.exitCode}`;
    printError(`${title}: ${what} after ${Math.round(seconds)} s`);
  }
  if (json) print(JSON.stringify(result));
  else {
    print(`\n${result.met} of ${result.goals} goals met in ${Math.round(result.seconds)} s`);
    print(`${result.cores} cores, ${Object.values(result.machine).join(", ")}`);
  }
  return result.failed.length > 0 ? 1 : 0;
}

if (import.meta.main) await runMain(main);
