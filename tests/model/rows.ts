/** The statements of the queue, applied to the rows of the model. */
import type { Guards } from "./setting.ts";
import {
  cancelled,
  type Cell,
  clearWorker,
  completed,
  failed,
  gone,
  hasEnded,
  nobody,
  pending,
  processing,
  type State,
  type Worker,
} from "./state.ts";

/** Reports whether the worker's lease (and optionally the state) matches the row. */
export const isHeld = (cell: Cell, worker: Worker, withLease: boolean, withState: boolean): boolean =>
  (!withLease || cell.lease === worker.lease) && (!withState || cell.status === processing);

/** Writes an end state to a row. */
export function endSubtask(cell: Cell, status: number, g: Guards): void {
  cell.status = status;
  if (g.leaseEndsWithState) cell.lease = 0;
  cell.owner = nobody;
  cell.wait = cell.listed = 0;
  // It is never claimed again. Workers read and drop its remaining entries.
  if (g.stateInClaim) cell.entries = cell.unclaimed = cell.fed = 0;
}

/** Sets a row back to pending. The next worker continues to poll if the row has a remote id. */
export function release(cell: Cell, counts: boolean): void {
  if (counts && cell.intent === 1 && cell.remote === 0) cell.counted++;
  cell.status = pending;
  cell.lease = 0;
  cell.owner = nobody;
}

/** Updates the counters and, at the end of the task, its status and notice. */
export function countEnd(s: State, status: number, g: Guards): void {
  if (status === completed) s.completed++;
  else s.failed++;
  if (s.status !== pending || s.completed + s.failed + s.cancelled < s.cells.length) return;
  s.status = s.failed === s.cells.length ? failed : completed;
  const kind = s.completed === s.cells.length ? "completed" : s.completed > 0 ? "partial" : "failed";
  s.noticeCounts[kind] = g.outboxUnique ? 1 : s.noticeCounts[kind] + 1;
}

/** Ends the worker's subtask. If the statement returns no row, the lease is lost and the result is discarded. */
export function settle(s: State, w: Worker, status: number, g: Guards): void {
  const cell = s.cells[w.cell]!;
  if (!isHeld(cell, w, g.leaseInSettle, g.stateInWrites)) return clearWorker(w);
  endSubtask(cell, status, g);
  if (status === failed) cell.failures = w.failures + 1;
  if (!g.countersInStatement) {
    w.phase = "counting";
    return;
  }
  countEnd(s, status, g);
  clearWorker(w);
}

/** Reports whether the task is open. */
export const isOpen = (s: State): boolean => s.status === pending && s.deleted === 0;

/** Performs the claim and gives the worker its answer. */
export function claim(s: State, w: Worker, id: number, g: Guards): void {
  const cell = s.cells[w.cell]!;
  cell.status = processing;
  cell.lease = 1 + Math.max(...s.cells.map(({ lease }) => lease), ...s.workers.map(({ lease }) => lease));
  cell.owner = w.registered === 1 ? id : gone;
  cell.fed = 0;
  const adopts = cell.remote === 1 && g.remoteAdopted;
  if (!adopts) {
    cell.attempt++;
    cell.remote = 0;
    cell.intent = 1;
  }
  w.lease = cell.lease;
  w.attempt = cell.attempt;
  w.failures = cell.failures;
  w.phase = adopts ? "polling" : g.claimAnswerAwaited ? "claimed" : "answered";
}

/** Reports whether the claim's statement matches the row. */
export const canClaim = (s: State, w: Worker, g: Guards): boolean => {
  const cell = s.cells[w.cell]!;
  return w.phase === "read" && (w.registered === 1 || !g.registeredInClaim) &&
    (isOpen(s) || !g.openInClaim) &&
    (cell.status === pending || !g.stateInClaim) && cell.wait === 0;
};

/**
 * Cancels an open task with its subtasks. Of a large task, some pending subtasks are left for a later sweep.
 *
 * @param remaining a pending subtask that is left for the sweep
 */
export function cancel(s: State, g: Guards, remaining?: Cell): boolean {
  if (s.status !== pending || (remaining && remaining.status !== pending)) return false;
  s.status = cancelled;
  s.cells.forEach((cell, id) => {
    // Without the lock, the statement neither sees nor waits for the rows of a concurrent claim.
    if (!g.cancelLocksTask && s.workers.some((w) => w.phase === "claiming" && w.cell === id)) return;
    if (cell === remaining) s.sweeping = 1;
    else if (!hasEnded(cell.status)) {
      endSubtask(cell, cancelled, g);
      s.cancelled++;
    }
  });
  return true;
}

/** Cancels the remaining pending subtasks of a cancelled task. */
export function sweep(s: State, g: Guards): void {
  for (const cell of s.cells) {
    if (cell.status !== pending) continue;
    endSubtask(cell, cancelled, g);
    s.cancelled++;
  }
  s.sweeping = 0;
}

/** Reopens the failed subtasks of a task that ended by itself. */
export function retryFailed(s: State): boolean {
  if (s.retriesLeft === 0 || s.deleted === 1 || s.status === cancelled || s.failed === 0) return false;
  s.retriesLeft--;
  s.status = pending;
  s.failed = 0;
  for (const cell of s.cells) {
    if (cell.status !== failed) continue;
    cell.status = pending;
    cell.failures = cell.remote = cell.intent = 0;
    cell.allowed++;
    cell.counted++;
  }
  return true;
}
