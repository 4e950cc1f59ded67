/** What may go wrong: to a worker between any two of its actions, to Redis, and by leading twice. */
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

/** Between the POST and the saving of its answer: the one window in which a POST can be lost. */
function allowLostPost(s: State, w: Worker): void {
  if (w.place === "posted") s.cells[w.cell]!.allowed++;
}

/** What a worker held by the rows has no worker any more. */
function orphan(s: State, id: number): void {
  for (const cell of s.cells) if (cell.owner === id) cell.owner = gone;
}

/** An entry that was read and will not be acknowledged by who read it. */
const leaveEntry = (cell: Cell): void => {
  cell.unclaimed = 1;
};

const crash = ({ guards }: Setting): Act => (s, w, id) => {
  if (w.place === "idle" && !s.cells.some(({ owner }) => owner === id)) return false;
  if (w.place === "read" && guards.ackAfterClaim) leaveEntry(s.cells[w.cell]!);
  allowLostPost(s, w);
  orphan(s, id);
  clearWorker(w);
  w.signed = 1;
};

/** It stands still until it is declared dead; from then on it may go on at any moment. */
const pause: Act = (s, w, id) => {
  if (w.signed === 0) return false;
  if (w.place === "idle" && !s.cells.some(({ owner }) => owner === id)) return false;
  if (w.place === "claimed" || w.place === "answered") s.cells[w.cell]!.allowed++;
  allowLostPost(s, w);
  orphan(s, id);
  w.signed = 0;
};

/** The claim was committed, its answer or its acknowledgement never came. */
const claimUnheard = ({ guards }: Setting, dies: boolean): Act => (s, w, id) => {
  if (!canClaim(s, w, guards)) return false;
  const cell = s.cells[w.cell]!;
  claim(s, w, id, guards);
  if (guards.ackAfterClaim) leaveEntry(cell);
  clearWorker(w);
  if (dies) orphan(s, id);
};

/** The answer to settling is lost: the worker writes again. */
const settleUnheard = (g: Guards): Act => (s, w) => {
  if (w.place !== "done" || !isHeld(s.cells[w.cell]!, w, g.leaseInSettle, g.stateInWrites)) return false;
  const { cell, lease, attempt, failures } = w;
  settle(s, w, completed, g);
  Object.assign(w, { place: "done", cell, lease, attempt, failures });
};

/** An attempt ends by a fault of the program; the worker lives on. */
const breakOff: Act = (s, w) => {
  if (w.lease === 0) return false;
  allowLostPost(s, w);
  clearWorker(w);
};

/** SIGTERM: what is held is given back by its lease, and a new worker begins. */
const stop = ({ guards: g }: Setting): Act => (s, w) => {
  const cell = s.cells[w.cell]!;
  if (w.lease === 0 || cell.lease !== w.lease || cell.status !== processing || cell.owner === gone) {
    return false;
  }
  allowLostPost(s, w);
  const unsent = w.place === "claimed" || w.place === "waiting" ||
    (!g.unsentIsUnsent && w.place === "posted");
  if (unsent) {
    cell.attempt--;
    cell.intent = 0;
  }
  release(cell, g.giveBackCounts);
  clearWorker(w);
};

/** The actions of the faults that a setting allows; each takes one of the faults that are left. */
export function faultActions(setting: Setting): Action<State>[] {
  const actions: Record<Fault, Action<State>[]> = {
    crash: [
      ...byWorker("dies", "fault", "anywhere", crash(setting)),
      ...byWorker("dies between claim and acknowledgement", "fault", "anywhere", claimUnheard(setting, true)),
    ],
    pause: byWorker("is declared dead while it rests", "fault", "anywhere", pause),
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
    twice: onCell(setting, "Redis: gives twice", "fault", ({ entries }) => entries === 1, (cell) => {
      cell.entries = 2;
    }),
    "answer lost": [
      ...byWorker("never hears of its claim", "fault", "anywhere", claimUnheard(setting, false)),
      ...byWorker("settles and does not hear of it", "fault", "anywhere", settleUnheard(setting.guards)),
    ],
    "break off": byWorker("breaks off", "fault", "anywhere", breakOff),
    stop: byWorker("is told to stop", "fault", "anywhere", stop(setting)),
    "second leader": onCell(
      setting,
      "second leader: finds an orphan",
      "fault",
      ({ status, owner, listed }) => status === processing && owner === gone && listed === 0,
      (cell) => {
        cell.listed = 1;
      },
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
