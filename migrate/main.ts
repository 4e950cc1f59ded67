/** The migrator: the schema's steps, and the old database's documents (`data`). */
import { Command, CommanderError } from "commander";
import { parseConfig, readEnvironment } from "../config.ts";
import { AppError, codes } from "../errors.ts";
import { print, runMain } from "../process.ts";
import { dataCommand } from "./data/commands.ts";
import { withPool } from "./data/context.ts";
import { checkApplied, listApplied, migrateDown, migrateUp, readSteps } from "./schema/runner.ts";

const databaseUrl = () => parseConfig(readEnvironment(), "migrate").DATABASE_URL;
const context = { databaseUrl, print };

function parseStep(text: string): number {
  const step = Number(text);
  if (!/^\d{1,4}$/.test(text)) {
    throw new AppError("usage", `--to '${text}': wanted the number of a step, 0 takes all back`);
  }
  return step;
}

async function up(): Promise<void> {
  const names = await withPool(
    context,
    (pool) => migrateUp(pool, { onStep: (name) => print(`applied ${name}`) }),
  );
  if (names.length === 0) print("the schema is up to date");
}

async function down({ to }: { to: number }): Promise<void> {
  const names = await withPool(context, (pool) => migrateDown(pool, to));
  for (const name of names) print(`took back ${name}`);
  if (names.length === 0) print(`nothing above step ${to}`);
}

async function readSchema() {
  const steps = await readSteps();
  const applied = await withPool(context, (pool) => listApplied(pool));
  checkApplied(steps, applied);
  return steps.map(({ number, name }) => ({
    number,
    name,
    applied_at: applied[number - 1]?.applied_at ?? null,
  }));
}

async function status({ json }: { json?: true }): Promise<void> {
  const steps = await readSchema();
  if (json) return print(JSON.stringify({ steps }));
  for (const { name, applied_at } of steps) print(`${name}  ${applied_at ?? "not applied"}`);
}

async function check(): Promise<void> {
  const missing = (await readSchema()).filter(({ applied_at }) => applied_at === null);
  if (missing.length > 0) {
    throw new AppError(
      "schema_mismatch",
      `checking the schema: not applied: ${
        missing.map(({ name }) => name).join(", ")
      }; run 'deno task migrate'`,
    );
  }
  print("the schema is up to date");
}

function createProgram(signal: AbortSignal): Command {
  const program = new Command("migrate").description("schema and data of contactsheet");
  program.command("up", { isDefault: true }).description("apply what the schema lacks").action(up);
  program.command("down")
    .description("take steps back, newest first")
    .requiredOption("--to <n>", "steps that stay", parseStep)
    .action(down);
  program.command("status")
    .description("which steps are applied")
    .option("--json", "one JSON object on stdout")
    .action(status);
  program.command("check").description("fail unless every step is applied, unchanged").action(check);
  program.addCommand(dataCommand({ ...context, signal }));
  // Its own texts go to the usual places, plain (asking for colours would ask the environment); leaving is
  // done below, in one place.
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({ getOutHasColors: () => false, getErrHasColors: () => false });
    command.commands.forEach(quiet);
  };
  quiet(program);
  return program;
}

async function main(signal: AbortSignal): Promise<number> {
  try {
    await createProgram(signal).parseAsync(Deno.args, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has told already what was wrong, and helps with exit 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : codes.usage.exit;
    throw error;
  }
}

if (import.meta.main) await runMain(main);
