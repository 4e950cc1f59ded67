/** Parses the command line of the worker. */
import { isUuidOfAnyCase } from "../uuid.ts";
import { Command as Program, CommanderError, InvalidArgumentError } from "commander";
import type { DeadLetterFilter } from "../db/queue/attempts.ts";
import type { CellRef } from "../db/queue/control.ts";
import { overrideReasonLengthMax, overrideSlotsMax } from "../db/queue/override_limits.ts";
import { type Queue, queues } from "../db/queue/subtasks.ts";
import { AppError } from "../errors.ts";
import { print } from "../process.ts";
import { describeUsageError, refuseEmptyTexts } from "../arguments.ts";
import { quoted } from "../phrases.ts";

/** Options of a worker process. */
export interface WorkFlags {
  once?: true;
  queues?: Queue[];
  slots?: number;
}

/** A parsed command. */
export type Command =
  | { kind: "work"; flags: WorkFlags }
  | { kind: "doctor"; repair: boolean; json: boolean; days: number | null }
  | { kind: "why"; taskId: string; cell: CellRef; json: boolean }
  | { kind: "pause"; taskId: string }
  | { kind: "resume"; taskId: string }
  | { kind: "retry"; taskId: string; cause?: string }
  | { kind: "rerun"; taskId: string; cell: CellRef }
  | { kind: "dead_list"; filter: DeadLetterFilter; limit: number; json: boolean }
  | { kind: "dead_replay"; filter: DeadLetterFilter }
  | { kind: "slots_list"; queue?: Queue; changes: number; json: boolean }
  | { kind: "slots_set"; queue: Queue; slots: number; forMs: number; reason: string; by: string }
  | { kind: "slots_clear"; queue: Queue };

function parseQueues(text: string): Queue[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !queues.includes(name as Queue));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`${quoted(unknown)}: wanted ${queues.join(", ")}`);
  }
  return [...new Set(names as Queue[])];
}

const parseWhole = (min: number, max: number) => (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`wanted a whole number from ${min} to ${max}`);
  }
  return value;
};

function parseTask(text: string): string {
  if (!isUuidOfAnyCase(text)) throw new InvalidArgumentError("wanted a task's id, a UUID");
  return text;
}

function parseCell(text: string): CellRef {
  if (isUuidOfAnyCase(text)) return text;
  if (!/^\d{1,9}$/.test(text)) {
    throw new InvalidArgumentError("wanted a cell's number from 0, or a subtask's id");
  }
  return Number(text);
}

const unitMs: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseSince(text: string): Date {
  const [, count, unit] = text.match(/^(\d{1,6})([mhd])$/) ?? [];
  const since = unit === undefined ? new Date(text) : new Date(Date.now() - Number(count) * unitMs[unit]!);
  if (Number.isNaN(since.getTime())) {
    throw new InvalidArgumentError("wanted a time such as 2026-01-31T08:00Z, or 90m, 12h, 7d");
  }
  return since;
}

const durationDaysMax = 30;
const durationMsMax = durationDaysMax * unitMs.d!;

/** @returns milliseconds */
function parseDuration(text: string): number {
  const [, count, unit] = text.match(/^(\d{1,6})([mhd])$/) ?? [];
  const ms = unit === undefined ? NaN : Number(count) * unitMs[unit]!;
  if (!(ms > 0 && ms <= durationMsMax)) {
    throw new InvalidArgumentError(`wanted a duration such as 30m, 12h or 7d, at most ${durationDaysMax}d`);
  }
  return ms;
}

/** Parses a short text that is stored, such as a reason or a name. */
function parseShortText(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed.length > overrideReasonLengthMax || trimmed.includes("\0")) {
    throw new InvalidArgumentError(`wanted 1 to ${overrideReasonLengthMax} characters`);
  }
  return trimmed;
}

function parseQueue(text: string): Queue {
  if (!queues.includes(text as Queue)) throw new InvalidArgumentError(`wanted ${queues.join(", ")}`);
  return text as Queue;
}

function toFilter({ task, cause, since }: { task?: string; cause?: string; since?: Date }): DeadLetterFilter {
  return {
    ...(task === undefined ? {} : { taskId: task }),
    ...(cause === undefined ? {} : { cause }),
    ...(since === undefined ? {} : { since }),
  };
}

/** Receives the parsed command. */
type Accept = (command: Command) => void;

function addTaskCommands(program: Program, accept: Accept): void {
  program.command("pause").description("start no further cells of a task; running attempts finish")
    .argument("<task>", "the task's id", parseTask)
    .action((taskId: string) => accept({ kind: "pause", taskId }));
  program.command("resume").description("continue a task that is paused, held by its canary, or imported")
    .argument("<task>", "the task's id", parseTask)
    .action((taskId: string) => accept({ kind: "resume", taskId }));
  program.command("retry").description("draw the failed cells of a task again")
    .argument("<task>", "the task's id", parseTask)
    .option("--cause <text>", "only cells whose cause of failure contains this text")
    .action((taskId: string, { cause }: { cause?: string }) =>
      accept({ kind: "retry", taskId, ...(cause === undefined ? {} : { cause }) })
    );
  program.command("rerun").description("draw one cell again, whether it failed or has an image")
    .argument("<task>", "the task's id", parseTask)
    .argument("<cell>", "the cell's number from 0, or its subtask's id", parseCell)
    .action((taskId: string, cell: CellRef) => accept({ kind: "rerun", taskId, cell }));
}

