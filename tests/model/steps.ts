/** The actions of workers, leaders and users. */
import type { Action } from "./checker.ts";
import {
  cancel,
  canClaim,
  claim,
  countEnd,
  isHeld,
  isOpen,
  release,
  retryFailed,
  settle,
  sweep,
} from "./rows.ts";
import { type Act, byWorker, type Guards, onCell, retryName, type Setting } from "./setting.ts";
import {
  type Cell,
  clearWorker,
  completed,
  copyState,
  failed,
  gone,
  hasEnded,
  pending,
  type Phase,
  processing,
  type State,
} from "./state.ts";

const settleError = ({ guards: g, attemptsMax }: Setting): Act => (s, w) => {
  if (w.failures + 1 >= attemptsMax) return settle(s, w, failed, g);
  const cell = s.cells[w.cell]!;
  if (!isHeld(cell, w, g.leaseInRetry, g.stateInWrites)) return clearWorker(w);
  cell.allowed++;
  cell.counted++;
  w.phase = "waiting";
  w.failures = cell.failures = w.failures + 1;
  w.attempt = cell.attempt = w.attempt + 1;
  cell.remote = cell.intent = 0;
  cell.wait = 1;
};

const begin = (g: Guards): Act => (s, w) => {
  const cell = s.cells[w.cell]!;
  if (!isHeld(cell, w, g.leaseInBegin, g.stateInWrites)) return clearWorker(w);
  cell.intent = 1;
  cell.wait = 0;
  w.phase = "claimed";
  // A worker that was declared dead without knowing it may POST, and so may the next worker.
  if (w.registered === 0) cell.allowed++;
};

/** Claims the subtask of the entry, or drops the entry if the subtask cannot be claimed. */
const tryClaim = (g: Guards): Act => (s, w, id) => {
  if (!canClaim(s, w, g)) clearWorker(w);
  // Without the lock, the task is checked at another time than the row is committed.
  else if (!g.cancelLocksTask) w.phase = "claiming";
  else claim(s, w, id, g);
};

const commitClaim = (g: Guards): Act => (s, w, id) => {
  if (s.cells[w.cell]!.status === pending) claim(s, w, id, g);
  else clearWorker(w);
};

const post: Act = (s, w) => {
  const cell = s.cells[w.cell]!;
  if (cell.posted & (1 << w.attempt)) cell.isRepeated = 1;
  cell.posted |= 1 << w.attempt;
  cell.allowed--;
  cell.counted--;
  w.phase = "posted";
};

const saveRemote = (g: Guards): Act => (s, w) => {
  const cell = s.cells[w.cell]!;
  if (!isHeld(cell, w, g.leaseInSave, g.stateInWrites)) return clearWorker(w);
  if (g.remoteSaved) cell.remote = 1;
  w.phase = "polling";
};

const moveTo = (phase: Phase): Act => (_, w) => {
  w.phase = phase;
};

const read = (id: number, from: "entries" | "unclaimed"): Act => (s, w) => {
  const cell = s.cells[id]!;
  if (cell[from] === 0) return false;
  cell[from]--;
  w.cell = id;
  w.phase = "read";
};

/** Releases a lease that the rows assign to this worker and that it does not work on. */
const releaseStrangeLease = (g: Guards, id: number): Act => (s, w, self) => {
  const cell = s.cells[id]!;
  if (w.registered === 0 || cell.status !== processing || cell.owner !== self) return false;
  if (cell.lease === w.lease && w.phase !== "answered") return false;
  release(cell, g.lostPostsCounted);
};

/** Sends a heartbeat after the worker was declared dead. */
const rejoin = (g: Guards): Act => (s, w, id) => {
  if (w.registered === 1) return false;
  w.registered = 1;
  const cell = s.cells[w.cell]!;
  if (g.rejoinsAnew) return clearWorker(w);
  if (w.lease === 0 || cell.status !== processing) return;
  cell.owner = id;
  cell.lease = w.lease;
};

