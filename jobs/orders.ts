/** Carries out what the worker's command line asks for besides working. */
import type { DeadLetter } from "../db/queue/attempts.ts";
import { AppError } from "../errors.ts";
import { print } from "../process.ts";
import type { Order } from "./commands.ts";
import { operator, pauseTask, rerunCell, resumeTask, retryFailed, type Wish } from "./moves/control.ts";
import { type DeadPage, inspectCell, listDead, replayDead } from "./moves/dead_letters.ts";
import { describeReport, runDoctor } from "./doctor/doctor.ts";
import type { DoctorDeps } from "./doctor/check.ts";
import { clearSlots, describeSlots, listSlots, setSlots } from "./moves/slot_settings.ts";
import { whyCell } from "./doctor/why.ts";

type Ordered<Kind extends Order["kind"]> = Extract<Order, { kind: Kind }>;

const refusals: Record<string, ["not_found" | "forbidden" | "conflict", string]> = {
  not_found: ["not_found", "no such task"],
  forbidden: ["forbidden", "not yours"],
  no_such_cell: ["not_found", "it has no such cell"],
  already_ended: ["conflict", "it has ended"],
  cancelled: ["conflict", "it was cancelled, and stays so"],
  running: ["conflict", "the cell is under way"],
};

/** Prints what became of a task, or throws where nothing could. */
function tell(action: string, taskId: string, answer: string): void {
  const refusal = refusals[answer];
  if (refusal) throw new AppError(refusal[0], `${action} task '${taskId}': ${refusal[1]}`);
  print(`task ${taskId}: ${answer.replaceAll("_", " ")}`);
}

async function runTaskOrder(
  deps: DoctorDeps,
  order: Ordered<"pause" | "resume" | "retry" | "rerun">,
): Promise<void> {
  const wish: Wish = { taskId: order.taskId, userId: operator };
  if (order.kind === "pause") return tell("pausing", order.taskId, await pauseTask(deps, wish));
  if (order.kind === "resume") return tell("resuming", order.taskId, await resumeTask(deps, wish));
  if (order.kind === "rerun") {
    return tell(
      `drawing cell ${order.cell} again of`,
      order.taskId,
      await rerunCell(deps, { ...wish, cell: order.cell }),
    );
  }
  const { cause } = order;
  const answer = await retryFailed(deps, { ...wish, ...(cause === undefined ? {} : { cause }) });
  if (typeof answer === "string") return tell("drawing failed cells again of", order.taskId, answer);
  const held = answer.hold === null ? "" : `; the task is held (${answer.hold}) until it is resumed`;
  print(`task ${order.taskId}: ${answer.cells} cells are pending again${held}`);
}

const describeLetter = ({ failed_at, task_id, task_name, id, cell, attempt, cause }: DeadLetter): string =>
  `${failed_at.toISOString()}  task ${task_id} cell ${cell ?? id}, attempt ${attempt}: ${cause}  (${
    task_name.slice(0, 60)
  })`;

function describeDead({ letters, causes }: DeadPage): string {
  if (letters.length === 0) return "no dead letters";
  return [
    ...letters.map(describeLetter),
    "",
    ...causes.map(({ cause, cells }) => `${String(cells).padStart(7)}  ${cause}`),
  ].join("\n");
}

async function runWhy(deps: DoctorDeps, { taskId, cell, json }: Ordered<"why">): Promise<void> {
  const why = await whyCell(deps.sql, taskId, cell);
  if (!why) throw new AppError("not_found", `looking for cell ${cell} of task '${taskId}': there is none`);
  const attempts = await inspectCell(deps.sql, taskId, cell) ?? [];
  if (json) return print(JSON.stringify({ ...why, attempts }));
  print(why.text);
  for (const { attempt, outcome, worker_id, ended_at, reason } of attempts) {
    const where = worker_id === null ? "" : ` at ${worker_id}`;
    print(
      `  attempt ${attempt}: ${outcome}${where}, ${ended_at?.toISOString() ?? "?"}${
        reason ? `: ${reason}` : ""
      }`,
    );
  }
}

async function runSlots(
  deps: DoctorDeps,
  order: Ordered<"slots_list" | "slots_set" | "slots_clear">,
): Promise<void> {
  if (order.kind === "slots_set") return print(await setSlots(deps, order));
  if (order.kind === "slots_clear") return print(await clearSlots(deps, order.queue));
  const all = await listSlots(deps.sql, order);
  print(order.json ? JSON.stringify(all) : describeSlots(all));
}

/**
 * Does one thing and returns the exit code: 1 where the doctor found what it could not or was not to repair.
 *
 * @throws AppError not_found, conflict where what was asked for cannot be done
 */
export async function runOrder(deps: DoctorDeps, order: Exclude<Order, { kind: "work" }>): Promise<number> {
  switch (order.kind) {
    case "doctor": {
      const report = await runDoctor({ ...deps, days: order.days }, order);
      print(order.json ? JSON.stringify(report) : describeReport(report));
      return report.healthy ? 0 : 1;
    }
    case "why":
      await runWhy(deps, order);
      return 0;
    case "dead_list": {
      const page = await listDead(deps.sql, order.filter, order.limit);
      print(order.json ? JSON.stringify(page) : describeDead(page));
      return 0;
    }
    case "dead_replay": {
      const { tasks, cells, held } = await replayDead(deps, order.filter);
      print(
        `${cells} cells of ${tasks} tasks are pending again${
          held > 0 ? `; ${held} of these tasks are held` : ""
        }`,
      );
      return 0;
    }
    case "slots_list":
    case "slots_set":
    case "slots_clear":
      await runSlots(deps, order);
      return 0;
    default:
      await runTaskOrder(deps, order);
      return 0;
  }
}
