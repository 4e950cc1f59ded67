/** The statements of the queue, on the rows of the model. */
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

export const isHeld = (cell: Cell, worker: Worker, withLease: boolean, withState: boolean): boolean =>
  (!withLease || cell.lease === worker.lease) && (!withState || cell.status === processing);

/** The row of an ended subtask. */
export function endCell(cell: Cell, status: number, g: Guards): void {
  cell.status = status;
  if (g.leaseEndsWithState) cell.lease = 0;
  cell.owner = nobody;
  cell.wait = cell.listed = 0;
  // It is never claimed again: what Redis still holds of it is read and dropped.
  if (g.stateInClaim) cell.entries = cell.unclaimed = cell.fed = 0;
}

/** Back to pending; whoever claims it polls on where a remote id is known. */
export function release(cell: Cell, counts: boolean): void {
  if (counts && cell.intent === 1 && cell.remote === 0) cell.counted++;
  cell.status = pending;
  cell.lease = 0;
  cell.owner = nobody;
}

/** Counters, the task's end, and its notice. */
export function countEnd(s: State, status: number, g: Guards): void {
  if (status === completed) s.completed++;
  else s.failed++;
  if (s.status !== pending || s.completed + s.failed + s.cancelled < s.cells.length) return;
  s.status = s.failed === s.cells.length ? failed : completed;
  const kind = s.completed === s.cells.length ? "completed" : s.completed > 0 ? "partial" : "failed";
  s.told[kind] = g.outboxUnique ? 1 : s.told[kind] + 1;
}

/** Ends what the worker holds; no row in the answer: the lease is lost, the work is thrown away. */
export function settle(s: State, w: Worker, status: number, g: Guards): void {
  const cell = s.cells[w.cell]!;
  if (!isHeld(cell, w, g.leaseInSettle, g.stateInWrites)) return clearWorker(w);
  endCell(cell, status, g);
  if (status === failed) cell.failures = w.failures + 1;
  if (!g.countersInStatement) {
    w.place = "counting";
    return;
  }
  countEnd(s, status, g);
  clearWorker(w);
}

export const isOpen = (s: State): boolean => s.status === pending && s.deleted === 0;

/** The claim's statement; the worker has its answer. */
export function claim(s: State, w: Worker, id: number, g: Guards): void {
  const cell = s.cells[w.cell]!;
  cell.status = processing;
  cell.lease = 1 + Math.max(...s.cells.map(({ lease }) => lease), ...s.workers.map(({ lease }) => lease));
  cell.owner = w.signed === 1 ? id : gone;
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
  w.place = adopts ? "polling" : g.strangersTwice ? "claimed" : "answered";
}

export const canClaim = (s: State, w: Worker, g: Guards): boolean => {
  const cell = s.cells[w.cell]!;
  return w.place === "read" && (w.signed === 1 || !g.deadCannotClaim) && (isOpen(s) || !g.openInClaim) &&
    (cell.status === pending || !g.stateInClaim) && cell.wait === 0;
};

/**
 * Ends an open task with what it has under way and what is pending; a big task's rest is swept later.
 *
 * @param rest a pending subtask that is left for later
 */
export function cancel(s: State, g: Guards, rest?: Cell): boolean {
  if (s.status !== pending || (rest && rest.status !== pending)) return false;
  s.status = cancelled;
  s.cells.forEach((cell, id) => {
    // Without the lock, rows of a claim under way are neither seen nor waited for.
    if (!g.cancelLocksTask && s.workers.some((w) => w.place === "taking" && w.cell === id)) return;
    if (cell === rest) s.sweeping = 1;
    else if (!hasEnded(cell.status)) {
      endCell(cell, cancelled, g);
      s.cancelled++;
    }
  });
  return true;
}

/** Ends the pending rest of a cancelled task. */
export function sweep(s: State, g: Guards): void {
  for (const cell of s.cells) {
    if (cell.status !== pending) continue;
    endCell(cell, cancelled, g);
    s.cancelled++;
  }
  s.sweeping = 0;
}

/** Begins anew with what failed of a task that ended by itself. */
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
