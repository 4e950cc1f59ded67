/** What workers, leaders and users do. */
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
  type Place,
  processing,
  type State,
} from "./state.ts";

const settleError = ({ guards: g, attemptsMax }: Setting): Act => (s, w) => {
  if (w.failures + 1 >= attemptsMax) return settle(s, w, failed, g);
  const cell = s.cells[w.cell]!;
  if (!isHeld(cell, w, g.leaseInRetry, g.stateInWrites)) return clearWorker(w);
  cell.allowed++;
  cell.counted++;
  w.place = "waiting";
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
  w.place = "claimed";
  // Declared dead, and not yet aware of it: its POST and that of the next worker may both be made.
  if (w.signed === 0) cell.allowed++;
};

/** Claims what it read, or drops the message where there is nothing to claim. */
const tryClaim = (g: Guards): Act => (s, w, id) => {
  if (!canClaim(s, w, g)) clearWorker(w);
  // Without the lock the task is looked at in one moment and the row is committed in another.
  else if (!g.cancelLocksTask) w.place = "taking";
  else claim(s, w, id, g);
};

const commitClaim = (g: Guards): Act => (s, w, id) => {
  if (s.cells[w.cell]!.status === pending) claim(s, w, id, g);
  else clearWorker(w);
};

const post: Act = (s, w) => {
  const cell = s.cells[w.cell]!;
  if (cell.posted & (1 << w.attempt)) cell.twice = 1;
  cell.posted |= 1 << w.attempt;
  cell.allowed--;
  cell.counted--;
  w.place = "posted";
};

const saveRemote = (g: Guards): Act => (s, w) => {
  const cell = s.cells[w.cell]!;
  if (!isHeld(cell, w, g.leaseInSave, g.stateInWrites)) return clearWorker(w);
  if (g.remoteSaved) cell.remote = 1;
  w.place = "polling";
};

const goTo = (place: Place): Act => (_, w) => {
  w.place = place;
};

const read = (id: number, from: "entries" | "unclaimed"): Act => (s, w) => {
  const cell = s.cells[id]!;
  if (cell[from] === 0) return false;
  cell[from]--;
  w.cell = id;
  w.place = "read";
};

/** What the rows give this worker and it does not work on. */
const giveBack = (g: Guards, id: number): Act => (s, w, self) => {
  const cell = s.cells[id]!;
  if (w.signed === 0 || cell.status !== processing || cell.owner !== self) return false;
  if (cell.lease === w.lease && w.place !== "answered") return false;
  release(cell, g.giveBackCounts);
};

/** A sign of life of who was declared dead. */
const rejoin = (g: Guards): Act => (s, w, id) => {
  if (w.signed === 1) return false;
  w.signed = 1;
  const cell = s.cells[w.cell]!;
  if (g.deadStaysDead) return clearWorker(w);
  if (w.lease === 0 || cell.status !== processing) return;
  cell.owner = id;
  cell.lease = w.lease;
};

/** What a worker does by itself. */
export function workerSteps(setting: Setting): Action<State>[] {
  const g = setting.guards;
  const cells = Array.from({ length: setting.cells }, (_, id) => id);
  const step = (name: string, place: Place | "anywhere", acts: Act) => byWorker(name, "step", place, acts);
  return [
    ...cells.flatMap((id) => step(`reads ${id}`, "idle", read(id, "entries"))),
    ...(g.takeOver ? cells.flatMap((id) => step(`takes over ${id}`, "idle", read(id, "unclaimed"))) : []),
    ...step("claims", "read", tryClaim(g)),
    ...(g.cancelLocksTask ? [] : step("commits its claim", "taking", commitClaim(g))),
    ...(g.strangersTwice ? [] : step("hears of its claim", "answered", goTo("claimed"))),
    ...step("POSTs", "claimed", post),
    ...step("saves the remote id", "posted", saveRemote(g)),
    ...step("polls: done", "polling", goTo("done")),
    ...step("polls: error", "polling", goTo("error")),
    ...step("settles", "done", (s, w) => settle(s, w, completed, g)),
    ...step("writes the error", "error", settleError(setting)),
    ...step("begins again", "waiting", begin(g)),
    ...(g.countersInStatement ? [] : step("counts", "counting", (s, w) => {
      countEnd(s, s.cells[w.cell]!.status, g);
      clearWorker(w);
    })),
    ...cells.flatMap((id) => step(`gives back ${id}`, "anywhere", giveBack(g, id))),
    ...step("beats again", "anywhere", rejoin(g)),
  ];
}

const isOrphan = (cell: Cell) => cell.status === processing && cell.owner === gone;

/** What leaders do, and what time does. */
export function leaderSteps(setting: Setting): Action<State>[] {
  const g = setting.guards;
  const step = (name: string, fits: (cell: Cell, s: State) => boolean, acts: (cell: Cell) => void) =>
    onCell(setting, name, "step", fits, acts);
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
    ...step("leader: forgets", (cell, s) => cell.fed === 1 && isForgotten(cell, s), (cell) => {
      cell.fed = 0;
    }),
    ...step("leader: releases", isOrphan, (cell) => release(cell, true)),
    ...step("second leader: releases", ({ listed }) => listed === 1, (cell) => {
      cell.listed = 0;
      if (isOrphan(cell) || (!g.orphanLookedAtAgain && cell.status === processing)) release(cell, true);
    }),
    ...step("time: due again", ({ status, wait }) => status === pending && wait === 1, (cell) => {
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

/** What users ask for. */
export function wishes({ guards: g }: Setting): Action<State>[] {
  const cancels = (name: string, deletes: number): Action<State> => ({
    name,
    kind: "wish",
    next: (state) => {
      if (state.status !== pending) return [];
      return [undefined, ...state.cells.keys()].flatMap((rest) => {
        const s = copyState(state);
        s.deleted = Math.max(s.deleted, deletes);
        return cancel(s, g, rest === undefined ? undefined : s.cells[rest]) ? [s] : [];
      });
    },
  });
  return [
    cancels("user: cancels", 0),
    cancels("user: deletes", 1),
    {
      name: "user: deletes what has ended",
      kind: "wish",
      next: (s) => hasEnded(s.status) && s.deleted === 0 ? [{ ...copyState(s), deleted: 1 }] : [],
    },
    {
      name: retryName,
      kind: "wish",
      next: (state) => {
        const s = copyState(state);
        return retryFailed(s) ? [s] : [];
      },
    },
  ];
}
