/** Faults: of a worker between any two of its actions, of Redis, and of leaders. */
import type { Action } from "./checker.ts";
import { canClaim, claim, isHeld, release, settle } from "./rows.ts";
import { type Act, byWorker, type Fault, type Guards, onCell, type Setting } from "./setting.ts";
import {
  type Cell,
  clearWorker,
  completed,
  copyState,
  gone,
  processing,
  type State,
  type Worker,
} from "./state.ts";

/** Allows one more POST if the worker is between a POST and the saving of its id, where a POST can be lost. */
function countLostPost(s: State, w: Worker): void {
  if (w.phase === "posted") s.cells[w.cell]!.allowed++;
}

/** Marks the rows of a worker as rows of an unknown worker. */
function orphanCells(s: State, id: number): void {
  for (const cell of s.cells) if (cell.owner === id) cell.owner = gone;
}

/** Keeps an entry that was read and that its reader will not acknowledge. */
const keepUnclaimed = (cell: Cell): void => {
  cell.unclaimed = 1;
};

const die = ({ guards }: Setting): Act => (s, w, id) => {
  if (w.phase === "idle" && !s.cells.some(({ owner }) => owner === id)) return false;
  if (w.phase === "read" && guards.ackAfterClaim) keepUnclaimed(s.cells[w.cell]!);
  countLostPost(s, w);
  orphanCells(s, id);
  clearWorker(w);
  w.registered = 1;
};

/** Pauses the worker until it is declared dead. It may continue at any later time. */
const declareDead: Act = (s, w, id) => {
  if (w.registered === 0) return false;
  if (w.phase === "idle" && !s.cells.some(({ owner }) => owner === id)) return false;
  if (w.phase === "claimed" || w.phase === "answered") s.cells[w.cell]!.allowed++;
  countLostPost(s, w);
  orphanCells(s, id);
  w.registered = 0;
};

/** Commits a claim whose answer or acknowledgement is lost. */
const claimWithLostAnswer = ({ guards }: Setting, dies: boolean): Act => (s, w, id) => {
  if (!canClaim(s, w, guards)) return false;
  const cell = s.cells[w.cell]!;
  claim(s, w, id, guards);
  if (guards.ackAfterClaim) keepUnclaimed(cell);
  clearWorker(w);
  if (dies) orphanCells(s, id);
};

/** Settles and loses the answer, so that the worker settles again. */
const settleWithLostAnswer = (g: Guards): Act => (s, w) => {
  if (w.phase !== "done" || !isHeld(s.cells[w.cell]!, w, g.leaseInSettle, g.stateInWrites)) return false;
  const { cell, lease, attempt, failures } = w;
  settle(s, w, completed, g);
  Object.assign(w, { phase: "done", cell, lease, attempt, failures });
};

/** Ends an attempt by an exception. The worker continues. */
const abortAttempt: Act = (s, w) => {
  if (w.lease === 0) return false;
  countLostPost(s, w);
  clearWorker(w);
};

/** Stops the worker by SIGTERM. It releases its lease, and a new worker starts. */
const shutDown = ({ guards: g }: Setting): Act => (s, w) => {
  const cell = s.cells[w.cell]!;
  if (w.lease === 0 || cell.lease !== w.lease || cell.status !== processing || cell.owner === gone) {
    return false;
  }
  countLostPost(s, w);
  const unsent = w.phase === "claimed" || w.phase === "waiting" ||
    (!g.unsentChecked && w.phase === "posted");
  if (unsent) {
    cell.attempt--;
    cell.intent = 0;
  }
  release(cell, g.lostPostsCounted);
  clearWorker(w);
};

/** Returns the actions of the faults that a setting allows. Each consumes one of the remaining faults. */
export function faultActions(setting: Setting): Action<State>[] {
  const actions: Record<Fault, Action<State>[]> = {
    crash: [
      ...byWorker("dies", "fault", "anywhere", die(setting)),
      ...byWorker(
        "dies between claim and acknowledgement",
        "fault",
        "anywhere",
        claimWithLostAnswer(setting, true),
      ),
    ],
    pause: byWorker("is declared dead while paused", "fault", "anywhere", declareDead),
    wipe: [{
      name: "FLUSHALL",
      kind: "fault",
      next: (state) => {
        const s = copyState(state);
        for (const cell of s.cells) cell.entries = cell.unclaimed = 0;
        s.wiped = 1;
        return [s];
      },
    }],
    duplicate: onCell(
      setting,
      "Redis: duplicates an entry",
      "fault",
      ({ entries }) => entries === 1,
      (cell) => {
        cell.entries = 2;
      },
    ),
    "answer lost": [
      ...byWorker("loses the answer to its claim", "fault", "anywhere", claimWithLostAnswer(setting, false)),
      ...byWorker("settles and loses the answer", "fault", "anywhere", settleWithLostAnswer(setting.guards)),
    ],
    "abort": byWorker("aborts an attempt", "fault", "anywhere", abortAttempt),
    stop: byWorker("shuts down", "fault", "anywhere", shutDown(setting)),
    "second leader": onCell(
      setting,
      "second leader: lists an orphan",
      "fault",
      ({ status, owner, listed }) => status === processing && owner === gone && listed === 0,
      (cell) => {
        cell.listed = 1;
      },
    ),
    silence: onCell(
      setting,
      "leader: takes over a job of a silent worker",
      "fault",
      ({ status, owner, remote, intent }) =>
        status === processing && owner < gone &&
        (remote === 1 || intent === 0 || !setting.guards.unsavedKept),
      (cell) => release(cell, true),
    ),
  };
  return setting.faults.flatMap((fault) => actions[fault]).map(({ name, kind, next }) => ({
    name,
    kind,
    next: (state) => {
      if (state.faultsLeft === 0) return [];
      const found = next(state);
      for (const s of found) s.faultsLeft--;
      return found;
    },
  }));
}
