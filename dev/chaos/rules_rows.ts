/** Rules about the rows and their history. */
import { faults } from "./faults.ts";
import type { Facts } from "./facts.ts";
import { isScriptedToFail } from "./plan.ts";

const ends = ["completed", "failed", "cancelled"];
const isEnd = (status: string) => ends.includes(status);

/** Checks that the system became idle. */
export function checkIdle({ idle }: Facts): string[] {
  return [
    ...idle.unsettled,
    ...(idle.epochMarked ? [] : ["Redis was wiped and its epoch mark was not restored"]),
  ];
}

/** Checks that every cell has ended, holds no lease and has an image exactly if it is completed. */
export function checkCells({ cells, submitted }: Facts): string[] {
  const wrong: string[] = [];
  for (const { id, status, lease_id, worker_id, image_url, has_result } of cells) {
    if (!isEnd(status)) wrong.push(`cell ${id} is ${status}`);
    if (lease_id !== null || worker_id !== null) {
      wrong.push(`cell ${id} is ${status} and leased to ${worker_id}`);
    }
    if ((status === "completed") !== (image_url !== null && has_result)) {
      wrong.push(`cell ${id} is ${status}, image ${image_url}`);
    }
  }
  for (const { id, planned } of submitted) {
    const count = cells.filter(({ task_id }) => task_id === id).length;
    if (count !== planned.prompts.length) {
      wrong.push(`task '${planned.name}': has ${count} of ${planned.prompts.length} cells`);
    }
  }
  return wrong;
}

/** Returns the status that follows from the counts of a task's cells. */
function expectedStatus(counts: { completed: number; failed: number }, cancelledRow: boolean): string {
  if (cancelledRow) return "cancelled";
  return counts.completed === 0 && counts.failed > 0 ? "failed" : "completed";
}

/** Checks that the counters and the status of every task follow from its rows. */
export function checkCounters({ tasks, cells }: Facts): string[] {
  return tasks.flatMap((task) => {
    const own = cells.filter(({ task_id }) => task_id === task.id);
    const count = (status: string) => own.filter((cell) => cell.status === status).length;
    const counted = { completed: count("completed"), failed: count("failed"), cancelled: count("cancelled") };
    const recorded = { completed: task.completed, failed: task.failed, cancelled: task.cancelled };
    const wrong: string[] = [];
    if (JSON.stringify(counted) !== JSON.stringify(recorded) || task.total !== own.length) {
      wrong.push(
        `task '${task.name}' records ${JSON.stringify(recorded)} of ${task.total}, its rows are ${
          JSON.stringify(counted)
        }`,
      );
    }
    const expected = expectedStatus(counted, task.status === "cancelled");
    if (task.status !== expected) {
      wrong.push(`task '${task.name}' is ${task.status}, its rows imply ${expected}`);
    }
    if (!task.all_subtasks_completed || task.cancelling) {
      wrong.push(
        `task '${task.name}': all_subtasks_completed ${task.all_subtasks_completed}, cancelling ${task.cancelling}`,
      );
    }
    return wrong;
  });
}

/** Checks that no end state changes, except for cells and tasks that the rig reopened. */
export function checkFinality({ moves, taskMoves, submitted }: Facts): string[] {
  const reopened = new Map(submitted.map((task) => [task.id, task.reopened]));
  const wrong: string[] = [];
  const endings = new Map<string, number>();
  for (const { id, task_id, was, becomes } of moves) {
    const mayReopen = was === "failed" && becomes === "pending" && (reopened.get(task_id) ?? 0) > 0;
    if (isEnd(was) && !mayReopen) wrong.push(`cell ${id} went from ${was} to ${becomes}`);
    if (!isEnd(was) && isEnd(becomes)) endings.set(id, (endings.get(id) ?? 0) + 1);
  }
  const taskOf = new Map(moves.map(({ id, task_id }) => [id, task_id]));
  for (const [id, times] of endings) {
    const timesMax = 1 + (reopened.get(taskOf.get(id)!) ?? 0);
    if (times > timesMax) wrong.push(`cell ${id} ended ${times} times`);
  }
  for (const { id, was, becomes, reopened: byRig } of taskMoves) {
    if (isEnd(was) && !byRig) wrong.push(`task ${id} went from ${was} to ${becomes}`);
  }
  return wrong;
}

/** Checks that only pending cells are claimed and that the lease numbers of a cell increase. */
export function checkLeases({ moves }: Facts): string[] {
  const wrong: string[] = [];
  const last = new Map<string, bigint>();
  for (const { id, was, becomes, lease_was, lease } of moves) {
    const claim = was !== "processing" && becomes === "processing";
    if (claim && was !== "pending") wrong.push(`cell ${id} was claimed while ${was}`);
    if (was === "processing" && becomes === "processing" && lease !== lease_was) {
      wrong.push(`cell ${id} was claimed while lease ${lease_was} held it`);
    }
    if (claim && BigInt(lease ?? 0) <= (last.get(id) ?? 0n)) {
      wrong.push(`cell ${id}: lease ${lease} is not greater than the last one`);
    }
    if (claim) last.set(id, BigInt(lease ?? 0));
  }
  return wrong;
}

/**
 * Checks the notices of every task. Delivery is at least once: a sender that died may have delivered a notice already,
 * and every delivery counts as a try.
 */
export function checkNotices({ tasks, notices, hooks, taskMoves, submitted }: Facts): string[] {
  const wrong: string[] = [];
  for (const { id, name } of tasks) {
    const own = notices.filter(({ task_id }) => task_id === id);
    const kinds = own.map(({ kind }) => kind);
    if (new Set(kinds).size !== kinds.length) wrong.push(`task '${name}' has notices ${kinds.join(", ")}`);
    const closings = taskMoves.filter((move) =>
      move.id === id && (move.becomes === "completed" || move.becomes === "failed")
    ).length;
    const endNotices = kinds.filter((kind) =>
      kind !== "submitted" && kind !== "held"
    ).length;
    if (closings > 0 !== endNotices > 0 || endNotices > closings) {
      wrong.push(`task '${name}' ended ${closings} times and has the notices ${kinds}`);
    }
    const arrived = hooks.filter((text) => text.includes(id)).length;
    const tries = own.reduce((sum, notice) => sum + notice.tries, 0);
    if (arrived < own.length || arrived > tries) {
      wrong.push(`task '${name}': ${own.length} notices, ${tries} tries, ${arrived} arrived`);
    }
    if (own.some(({ closed, delivered }) => !closed || delivered !== 1)) {
      wrong.push(`task '${name}': a notice was not delivered`);
    }
  }
  const ids = tasks.map(({ id }) => id).sort();
  const submittedIds = submitted.map(({ id }) => id).sort();
  if (ids.join() !== submittedIds.join()) {
    wrong.push(`${submittedIds.length} tasks were submitted, ${ids.length} exist`);
  }
  return wrong;
}

/** Checks that cells fail only by their scripts or because a fault affected the image API. */
export function checkFailures({ cells, injected }: Facts): string[] {
  if (injected.some(({ kind }) => faults[kind].spoilsAttempts)) return [];
  return cells
    .filter(({ status, prompt }) => status === "failed" && !isScriptedToFail(prompt))
    .map(({ id, error }) => `cell ${id} failed: ${error}`);
}
