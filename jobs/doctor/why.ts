/** Explains why a cell is not running. */
import { type CellState, findCell, type QueueCapacity, readQueueCapacity } from "../../db/queue/cells.ts";
import type { Sql } from "../../db/pg/connect.ts";
import type { CellRef } from "../../db/queue/control.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { deadAfterMs } from "../../db/queue/times.ts";
import { describeFault } from "../../redis/refusal.ts";
import type { Streams } from "../../redis/stream.ts";
import { counted, inflect } from "../../phrases.ts";

/** The explanation: `state` for programs, `text` for people. */
export interface Why {
  state:
    | "completed"
    | "failed"
    | "cancelled"
    | "held"
    | "running"
    | "waiting_for_retry"
    | "orphaned"
    | "not_ours"
    | "task_ended"
    | "no_worker"
    | "no_slots"
    | "no_leader"
    | "next"
    | "queued";
  text: string;
  /** Number of cells before a queued one. */
  behind?: number;
}

/** Maximum number of cells of the dispatch order that are searched. */
const orderMax = 2_000;

const at = (time: Date | null): string => time === null ? "an unknown time" : time.toISOString();

const held: Record<string, string> = {
  import: "its task was imported unfinished from the old backend, and must be resumed",
  pause: "its task is paused",
  canary: "its task was held because its first cells failed",
};

function whyEnded({ status, completed_at, attempt, error, retry_count }: CellState): Why {
  const when = at(completed_at);
  if (status === "completed") {
    const tries = retry_count > 0 ? ` after ${counted(retry_count, "failed attempt")}` : "";
    return { state: "completed", text: `It is completed: its image was finished at ${when}${tries}.` };
  }
  if (status === "failed") {
    const text = `It failed at ${when}, in attempt ${attempt}: ${error ?? "no reason recorded"}. ` +
      "'deno task worker retry' or 'deno task worker rerun' draws it again.";
    return { state: "failed", text };
  }
  return { state: "cancelled", text: `It was cancelled with its task at ${when}.` };
}

function whyProcessing(cell: CellState): Why {
  const { worker_id, host, pid, silent_ms, attempt, remote_id, run_after, intent_at, started_at } = cell;
  if (worker_id === null) {
    const text =
      "It was processing in the old backend when its task was imported; no worker draws it until the task is " +
      "resumed.";
    return { state: "not_ours", text };
  }
  if (silent_ms === null || silent_ms > deadAfterMs) {
    const heard = silent_ms === null ? "is gone" : `has been silent for ${Math.round(silent_ms / 1000)} s`;
    const text =
      `It is processing, but its worker ${worker_id} ${heard}. The leader makes it pending again within seconds; ` +
      "without a leader, 'deno task worker:doctor --repair' does.";
    return { state: "orphaned", text };
  }
  const where = `worker ${worker_id} (${host}, process ${pid})`;
  if (run_after !== null) {
    const text = `It waits at ${where} for attempt ${attempt}, which starts at ${
      at(run_after)
    }: ${cell.error}.`;
    return { state: "waiting_for_retry", text };
  }
  const job = remote_id === null ? "it has no remote job yet" : `its remote job is ${remote_id}`;
  const since = at(intent_at ?? started_at);
  return { state: "running", text: `It is running at ${where} since ${since}, attempt ${attempt}; ${job}.` };
}

/** Returns the reason for which no cell of the queue starts, if there is one. */
function whyStuck(cell: CellState, queue: QueueCapacity): Why | undefined {
  const name = cell.queue;
  if (queue.workers === 0) {
    return {
      state: "no_worker",
      text: `No living worker serves queue ${name}: start one with 'deno task worker'.`,
    };
  }
  if (queue.worker_slots === 0) {
    const serve = inflect(queue.workers, "serves", "serve");
    const text = `${counted(queue.workers, "worker")} ${serve} queue ${name}, with no slots in it ` +
      `(${queue.slots ?? 0} ${inflect(queue.slots ?? 0, "is", "are")} allowed over all workers).`;
    return { state: "no_slots", text };
  }
  if (!queue.has_leader) {
    const text =
      "No worker is the leader, so no cells are fed; a living worker becomes leader within seconds.";
    return { state: "no_leader", text };
  }
}

/** Returns how cells of the queue are dispatched while Redis refuses entries; nothing otherwise. */
async function describeDispatch(streams: Streams | undefined): Promise<string> {
  const refusal = await streams?.probe().then(() => undefined, describeFault);
  if (!refusal) return "";
  return ` The workers claim from PostgreSQL, because Redis ${refusal.text}: ${refusal.advice}.`;
}

async function whyPending(sql: Sql, cell: CellState, streams?: Streams): Promise<Why> {
  const { task_status, is_deleted, hold, hold_reason, run_after, attempt, error, queue: name } = cell;
  if (task_status !== "pending" && task_status !== "processing") {
    const text = `Its task has ended as ${task_status}. The cell is being cancelled; otherwise run ` +
      "'deno task worker:doctor'.";
    return { state: "task_ended", text };
  }
  if (is_deleted) return { state: "task_ended", text: "Its task was deleted." };
  if (hold !== null) {
    const reason = hold_reason === null ? "" : ` (${hold_reason})`;
    return {
      state: "held",
      text: `It is held: ${held[hold]}${reason}. 'deno task worker resume' continues it.`,
    };
  }
  if (run_after !== null) {
    const cause = error ?? "the previous attempt failed";
    const text = `It waits until ${at(run_after)} for attempt ${attempt}: ${cause}.`;
    return { state: "waiting_for_retry", text };
  }
  const queue = await readQueueCapacity(sql, name, deadAfterMs);
  const stuck = whyStuck(cell, queue);
  if (stuck) return stuck;
  const order = await listDispatchable(sql, name, orderMax);
  const behind = order.findIndex(({ id, task_id }) => id === cell.id && task_id === cell.task_id);
  const dispatch = await describeDispatch(streams);
  const busy = `${queue.running} of ${counted(queue.worker_slots, "slot")} of queue ${name} ${
    inflect(queue.running, "is", "are")
  } in use`;
  if (behind < 0) {
    const text = `It is in queue ${name} behind ${
      counted(order.length, "cell")
    } or more; ${busy}.${dispatch}`;
    return { state: "queued", behind: order.length, text };
  }
  if (behind < queue.worker_slots - queue.running) {
    const text = `It starts next: ${counted(behind, "cell")} ${
      inflect(behind, "is", "are")
    } before it and ${busy}.${dispatch}`;
    return { state: "next", behind, text };
  }
  return {
    state: "queued",
    behind,
    text: `It is in queue ${name} behind ${counted(behind, "cell")}; ${busy}.${dispatch}`,
  };
}

/**
 * Explains why a cell is not running, where it is running, or how it ended.
 *
 * @param cell the cell's number from 0, or the subtask's id
 * @param streams asked whether they accept entries
 * @returns undefined when there is no such task or cell
 */
export async function whyCell(
  sql: Sql,
  taskId: string,
  cell: CellRef,
  streams?: Streams,
): Promise<Why | undefined> {
  const found = await findCell(sql, taskId, cell);
  if (!found) return undefined;
  if (found.status === "processing") return whyProcessing(found);
  return found.status === "pending" ? await whyPending(sql, found, streams) : whyEnded(found);
}
