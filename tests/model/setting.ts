/** The setting of an exploration: guards, faults and limits, and helpers that create actions. */
import type { Action } from "./checker.ts";
import { type Cell, copyState, type Phase, type State, type Worker } from "./state.ts";

/** The guards of the queue, with their places in the code in brackets. */
export const guards = {
  /** `lease_id = …` in settling [isHeld in db/queue/subtasks.ts]. */
  leaseInSettle: true,
  /** `lease_id = …` in writing a retry [isHeld]. */
  leaseInRetry: true,
  /** `lease_id = …` in saving the remote id [isHeld]. */
  leaseInSave: true,
  /** `lease_id = …` in starting the next attempt [isHeld]. */
  leaseInBegin: true,
  /** `status = 'pending'` in claiming [claimSubtasks]. */
  stateInClaim: true,
  /** The task is open, in claiming [claimSubtasks]. */
  openInClaim: true,
  /** The worker has its row in `workers`, in claiming [claimSubtasks]. */
  registeredInClaim: true,
  /** A lease ends with its state [CHECK subtasks_lease_only_while_processing]. */
  leaseEndsWithState: true,
  /** `status = 'processing'` besides the lease in every write: not used, since the guard above is sufficient. */
  stateInWrites: false,
  /** Rows, counters, state of the task and notices in one statement [settleSubtasks]. */
  countersInStatement: true,
  /** `unique (task_id, kind)` [outbox]. */
  outboxUnique: true,
  /** Entries are acknowledged only after the claim's commit [Puller]. */
  ackAfterClaim: true,
  /** Another worker reads entries that were read and neither claimed nor acknowledged [Streams]. */
  takeOver: true,
  /** The leader forgets what it fed after Redis was wiped [Feed, epoch]. */
  epoch: true,
  /** Cells that are still pending some time after they were fed are fed again [Feed, staleMs]. */
  refeed: true,
  /** A worker that was declared dead continues under a new id and without its work [Member]. */
  rejoinsAnew: true,
  /** The id of the remote job is saved as soon as it is known [saveRemoteIds]. */
  remoteSaved: true,
  /** A worker that claims a subtask with a remote id polls that job [claimSubtasks, runAttempt]. */
  remoteAdopted: true,
  /** Cancelling and claiming lock the task's row [cancelTaskRow, `for update`; claimSubtasks, `for key share`]. */
  cancelLocksTask: true,
  /** A leader releases only rows that are still the orphans that it found [releaseOrphans]. */
  orphanRechecked: true,
  /** A silent worker keeps subtasks whose POST may be under way [releaseOrphans]. */
  unsavedKept: true,
  /** A lease is not released as unknown while the answer of a claim is outstanding [Member, Claims]. */
  claimAnswerAwaited: true,
  /** An attempt is uncounted only if its POST was never sent [releaseSubtasks, unsent]. */
  unsentChecked: true,
  /** A release with an intent and without a remote id counts a POST that may be lost [releaseSubtasks]. */
  lostPostsCounted: true,
};

/** The guards and whether each is present. */
export type Guards = typeof guards;

/** Kinds of faults. */
export type Fault =
  | "crash"
  | "pause"
  | "wipe"
  | "duplicate"
  | "answer lost"
  | "abort"
  | "stop"
  | "second leader"
  | "silence";

/** All kinds of faults. */
export const allFaults: Fault[] = [
  "crash",
  "pause",
  "wipe",
  "duplicate",
  "answer lost",
  "abort",
  "stop",
  "second leader",
  "silence",
];

/** The setting of an exploration. */
export interface Setting {
  guards: Guards;
  cells: number;
  /** Number of failed attempts after which a subtask fails. */
  attemptsMax: number;
  /** Number of times the user retries failed subtasks. */
  retries: number;
  faults: Fault[];
  /** Maximum number of faults on a path. */
  faultsMax: number;
}

/** Name of the only action that may change an end state. */
export const retryName = "user: retries failed subtasks";

/** Performs an action of worker `w` on a copy of the state. It returns false if the action is not possible. */
export type Act = (s: State, w: Worker, id: number) => boolean | void;

/** Returns an action for each worker, in one phase or in any. */
export const byWorker = (
  name: string,
  kind: Action<State>["kind"],
  phase: Phase | "anywhere",
  act: Act,
): Action<State>[] =>
  [0, 1].map((id) => ({
    name: `worker ${id}: ${name}`,
    kind,
    next: (state) => {
      if (phase !== "anywhere" && state.workers[id]!.phase !== phase) return [];
      const s = copyState(state);
      return act(s, s.workers[id]!, id) === false ? [] : [s];
    },
  }));

/** Returns an action for each subtask, if it is applicable. */
export const onCell = (
  setting: Setting,
  name: string,
  kind: Action<State>["kind"],
  isApplicable: (cell: Cell, s: State) => boolean,
  act: (cell: Cell) => void,
): Action<State>[] =>
  Array.from({ length: setting.cells }, (_, id) => ({
    name: `${name} ${id}`,
    kind,
    next: (state) => {
      if (!isApplicable(state.cells[id]!, state)) return [];
      const s = copyState(state);
      act(s.cells[id]!);
      return [s];
    },
  }));
