/** Rules over the rows and what they went through. */
import { faults } from "./faults.ts";
import type { Facts } from "./facts.ts";
import { saysFailure } from "./schedule.ts";

const ends = ["completed", "failed", "cancelled"];
const isEnd = (status: string) => ends.includes(status);

export function checkRest({ calm }: Facts): string[] {
  return [...calm.restless, ...(calm.marked ? [] : ["Redis was wiped and nobody marked it again"])];
}

export function checkCells({ cells, submitted }: Facts): string[] {
  const wrong: string[] = [];
  for (const { id, status, lease_id, worker_id, image_url, has_result } of cells) {
    if (!isEnd(status)) wrong.push(`cell ${id} is ${status}`);
    if (lease_id !== null || worker_id !== null) {
      wrong.push(`cell ${id} is ${status} and held by ${worker_id}`);
    }
    if ((status === "completed") !== (image_url !== null && has_result)) {
      wrong.push(`cell ${id} is ${status}, image ${image_url}`);
    }
  }
  for (const { id, order } of submitted) {
    const count = cells.filter(({ task_id }) => task_id === id).length;
    if (count !== order.prompts.length) {
      wrong.push(`task '${order.name}': ${count} of ${order.prompts.length} cells`);
    }
  }
  return wrong;
}

function wantedStatus(counts: { completed: number; failed: number }, cancelledRow: boolean): string {
  if (cancelledRow) return "cancelled";
  return counts.completed === 0 && counts.failed > 0 ? "failed" : "completed";
}

export function checkCounters({ tasks, cells }: Facts): string[] {
  return tasks.flatMap((task) => {
    const own = cells.filter(({ task_id }) => task_id === task.id);
    const count = (status: string) => own.filter((cell) => cell.status === status).length;
    const counted = { completed: count("completed"), failed: count("failed"), cancelled: count("cancelled") };
    const told = { completed: task.completed, failed: task.failed, cancelled: task.cancelled };
    const wrong: string[] = [];
    if (JSON.stringify(counted) !== JSON.stringify(told) || task.total !== own.length) {
      wrong.push(
        `task '${task.name}' says ${JSON.stringify(told)} of ${task.total}, rows say ${
          JSON.stringify(counted)
        }`,
      );
    }
    const wanted = wantedStatus(counted, task.status === "cancelled");
    if (task.status !== wanted) wrong.push(`task '${task.name}' is ${task.status}, its rows say ${wanted}`);
    if (!task.all_subtasks_completed || task.cancelling) {
      wrong.push(
        `task '${task.name}': all_subtasks_completed ${task.all_subtasks_completed}, cancelling ${task.cancelling}`,
      );
    }
    return wrong;
  });
}

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
    const most = 1 + (reopened.get(taskOf.get(id)!) ?? 0);
    if (times > most) wrong.push(`cell ${id} ended ${times} times`);
  }
  for (const { id, was, becomes, reopened: byUs } of taskMoves) {
    if (isEnd(was) && !byUs) wrong.push(`task ${id} went from ${was} to ${becomes}`);
  }
  return wrong;
}

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
      wrong.push(`cell ${id}: lease ${lease} is not new`);
    }
    if (claim) last.set(id, BigInt(lease ?? 0));
  }
  return wrong;
}

/** At least once: a sender that died may have told already; each such case has a try of its own. */
export function checkNotices({ tasks, notices, hooks, taskMoves, submitted }: Facts): string[] {
  const wrong: string[] = [];
  for (const { id, name } of tasks) {
    const own = notices.filter(({ task_id }) => task_id === id);
    const kinds = own.map(({ kind }) => kind);
    if (new Set(kinds).size !== kinds.length) wrong.push(`task '${name}' has notices ${kinds.join(", ")}`);
    const closings = taskMoves.filter((move) =>
      move.id === id && (move.becomes === "completed" || move.becomes === "failed")
    ).length;
    const told = kinds.filter((kind) =>
      kind !== "submitted" && kind !== "held"
    ).length;
    if (closings > 0 !== told > 0 || told > closings) {
      wrong.push(
        `task '${name}' ended ${closings} times: ${kinds}`,
      );
    }
    const arrived = hooks.filter((text) => text.includes(id)).length;
    const tries = own.reduce((sum, notice) => sum + notice.tries, 0);
    if (arrived < own.length || arrived > tries) {
      wrong.push(`task '${name}': ${own.length} notices, ${tries} tries, ${arrived} arrived`);
    }
    if (own.some(({ closed, delivered }) => !closed || delivered !== 1)) {
      wrong.push(
        `task '${name}': not delivered`,
      );
    }
  }
  const ids = tasks.map(({ id }) => id).sort();
  const asked = submitted.map(({ id }) => id).sort();
  if (ids.join() !== asked.join()) {
    wrong.push(`${asked.length} tasks were submitted, ${ids.length} are there`);
  }
  return wrong;
}

/** Cells fail by their scripts, or because the image API or the way to it was disturbed. */
export function checkFailures({ cells, struck }: Facts): string[] {
  if (struck.some(({ kind }) => faults[kind].spoilsAttempts)) return [];
  return cells
    .filter(({ status, prompt }) => status === "failed" && !saysFailure(prompt))
    .map(({ id, error }) => `cell ${id} failed: ${error}`);
}