function addDeadCommands(program: Program, accept: Accept): void {
  const dead = program.command("dead").description("list or replay dead letters: cells that failed for good");
  const filtered = (name: string, description: string) =>
    dead.command(name).description(description)
      .option("--task <id>", "only cells of this task", parseTask)
      .option("--cause <text>", "only cells whose cause of failure contains this text")
      .option(
        "--since <time>",
        "only cells that failed since this time, or since 90m, 12h or 7d ago",
        parseSince,
      );
  filtered("list", "print the newest dead letters, and their number by cause")
    .option("--limit <count>", "maximum number of dead letters", parseWhole(1, 1_000), 20)
    .option("--json", "print JSON")
    .action(({ limit, json = false, ...filter }) =>
      accept({ kind: "dead_list", filter: toFilter(filter), limit, json })
    );
  filtered("replay", "draw the cells of all dead letters again, except those of cancelled tasks")
    .action((filter) => accept({ kind: "dead_replay", filter: toFilter(filter) }));
}

interface SlotsFlags {
  for?: number;
  reason?: string;
  by: string;
  clear?: true;
  changes: number;
  json?: true;
}

/** @throws InvalidArgumentError when the flags do not fit together */
function toSlotsCommand(queue: Queue | undefined, slots: number | undefined, flags: SlotsFlags): Command {
  const { for: forMs, reason, by, clear = false, changes, json = false } = flags;
  const refuse = (reason: string): never => {
    throw new InvalidArgumentError(`slots: ${reason}`);
  };
  if (clear) {
    if (queue === undefined) return refuse("--clear needs a queue");
    if (slots !== undefined) return refuse("--clear cannot be combined with a count");
    return { kind: "slots_clear", queue };
  }
  if (slots !== undefined && queue !== undefined) {
    if (forMs === undefined) return refuse("a count needs --for, such as --for 30m: every override expires");
    if (reason === undefined) return refuse("a count needs --reason, which is stored with the change");
    return { kind: "slots_set", queue, slots, forMs, reason, by };
  }
  if (forMs !== undefined || reason !== undefined) {
    return refuse("--for and --reason need a queue and a count");
  }
  return { kind: "slots_list", ...(queue === undefined ? {} : { queue }), changes, json };
}

function addSlots(program: Program, accept: Accept): void {
  program.command("slots").description(
    "print the slots of each queue over all workers with their reasons, or override them for a time",
  )
    .argument("[queue]", `only this queue: ${queues.join(", ")}`, parseQueue)
    .argument("[count]", "slots during the override; 0 stops the queue", parseWhole(0, overrideSlotsMax))
    .option("--for <time>", "length of the override: 30m, 12h, 7d", parseDuration)
    .option("--reason <text>", "reason of the override, stored with each change", parseShortText)
    .option("--by <name>", "name of the person who sets the override", parseShortText, "an operator")
    .option("--clear", "end the override")
    .option("--changes <count>", "number of the latest changes to print", parseWhole(0, 1_000), 3)
    .option("--json", "print JSON")
    .action((queue: Queue | undefined, slots: number | undefined, flags: SlotsFlags) =>
      accept(toSlotsCommand(queue, slots, flags))
    );
}

function addDiagnoses(program: Program, accept: Accept): void {
  program.command("doctor").description("check the queue in PostgreSQL and Redis; exit with 1 on a fault")
    .option("--repair", "repair the faults that can be repaired safely")
    .option("--json", "print JSON")
    .option("--days <count>", "check tasks that ended in the last days", parseWhole(1, 36_500), 7)
    .option("--all", "check all ended tasks")
    .action(({ repair = false, json = false, days, all }) =>
      accept({ kind: "doctor", repair, json, days: all ? null : days })
    );
  program.command("why").description("explain why a cell is not running, where it runs, or how it ended")
    .argument("<task>", "the task's id", parseTask)
    .argument("<cell>", "the cell's number from 0, or its subtask's id", parseCell)
    .option("--json", "print JSON")
    .action((taskId: string, cell: CellRef, { json = false }) => accept({ kind: "why", taskId, cell, json }));
}

/** Makes the program throw instead of exiting, and print through this process's own functions. */
function configureOutput(command: Program): void {
  command.exitOverride()
    // By default, Commander reads colours and widths from environment variables that this process may not
    // read.
    .configureOutput({
      writeOut: (text) => print(text.trimEnd()),
      writeErr: () => {},
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    });
  for (const subcommand of command.commands) configureOutput(subcommand);
}

/** Creates the command line; `accept` receives the parsed command. */
export function createProgram(accept: Accept): Program {
  const program = new Program("worker")
    .description("Draws pending cells until it is stopped, or carries out one command.")
    .option("--once", "exit when no pending cells are left")
    .option(
      "--queues <names>",
      `serve only these queues, separated by commas: ${queues.join(", ")}`,
      parseQueues,
    )
    .option(
      "--slots <count>",
      "maximum attempts of each queue at once in this worker, within the limits of the fleet (see 'slots')",
      parseWhole(1, 10_000),
    )
    .allowExcessArguments(false)
    .action((flags: WorkFlags) => accept({ kind: "work", flags }));
  addDiagnoses(program, accept);
  addTaskCommands(program, accept);
  addDeadCommands(program, accept);
  addSlots(program, accept);
  configureOutput(program);
  refuseEmptyTexts(program);
  return program;
}

/**
 * Parses the command line.
 *
 * @returns the command, or undefined after printing help
 * @throws AppError usage; its text names the invalid argument
 */
export function parseCommand(args: string[]): Command | undefined {
  let command: Command | undefined;
  try {
    createProgram((parsed) => command = parsed).parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const reason = error.message === "(outputHelp)"
      ? "a command is missing"
      : describeUsageError(error.message);
    const text = `reading the command line: ${reason}; see 'deno task worker --help'`;
    throw new AppError("usage", text, { cause: error });
  }
  return command;
}
