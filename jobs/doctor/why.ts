/** «Why isn't it running?», for one cell. */
import { type CellState, findCell, type QueueState, readQueueState } from "../../db/queue/cells.ts";
import type { Sql } from "../../db/pg/connect.ts";
import type { CellName } from "../../db/queue/control.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { deadAfterMs } from "../lead/leader.ts";

/** In one word, for programs; `text` says the same to people, in whole sentences. */
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
  /** Of a cell that is queued: how many are before it. */
  behind?: number;
}

/** So far the order is looked through. */
const orderMax = 2_000;

const at = (time: Date | null): string => time === null ? "an unknown time" : time.toISOString();

const held: Record<string, string> = {
  import: "its task was brought over from the old backend unfinished, and such tasks wait to be resumed",
  pause: "its task is paused",
  canary: "its task holds itself, because its first cells failed",
};

function whyEnded({ status, completed_at, attempt, error, retry_count }: CellState): Why {
  const when = at(completed_at);
  if (status === "completed") {
    const tries = retry_count > 0 ? ` after ${retry_count} failed attempts` : "";
    return { state: "completed", text: `It is done: its image was there at ${when}${tries}.` };
  }
  if (status === "failed") {
    const text = `It failed at ${when}, in attempt ${attempt}: ${error ?? "without a reason"}. ` +
      "It is drawn again by 'deno task worker retry' or 'deno task worker rerun'.";
    return { state: "failed", text };
  }
  return { state: "cancelled", text: `It was cancelled with its task at ${when}.` };
}

function whyProcessing(cell: CellState): Why {
  const { worker_id, host, pid, silent_ms, attempt, remote_id, run_after, intent_at, started_at } = cell;
  if (worker_id === null) {
    const text =
      "It was under way in the old backend when it was brought over; nobody works on it until its task is " +
      "resumed.";
    return { state: "not_ours", text };
  }
  if (silent_ms === null || silent_ms > deadAfterMs) {
    const heard = silent_ms === null ? "is gone" : `has been silent for ${Math.round(silent_ms / 1000)} s`;
    const text =
      `It is under way by the rows, but its worker ${worker_id} ${heard}: the leader makes it pending again ` +
      "within seconds; where nobody leads, 'deno task worker:doctor --repair' does.";
    return { state: "orphaned", text };
  }
  const where = `worker ${worker_id} (${host}, process ${pid})`;
  if (run_after !== null) {
    const text = `It waits at ${where} for attempt ${attempt}, which begins at ${
      at(run_after)
    }: ${cell.error}.`;
    return { state: "waiting_for_retry", text };
  }
  const job = remote_id === null ? "it has no job id yet" : `the generator's job is ${remote_id}`;
  const since = at(intent_at ?? started_at);
  return { state: "running", text: `It is running at ${where} since ${since}, attempt ${attempt}; ${job}.` };
}

/** What in the queue itself keeps everything from starting. */
function whyStuck(cell: CellState, queue: QueueState): Why | undefined {
  const name = cell.queue;
  if (queue.workers === 0) {
    return {
      state: "no_worker",
      text: `No living worker serves the queue ${name}: start one ('deno task worker').`,
    };
  }
  if (queue.room === 0) {
    const text =
      `The ${queue.workers} workers that serve the queue ${name} have no slots in it (${
        queue.slots ?? 0
      } are ` +
      "allowed over all).";
    return { state: "no_slots", text };
  }
  if (!queue.led) {
    const text =
      "Nobody leads the workers just now, so nothing is fed; a living worker takes the lead within seconds.";
    return { state: "no_leader", text };
  }
}

async function whyPending(sql: Sql, cell: CellState): Promise<Why> {
  const { task_status, is_deleted, hold, hold_reason, run_after, attempt, error, queue: name } = cell;
  if (task_status !== "pending" && task_status !== "processing") {
    const text =
      `Its task has ended as ${task_status}; what is left of it is being cancelled, or is for the doctor.`;
    return { state: "task_ended", text };
  }
  if (is_deleted) return { state: "task_ended", text: "Its task was deleted." };
  if (hold !== null) {
    const reason = hold_reason === null ? "" : ` (${hold_reason})`;
    return {
      state: "held",
      text: `It is held: ${held[hold]}${reason}. 'deno task worker resume' lets it go on.`,
    };
  }
  if (run_after !== null) {
    const text = `It waits until ${at(run_after)} for attempt ${attempt}: ${
      error ?? "the one before failed"
    }.`;
    return { state: "waiting_for_retry", text };
  }
  const queue = await readQueueState(sql, name, deadAfterMs);
  const stuck = whyStuck(cell, queue);
  if (stuck) return stuck;
  const order = await listDispatchable(sql, name, orderMax);
  const place = order.findIndex(({ id, task_id }) => id === cell.id && task_id === cell.task_id);
  const busy = `${queue.running} of ${queue.room} slots of the queue ${name} are in use`;
  if (place < 0) {
    const text =
      `It is in the queue ${name} behind ${order.length} others or more, its task's own among them; ${busy}.`;
    return { state: "queued", behind: order.length, text };
  }
  if (place < queue.room - queue.running) {
    return { state: "next", behind: place, text: `Nothing keeps it: ${place} are before it and ${busy}.` };
  }
  return {
    state: "queued",
    behind: place,
    text: `It is in the queue ${name} behind ${place} others; ${busy}.`,
  };
}

/**
 * Says why a cell is not running, or where it is running, or how it ended.
 *
 * @param cell place in the matrix from 0, or the subtask's id
 * @returns undefined where there is no such task or cell
 */
export async function whyCell(sql: Sql, taskId: string, cell: CellName): Promise<Why | undefined> {
  const found = await findCell(sql, taskId, cell);
  if (!found) return undefined;
  if (found.status === "processing") return whyProcessing(found);
  return found.status === "pending" ? await whyPending(sql, found) : whyEnded(found);
}
