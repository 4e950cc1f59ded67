/** `deno task bench docs`: writes the tables of docs/benches.md. `--help` lists the options. */
import { Command } from "commander";
import { parseOptions } from "../../dev/command_line.ts";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { print, runMain } from "../../process.ts";
import { formatStored, merge, parseResult, parseStored } from "./stored.ts";
import { render } from "./tables.ts";

const pagePath = new URL("../../docs/benches.md", import.meta.url);
const storedPath = new URL("../../docs/benches.json", import.meta.url);

const command = new Command("deno task bench docs")
  .description(
    "Writes the tables of docs/benches.md from docs/benches.json, after adding the benches of a result to it. " +
      "Benches that the result lacks keep their figures.",
  )
  .argument("[file]", "what `deno task bench all --json` printed or wrote by --out");

async function readResult(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new AppError("source_missing", `reading the figures of '${path}': ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function main(): Promise<number> {
  if (!parseOptions(command, Deno.args)) return 0;
  const [path] = command.args;
  let stored = parseStored(await Deno.readTextFile(storedPath), "docs/benches.json");
  if (path !== undefined) {
    const result = parseResult(await readResult(path), path);
    stored = merge(stored, result);
    for (const { bench } of result.failed) {
      print(`${bench} failed in this result and keeps its former figures`);
    }
  }
  const page = render(await Deno.readTextFile(pagePath), stored);
  await Deno.writeTextFile(storedPath, formatStored(stored));
  await Deno.writeTextFile(pagePath, page);
  const judged = stored.figures.filter(({ goal }) => goal);
  print(
    `docs/benches.md has ${counted(stored.figures.length, "figure")} of ` +
      `${counted(stored.benches.length, "bench", "benches")}: ` +
      `${judged.filter(({ goal }) => goal!.met).length} of ${judged.length} goals met`,
  );
  return 0;
}

if (import.meta.main) await runMain(main);
