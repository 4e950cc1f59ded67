/** `deno task bench guard BASE [HEAD]`: compares the speed of two commits. `--help` lists the options. */
import { Command } from "commander";
import { parseOptions, parseWhole } from "../../dev/command_line.ts";
import { formatTable } from "../../migrate/data/tools/format.ts";
import { counted } from "../../phrases.ts";
import { print, printError, runMain } from "../../process.ts";
import { formatValue } from "../docs/tables.ts";
import { parseNames } from "../options.ts";
import { lossMax, type Row } from "./judge.ts";
import { measures } from "./measures.ts";
import { guard } from "./run.ts";
import { findCommit, isDirty } from "./worktrees.ts";

const exitLoss = 5;
const names = measures.map(({ name }) => name);

interface Options {
  only?: string[];
  rounds: number;
  json?: true;
}

const command = new Command("deno task bench guard")
  .description(
    `Compares two commits in turns within one run. What seems to lose over ${
      lossMax * 100
    } % is measured again; ` +
      `exits with ${exitLoss} if the loss repeats.`,
  )
  .argument("<base>", "commit to compare with")
  .argument("[head]", "commit to judge", "HEAD")
  .option(
    "--only <measures>",
    `measure only these, separated by commas: ${names.join(", ")}`,
    parseNames(names),
  )
  .option("--rounds <n>", "runs of each commit", parseWhole(1, 20), 2)
  .option("--json", "print one object on the last line");

const root = new URL("../../", import.meta.url);

function toCells({ what, unit, base, head, ratio, ratioAgain, verdict }: Row): string[] {
  const show = (value: number | undefined, of: string) =>
    value === undefined ? "" : `${formatValue(value)} ${of}`.trimEnd();
  return [what, show(base, unit), show(head, unit), show(ratio, "×"), show(ratioAgain, "×"), verdict];
}

async function main(signal: AbortSignal): Promise<number> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return 0;
  const [baseName, headName] = command.processedArgs as [string, string];
  const base = await findCommit(root, baseName);
  const head = await findCommit(root, headName);
  if (await isDirty(root)) {
    printError("the working tree has changes that are not committed: only commits are compared");
  }
  if (base === head) printError("both are the same commit: the ratios show the noise of this machine");
  const started = performance.now();
  const loadBefore = Deno.loadavg()[0]!;
  if (loadBefore > navigator.hardwareConcurrency) {
    const load = loadBefore.toFixed(1);
    printError(`load ${load} on ${navigator.hardwareConcurrency} cores: other programs disturb the ratios`);
  }
  const rows = await guard({ base, head }, {
    root,
    measures: measures.filter(({ name }) => options.only?.includes(name) ?? true),
    rounds: options.rounds,
    signal,
    onProgress: printError,
  });
  const lost = rows.filter(({ verdict }) => verdict === "loss repeated").length;
  const seconds = (performance.now() - started) / 1000;
  const loads = [loadBefore, Deno.loadavg()[0]!];
  if (options.json) print(JSON.stringify({ base, head, rows, lost, seconds, loads }));
  else {
    print(formatTable(["figure", "base", "head", "ratio", "again", "verdict"], rows.map(toCells)));
    const [first, last] = loads.map((load) => load.toFixed(1));
    print(
      `\n${counted(lost, "loss", "losses")} over ${lossMax * 100} % that repeated; a ratio above 1 is better`,
    );
    print(`${Math.round(seconds)} s; load ${first} at the start, ${last} at the end`);
  }
  return lost > 0 ? exitLoss : 0;
}

if (import.meta.main) await runMain(main);
