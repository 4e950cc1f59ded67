/**
 * The migrator: `up`, `down`, `status`, `check` and `partition` for the schema, `data` for the documents of the old
 * database, `traffic` for the system that answers.
 *
 * Its task in deno.json sets V8 flags that bound the memory of `data load` and `data verify`. Keys and ledger entries live
 * until their range is written, so they reach the old generation, which V8 lets grow to several times its live size
 * before a full collection. `--heap-growing-percent=80` collects it when it has grown by 80 %; much less would cost CPU time.
 */
import { Command, CommanderError } from "commander";
import { parseConfig, readEnvironment } from "../config.ts";
import { AppError, codes } from "../errors.ts";
import { print, runMain } from "../process.ts";
import { dataCommand } from "./data/commands.ts";
import { trafficCommand } from "./data/commands_traffic.ts";
import { options, progressOf, withPool } from "./data/context.ts";
import { formatPartition, partition } from "./partition/partition.ts";
import { describe, parsePartitions, readTableStates, summarize } from "./partition/tables.ts";
import { checkApplied, listApplied, migrateDown, migrateUp, readSteps } from "./schema/runner.ts";
import { describeUsageError, refuseEmptyTexts } from "../arguments.ts";
import { quoted } from "../phrases.ts";

/** The migrator works in sessions, which a pooler does not keep. */
function databaseUrl(): string {
  const { DATABASE_URL, DATABASE_DIRECT_URL } = parseConfig(readEnvironment(), "migrate");
  return DATABASE_DIRECT_URL || DATABASE_URL;
}
const context = { databaseUrl, print };

function parseStep(text: string): number {
  if (!/^\d{1,4}$/.test(text)) {
    throw new AppError("usage", `--to ${quoted(text)}: wanted the number of a step; 0 reverts all steps`);
  }
  return Number(text);
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
  for (const name of names) print(`reverted ${name}`);
  if (names.length === 0) print(`no step above ${to} is applied`);
}

async function readSchema() {
  const steps = await readSteps();
  const [applied, states] = await withPool(
    context,
    (pool) => Promise.all([listApplied(pool), readTableStates(pool)]),
  );
  checkApplied(steps, applied);
  return {
    steps: steps.map(({ number, name }) => ({
      number,
      name,
      applied_at: applied[number - 1]?.applied_at ?? null,
    })),
    ...summarize(states),
  };
}

async function status({ json }: { json?: true }): Promise<void> {
  const { steps, ...summary } = await readSchema();
  if (json) return print(JSON.stringify({ steps, ...summary }));
  for (const { name, applied_at } of steps) print(`${name}  ${applied_at ?? "not applied"}`);
  print(describe(summary));
}

async function check(): Promise<void> {
  const { steps, ...summary } = await readSchema();
  const missing = steps.filter(({ applied_at }) => applied_at === null);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(", ");
    throw new AppError(
      "schema_mismatch",
      `checking the schema: not applied: ${names}; run 'deno task migrate'`,
    );
  }
  print("the schema is up to date");
  print(describe(summary));
}

interface PartitionFlags {
  partitions?: number;
  offline?: true;
  dryRun?: true;
  json?: true;
  quiet?: true;
}

async function partitionTables(flags: PartitionFlags, signal: AbortSignal): Promise<void> {
  const { partitions, offline = false, dryRun = false, json } = flags;
  const progress = progressOf(flags);
  const result = await withPool(
    context,
    (pool) => partition(pool, { partitions, offline, dryRun, progress, signal }),
  );
  print(json ? JSON.stringify(result) : formatPartition(result));
}

function createProgram(signal: AbortSignal): Command {
  const program = new Command("migrate").description("migrate the schema and the data of contactsheet");
  program.command("up", { isDefault: true }).description("apply all missing steps of the schema").action(up);
  program.command("down")
    .description("revert steps of the schema, the newest first")
    .requiredOption("--to <n>", "number of the last step to keep", parseStep)
    .action(down);
  program.command("status")
    .description("list the steps and when they were applied")
    .option("--json", "print one JSON object to stdout")
    .action(status);
  program.command("check").description("fail unless every step is applied and unchanged").action(check);
  program.command("partition")
    .description(
      "partition subtasks, and the tables that belong to them, by hash of the task; see docs/scaling.md",
    )
    .option(
      "--partitions <n>",
      "number of partitions of each table: a power of two, 16 by default",
      parsePartitions,
    )
    .option("--offline", "copy tables that have rows; nothing else may work with the database meanwhile")
    .option("--dry-run", "print what would be converted and how long it would take")
    .option(...options.json)
    .option(...options.quiet)
    .action((flags: PartitionFlags) => partitionTables(flags, signal));
  program.addCommand(trafficCommand(context));
  program.addCommand(dataCommand({ ...context, signal }));
  // Detecting colours would read the environment, for which the task has no permission. Exits are left to main().
  const configure = (command: Command): void => {
    command.exitOverride().configureOutput({
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(`error: ${describeUsageError(text.trimEnd())}\n`),
    });
    command.commands.forEach(configure);
  };
  configure(program);
  refuseEmptyTexts(program);
  return program;
}

async function main(signal: AbortSignal): Promise<number> {
  try {
    await createProgram(signal).parseAsync(Deno.args, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has already printed the error, or the help, which ends with exit 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : codes.usage.exit;
    throw error;
  }
}

if (import.meta.main) await runMain(main);
