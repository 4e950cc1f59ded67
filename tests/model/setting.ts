/** Guards, faults and bounds of one exploration, and what makes actions of them. */
import type { Action } from "./checker.ts";
import { type Cell, copyState, type Place, type State, type Worker } from "./state.ts";

/** What keeps the queue right; the words in brackets say where. */
export const guards = {
  /** `lease_id = …` in settling [isHeld in db/queue/subtasks.ts]. */
  leaseInSettle: true,
  /** `lease_id = …` in writing a retry [isHeld]. */
  leaseInRetry: true,
  /** `lease_id = …` in saving the remote id [isHeld]. */
  leaseInSave: true,
  /** `lease_id = …` in beginning the next attempt [isHeld]. */
  leaseInBegin: true,
  /** `status = 'pending'` in claiming [claimSubtasks]. */
  stateInClaim: true,
  /** The task is open, in claiming [claimSubtasks]. */
  openInClaim: true,
  /** The worker has its row in `workers`, in claiming [claimSubtasks]. */
  deadCannotClaim: true,
  /** A lease goes when its state goes [CHECK subtasks_lease_only_while_processing]. */
  leaseEndsWithState: true,
  /** `status = 'processing'` beside the lease in every write: not asked for, since the one above is enough. */
  stateInWrites: false,
  /** Rows, counters, state of the task and notices in one statement [settleSubtasks]. */
  countersInStatement: true,
  /** `unique (task_id, kind)` [outbox]. */
  outboxUnique: true,
  /** Acknowledged only after the claim's commit [Puller.take]. */
  ackAfterClaim: true,
  /** What was read and neither claimed nor acknowledged is read by another [Streams.takeOver]. */
  takeOver: true,
  /** The leader forgets what it fed once Redis was wiped [Feed, the epoch]. */
  epoch: true,
  /** What was fed and is still pending after a while is fed again [Feed, staleMs]. */
  refeed: true,
  /** A worker that was declared dead begins anew, under another name and without its work [Member]. */
  deadStaysDead: true,
  /** The remote job's id is written as soon as it is known [saveRemoteIds]. */
  remoteSaved: true,
  /** Who claims a subtask with a remote id polls on [claimSubtasks, runAttempt]. */
  remoteAdopted: true,
  /** Cancelling and claiming wait for each other [cancelTaskRow, `for update`; claimSubtasks, `for key share`]. */
  cancelLocksTask: true,
  /** What a second leader releases is still the orphan that it found [releaseOrphans]. */
  orphanLookedAtAgain: true,
  /** A lease whose claim has not answered yet is not given back as a stranger's [Member, Claims]. */
  strangersTwice: true,
  /** An attempt is taken back only if its POST was never sent [releaseSubtasks, unsent]. */
  unsentIsUnsent: true,
  /** Given back with an intent and without a remote id: counted as a POST that may be lost [releaseSubtasks]. */
  giveBackCounts: true,
};

export type Guards = typeof guards;

/** What may go wrong. */
export type Fault =
  | "crash"
  | "pause"
  | "wipe"
  | "twice"
  | "answer lost"
  | "break off"
  | "stop"
  | "second leader";

export const allFaults: Fault[] = [
  "crash",
  "pause",
  "wipe",
  "twice",
  "answer lost",
  "break off",
  "stop",
  "second leader",
];

export interface Setting {
  guards: Guards;
  cells: number;
  /** Attempts of a subtask that end in an error before it fails. */
  attemptsMax: number;
  /** How often the user retries what failed. */
  retries: number;
  faults: Fault[];
  /** How many faults may happen in one run. */
  faultsMax: number;
}

/** The one action that may take an end back. */
export const retryName = "user: retries what failed";

/** One action of worker `w` on a copy of the state; false: it cannot happen. */
export type Act = (s: State, w: Worker, id: number) => boolean | void;

/** An action that any of the workers may take, from one place or from any. */
export const byWorker = (
  name: string,
  kind: Action<State>["kind"],
  place: Place | "anywhere",
  acts: Act,
): Action<State>[] =>
  [0, 1].map((id) => ({
    name: `worker ${id}: ${name}`,
    kind,
    next: (state) => {
      if (place !== "anywhere" && state.workers[id]!.place !== place) return [];
      const s = copyState(state);
      return acts(s, s.workers[id]!, id) === false ? [] : [s];
    },
  }));

/** An action on any of the subtasks that are fit for it. */
export const onCell = (
  setting: Setting,
  name: string,
  kind: Action<State>["kind"],
  fits: (cell: Cell, s: State) => boolean,
  acts: (cell: Cell) => void,
): Action<State>[] =>
  Array.from({ length: setting.cells }, (_, id) => ({
    name: `${name} ${id}`,
    kind,
    next: (state) => {
      if (!fits(state.cells[id]!, state)) return [];
      const s = copyState(state);
      acts(s.cells[id]!);
      return [s];
    },
  }));
