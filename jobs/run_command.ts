/** Carries out the commands of the worker's command line, except `work`. */
import type { DeadLetter } from "../db/queue/attempts.ts";
import { AppError } from "../errors.ts";
import { print } from "../process.ts";
import type { Command } from "./commands.ts";
import {
  type MoveRequest,
  operator,
  pauseTask,
  rerunCell,
  resumeTask,
  retryFailed,
} from "./moves/control.ts";
import {
  type DeadLetterPage,
  inspectCell,
  readDeadLetters,
  replayDeadLetters,
} from "./moves/dead_letters.ts";
import { describeReport, runDoctor } from "./doctor/doctor.ts";
import type { DoctorDeps } from "./doctor/check.ts";
import {
  clearSlots,
  describeClearedOverride,
  describeSetOverride,
  describeSlots,
  listSlots,
  setSlots,
} from "./moves/slot_settings.ts";
import { whyCell } from "./doctor/why.ts";
import { Streams } from "../redis/stream.ts";
import { counted, inflect } from "../phrases.ts";

type CommandOf<Kind extends Command["kind"]> = Extract<Command, { kind: Kind }>;

const refusals: Record<string, ["not_found" | "forbidden" | "conflict", string]> = {
  not_found: ["not_found", "no such task"],
  forbidden: ["forbidden", "the task belongs to somebody else"],
  no_such_cell: ["not_found", "the task has no such cell"],
  already_ended: ["conflict", "the task has ended"],
  cancelled: ["conflict", "the task is cancelled, which is final"],
  running: ["conflict", "the cell is running"],
};

/**
 * Prints the new state of a task.
 *
 * @throws AppError not_found, forbidden, conflict where the move was refused
 */
function printAnswer(action: string, taskId: string, answer: string): void {
  const refusal = refusals[answer];
  if (refusal) throw new AppError(refusal[0], `${action} task '${taskId}': ${refusal[1]}`);
  print(`task ${taskId}: ${answer.replaceAll("_", " ")}`);
}

async function runTaskCommand(
  deps: DoctorDeps,
  command: CommandOf<"pause" | "resume" | "retry" | "rerun">,
): Promise<void> {
  const { taskId } = command;
  const request: MoveRequest = { taskId, userId: operator };
  if (command.kind === "pause") return printAnswer("pausing", taskId, await pauseTask(deps, request));
  if (command.kind === "resume") return printAnswer("resuming", taskId, await resumeTask(deps, request));
  if (command.kind === "rerun") {
    const { cell } = command;
    return printAnswer(`rerunning cell ${cell} of`, taskId, await rerunCell(deps, { ...request, cell }));
  }
  const { cause } = command;
  const answer = await retryFailed(deps, { ...request, ...(cause === undefined ? {} : { cause }) });
  if (typeof answer === "string") return printAnswer("retrying the failed cells of", taskId, answer);
  const held = answer.hold === null ? "" : `; the task is held (${answer.hold}) until it is resumed`;
  print(
    `task ${taskId}: ${counted(answer.cells, "cell")} ${
      inflect(answer.cells, "is", "are")
    } pending again${held}`,
  );
}

const describeDeadLetter = (
  { failed_at, task_id, task_name, id, cell, attempt, cause }: DeadLetter,
): string =>
  `${failed_at.toISOString()}  task ${task_id} cell ${cell ?? id}, attempt ${attempt}: ${cause}  (${
    task_name.slice(0, 60)
  })`;

function describeDead({ letters, causes }: DeadLetterPage): string {
  if (letters.length === 0) return "no dead letters";
  return [
    ...letters.map(describeDeadLetter),
    "",
    ...causes.map(({ cause, cells }) => `${String(cells).padStart(7)}  ${cause}`),
  ].join("\n");
}

async function runWhy(deps: DoctorDeps, { taskId, cell, json }: CommandOf<"why">): Promise<void> {
  const why = await whyCell(deps.sql, taskId, cell, new Streams(deps.redis, deps.prefix));
  if (!why) throw new AppError("not_found", `finding cell ${cell} of task '${taskId}': no such cell`);
  const attempts = await inspectCell(deps.sql, taskId, cell) ?? [];
  if (json) return print(JSON.stringify({ ...why, attempts }));
  print(why.text);
  for (const { attempt, outcome, worker_id, ended_at, reason } of attempts) {
    const where = worker_id === null ? "" : ` at ${worker_id}`;
    const cause = reason ? `: ${reason}` : "";
    print(`  attempt ${attempt}: ${outcome}${where}, ${ended_at?.toISOString() ?? "?"}${cause}`);
  }
}

async function runSlots(
  deps: DoctorDeps,
  command: CommandOf<"slots_list" | "slots_set" | "slots_clear">,
): Promise<void> {
  if (command.kind === "slots_set") return print(describeSetOverride(await setSlots(deps, command)));
  if (command.kind === "slots_clear") {
    return print(describeClearedOverride(command.queue, await clearSlots(deps, command.queue)));
  }
  const all = await listSlots(deps.sql, command);
  print(command.json ? JSON.stringify(all) : describeSlots(all));
}

/**
 * Carries out a command.
 *
 * @returns the exit code: 1 when the doctor leaves a fault, else 0
 * @throws AppError not_found, forbidden, conflict where the command cannot be carried out
 */
export async function runCommand(
  deps: DoctorDeps,
  command: Exclude<Command, { kind: "work" }>,
): Promise<number> {
  switch (command.kind) {
    case "doctor": {
      const report = await runDoctor({ ...deps, days: command.days }, command);
      print(command.json ? JSON.stringify(report) : describeReport(report));
      return report.healthy ? 0 : 1;
    }
    case "why":
      await runWhy(deps, command);
      return 0;
    case "dead_list": {
      const page = await readDeadLetters(deps.sql, command.filter, command.limit);
      print(command.json ? JSON.stringify(page) : describeDead(page));
      return 0;
    }
    case "dead_replay": {
      const { tasks, cells, held } = await replayDeadLetters(deps, command.filter);
      const heldText = held > 0 ? `; ${held} of these tasks ${inflect(held, "is", "are")} held` : "";
      print(
        `${counted(cells, "cell")} of ${counted(tasks, "task")} ${
          inflect(cells, "is", "are")
        } pending again${heldText}`,
      );
      return 0;
    }
    case "slots_list":
    case "slots_set":
    case "slots_clear":
      await runSlots(deps, command);
      return 0;
    default:
      await runTaskCommand(deps, command);
      return 0;
  }
}
