/** The command line of the worker: what it may be told to do, read and checked. */
import { isUuidOfAnyCase } from "../uuid.ts";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { DeadFilter } from "../db/queue/attempts.ts";
import type { CellName } from "../db/queue/control.ts";
import { type Queue, queues } from "../db/queue/subtasks.ts";
import { AppError } from "../errors.ts";
import { print } from "../process.ts";

/** What a worker itself is told. */
export interface WorkFlags {
  once?: true;
  queues?: Queue[];
  slots?: number;
}

/** What was asked for. */
export type Order =
  | { kind: "work"; flags: WorkFlags }
  | { kind: "doctor"; repair: boolean; json: boolean; days: number | null }
  | { kind: "why"; taskId: string; cell: CellName; json: boolean }
  | { kind: "pause"; taskId: string }
  | { kind: "resume"; taskId: string }
  | { kind: "retry"; taskId: string; cause?: string }
  | { kind: "rerun"; taskId: string; cell: CellName }
  | { kind: "dead_list"; filter: DeadFilter; limit: number; json: boolean }
  | { kind: "dead_replay"; filter: DeadFilter }
  | { kind: "slots_list"; queue?: Queue; changes: number; json: boolean }
  | { kind: "slots_set"; queue: Queue; slots: number; forMs: number; reason: string; by: string }
  | { kind: "slots_clear"; queue: Queue };

function parseQueues(text: string): Queue[] {
  const names = text.split(",").map((name) => name.trim());
  const strange = names.find((name) => !queues.includes(name as Queue));
  if (strange !== undefined) throw new InvalidArgumentError(`'${strange}': wanted ${queues.join(", ")}`);
  return [...new Set(names as Queue[])];
}

const parseWhole = (least: number, most: number) => (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < least || value > most) {
    throw new InvalidArgumentError(`wanted a whole number from ${least} to ${most}`);
  }
  return value;
};

function parseTask(text: string): string {
  if (!isUuidOfAnyCase(text)) throw new InvalidArgumentError("wanted a task's id, a UUID");
  return text;
}