/** Returns the actions of workers. */
export function workerSteps(setting: Setting): Action<State>[] {
  const g = setting.guards;
  const cells = Array.from({ length: setting.cells }, (_, id) => id);
  const step = (name: string, phase: Phase | "anywhere", act: Act) => byWorker(name, "step", phase, act);
  return [
    ...cells.flatMap((id) => step(`reads ${id}`, "idle", read(id, "entries"))),
    ...(g.takeOver
      ? cells.flatMap((id) => step(`takes over the entry of ${id}`, "idle", read(id, "unclaimed")))
      : []),
    ...step("claims", "read", tryClaim(g)),
    ...(g.cancelLocksTask ? [] : step("commits its claim", "claiming", commitClaim(g))),
    ...(g.claimAnswerAwaited ? [] : step("receives the answer to its claim", "answered", moveTo("claimed"))),
    ...step("POSTs", "claimed", post),
    ...step("saves the remote id", "posted", saveRemote(g)),
    ...step("polls: done", "polling", moveTo("done")),
    ...step("polls: error", "polling", moveTo("error")),
    ...step("settles", "done", (s, w) => settle(s, w, completed, g)),
    ...step("writes the error", "error", settleError(setting)),
    ...step("starts the next attempt", "waiting", begin(g)),
    ...(g.countersInStatement ? [] : step("counts", "counting", (s, w) => {
      countEnd(s, s.cells[w.cell]!.status, g);
      clearWorker(w);
    })),
    ...cells.flatMap((id) => step(`releases a lease of ${id}`, "anywhere", releaseStrangeLease(g, id))),
    ...step("sends a heartbeat again", "anywhere", rejoin(g)),
  ];
}

const isOrphan = (cell: Cell) => cell.status === processing && cell.owner === gone;

/** Returns the actions of leaders, and the passing of time. */
export function leaderSteps(setting: Setting): Action<State>[] {
  const g = setting.guards;
  const step = (name: string, isApplicable: (cell: Cell, s: State) => boolean, act: (cell: Cell) => void) =>
    onCell(setting, name, "step", isApplicable, act);
  const isForgotten = (cell: Cell, s: State) =>
    (g.refeed && cell.status === pending && cell.entries === 0) || (g.epoch && s.wiped === 1);
  return [
    ...step(
      "leader: feeds",
      (cell, s) => isOpen(s) && cell.status === pending && cell.wait === 0 && cell.fed === 0,
      (cell) => {
        cell.entries = Math.min(2, cell.entries + 1);
        cell.fed = 1;
      },
    ),
    ...step("leader: forgets a fed cell", (cell, s) => cell.fed === 1 && isForgotten(cell, s), (cell) => {
      cell.fed = 0;
    }),
    ...step("leader: releases", isOrphan, (cell) => release(cell, true)),
    ...step("second leader: releases", ({ listed }) => listed === 1, (cell) => {
      cell.listed = 0;
      if (isOrphan(cell) || (!g.orphanRechecked && cell.status === processing)) release(cell, true);
    }),
    ...step("time: retry is due", ({ status, wait }) => status === pending && wait === 1, (cell) => {
      cell.wait = 0;
    }),
    {
      name: "leader: sweeps",
      kind: "step",
      next: (state) => {
        if (state.sweeping === 0) return [];
        const s = copyState(state);
        sweep(s, g);
        return [s];
      },
    },
    {
      name: "leader: marks the epoch",
      kind: "step",
      next: (s) =>
        s.wiped === 1 && s.cells.every(({ fed }) => fed === 0) ? [{ ...copyState(s), wiped: 0 }] : [],
    },
  ];
}

/** Returns the actions of users. */
export function userActions({ guards: g }: Setting): Action<State>[] {
  const cancels = (name: string, deletes: number): Action<State> => ({
    name,
    kind: "request",
    next: (state) => {
      if (state.status !== pending) return [];
      return [undefined, ...state.cells.keys()].flatMap((remaining) => {
        const s = copyState(state);
        s.deleted = Math.max(s.deleted, deletes);
        return cancel(s, g, remaining === undefined ? undefined : s.cells[remaining]) ? [s] : [];
      });
    },
  });
  return [
    cancels("user: cancels", 0),
    cancels("user: deletes", 1),
    {
      name: "user: deletes the ended task",
      kind: "request",
      next: (s) => hasEnded(s.status) && s.deleted === 0 ? [{ ...copyState(s), deleted: 1 }] : [],
    },
    {
      name: retryName,
      kind: "request",
      next: (state) => {
        const s = copyState(state);
        return retryFailed(s) ? [s] : [];
      },
    },
  ];
}