function parseCell(text: string): CellName {
  if (isUuidOfAnyCase(text)) return text;
  if (!/^\d{1,9}$/.test(text)) {
    throw new InvalidArgumentError("wanted a place in the matrix from 0, or a subtask's id");
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

const spanMsMax = 30 * unitMs.d!;

/** How long something holds, in ms. */
function parseSpan(text: string): number {
  const [, count, unit] = text.match(/^(\d{1,6})([mhd])$/) ?? [];
  const ms = unit === undefined ? NaN : Number(count) * unitMs[unit]!;
  if (!(ms > 0 && ms <= spanMsMax)) {
    throw new InvalidArgumentError("wanted a time such as 30m, 12h or 7d, at most 30d");
  }
  return ms;
}

/** A few words that are kept beside what they explain. */
function parseWords(text: string): string {
  const words = text.trim();
  if (words === "" || words.length > 200 || words.includes("\0")) {
    throw new InvalidArgumentError("wanted 1 to 200 characters");
  }
  return words;
}

function parseQueue(text: string): Queue {
  if (!queues.includes(text as Queue)) throw new InvalidArgumentError(`wanted ${queues.join(", ")}`);
  return text as Queue;
}

function readFilter({ task, cause, since }: { task?: string; cause?: string; since?: Date }): DeadFilter {
  return {
    ...(task === undefined ? {} : { taskId: task }),
    ...(cause === undefined ? {} : { cause }),
    ...(since === undefined ? {} : { since }),
  };
}

type Give = (order: Order) => void;

function addTaskCommands(program: Command, give: Give): void {
  program.command("pause").description("start nothing more of a task; what is under way ends")
    .argument("<task>", "its id", parseTask)
    .action((taskId: string) => give({ kind: "pause", taskId }));
  program.command("resume").description(
    "let a task go on that is paused, held by the canary, or was brought over",
  )
    .argument("<task>", "its id", parseTask)
    .action((taskId: string) => give({ kind: "resume", taskId }));
  program.command("retry").description("draw the failed cells of a task again")
    .argument("<task>", "its id", parseTask)
    .option("--cause <text>", "only those whose cause contains this")
    .action((taskId: string, { cause }: { cause?: string }) =>
      give({ kind: "retry", taskId, ...(cause === undefined ? {} : { cause }) })
    );
  program.command("rerun").description("draw one cell again, whether it failed or has an image")
    .argument("<task>", "its id", parseTask)
    .argument("<cell>", "its place in the matrix from 0, or its subtask's id", parseCell)
    .action((taskId: string, cell: CellName) => give({ kind: "rerun", taskId, cell }));
}

function addDeadCommands(program: Command, give: Give): void {
  const dead = program.command("dead").description("cells that failed for good: list, replay");
  const filtered = (name: string, about: string) =>
    dead.command(name).description(about)
      .option("--task <id>", "of this task alone", parseTask)
      .option("--cause <text>", "only those whose cause contains this")
      .option("--since <time>", "only those that failed since: a time, or 90m, 12h, 7d ago", parseSince);
  filtered("list", "the newest, and how many there are by cause")
    .option("--limit <count>", "how many are shown", parseWhole(1, 1_000), 20)
    .option("--json", "as JSON")
    .action(({ limit, json = false, ...filter }) =>
      give({ kind: "dead_list", filter: readFilter(filter), limit, json })
    );
  filtered("replay", "draw all of them again; cancelled tasks stay as they are")
    .action((filter) => give({ kind: "dead_replay", filter: readFilter(filter) }));
}

interface SlotsFlags {
  for?: number;
  reason?: string;
  by: string;
  clear?: true;
  changes: number;
  json?: true;
}

/** @throws InvalidArgumentError where the flags do not belong together */
function readSlots(queue: Queue | undefined, slots: number | undefined, flags: SlotsFlags): Order {
  const { for: forMs, reason, by, clear = false, changes, json = false } = flags;
  const refuse = (what: string): never => {
    throw new InvalidArgumentError(`slots: ${what}`);
  };
  if (clear) {
    if (queue === undefined) return refuse("--clear wants a queue");
    if (slots !== undefined) return refuse("--clear and a count contradict each other");
    return { kind: "slots_clear", queue };
  }
  if (slots !== undefined && queue !== undefined) {
    if (forMs === undefined) return refuse("a count wants --for, such as --for 30m: nothing is set for good");
    if (reason === undefined) return refuse("a count wants --reason, for those who wonder later");
    return { kind: "slots_set", queue, slots, forMs, reason, by };
  }
  if (forMs !== undefined || reason !== undefined) {
    return refuse("--for and --reason want a queue and a count");
  }
  return { kind: "slots_list", ...(queue === undefined ? {} : { queue }), changes, json };
}

function addSlots(program: Command, give: Give): void {
  program.command("slots").description(
    "how many attempts of each queue may run at once over all workers, and why; or set that by hand",
  )
    .argument("[queue]", `this alone: ${queues.join(", ")}`, parseQueue)
    .argument("[count]", "slots from now on, 0 to stop it; with --for and --reason", parseWhole(0, 10_000))
    .option("--for <time>", "how long a count holds: 30m, 12h, 7d", parseSpan)
    .option("--reason <text>", "why, kept with each change", parseWords)
    .option("--by <name>", "who says so", parseWords, "an operator")
    .option("--clear", "take back what was set by hand")
    .option("--changes <count>", "how many of the latest changes are shown", parseWhole(0, 1_000), 3)
    .option("--json", "as JSON")
    .action((queue: Queue | undefined, slots: number | undefined, flags: SlotsFlags) =>
      give(readSlots(queue, slots, flags))
    );
}

function addQuestions(program: Command, give: Give): void {
  program.command("doctor").description(
    "check PostgreSQL and Redis against what must hold; exit 1 where it does not",
  )
    .option("--repair", "put right what is safe to")
    .option("--json", "as JSON")
    .option("--days <count>", "how far back ended tasks are looked at", parseWhole(1, 36_500), 7)
    .option("--all", "look at all ended tasks")
    .action(({ repair = false, json = false, days, all }) =>
      give({ kind: "doctor", repair, json, days: all ? null : days })
    );
  program.command("why").description("why a cell is not running, or where it runs, or how it ended")
    .argument("<task>", "its id", parseTask)
    .argument("<cell>", "its place in the matrix from 0, or its subtask's id", parseCell)
    .option("--json", "as JSON")
    .action((taskId: string, cell: CellName, { json = false }) => give({ kind: "why", taskId, cell, json }));
}

function quiet(command: Command): void {
  command.exitOverride()
    // Colours and widths would be asked of an environment that this process may not read.
    .configureOutput({
      writeOut: (text) => print(text.trimEnd()),
      writeErr: () => {},
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    });
  for (const sub of command.commands) quiet(sub);
}

function makeProgram(give: Give): Command {
  const program = new Command("worker")
    .description("Draws what is pending, until it is told to stop; or does one thing and ends.")
    .option("--once", "end when nothing is left to draw")
    .option("--queues <names>", `serve only these, joined by commas: ${queues.join(", ")}`, parseQueues)
    .option(
      "--slots <count>",
      "the most attempts at once of each queue in this worker; the fleet's limits hold all the same ('slots')",
      parseWhole(1, 10_000),
    )
    .allowExcessArguments(false)
    .action((flags: WorkFlags) => give({ kind: "work", flags }));
  addQuestions(program, give);
  addTaskCommands(program, give);
  addDeadCommands(program, give);
  addSlots(program, give);
  quiet(program);
  return program;
}

/**
 * Reads the command line; undefined where help was asked for and given.
 *
 * @throws AppError usage naming what is wrong
 */
export function parseOrder(args: string[]): Order | undefined {
  let order: Order | undefined;
  try {
    makeProgram((given) => order = given).parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const what = error.message === "(outputHelp)"
      ? "a command is missing"
      : error.message.replace(/^error: /, "");
    throw new AppError("usage", `reading the flags: ${what}; see 'deno task worker --help'`, {
      cause: error,
    });
  }
  return order;
}
