/** The state of the model: rows, stream, POSTs to the image API, and the knowledge of each worker. */

/** Statuses of subtasks and of the task. */
export const pending = 0;
export const processing = 1;
export const completed = 2;
export const failed = 3;
export const cancelled = 4;

/** Owner of a row whose worker is not in the table `workers` any more. */
export const gone = 8;
/** Owner of a row without a worker. */
export const nobody = 9;

/** One row of `subtasks`, its entries in Redis, the leader's memory of it, and its POSTs. */
export interface Cell {
  status: number;
  lease: number;
  /** Number of a worker, `gone` or `nobody`. */
  owner: number;
  attempt: number;
  /** `retry_count`. */
  failures: number;
  /** 1: `remote_id` is set. */
  remote: number;
  /** 1: `intent_at` is set. */
  intent: number;
  /** 1: `run_after` is in the future. */
  wait: number;
  /** POSTs by the number of the attempt, one bit each. */
  posted: number;
  /** 1: an attempt had two POSTs. */
  isRepeated: number;
  /** Allowed further POSTs: 1, plus 1 for each failure and each POST whose id could not be saved. */
  allowed: number;
  /** Allowed further POSTs according to the metric of lost POSTs. */
  counted: number;
  /** Entries in the stream. */
  entries: number;
  /** Entries that were read and that their reader will neither claim nor acknowledge. */
  unclaimed: number;
  /** 1: the leader remembers that it fed the subtask. */
  fed: number;
  /** 1: a second leader found the row orphaned some time ago. */
  listed: number;
}

const phaseNumbers = {
  idle: 0,
  read: 1,
  claimed: 2,
  posted: 3,
  polling: 4,
  done: 5,
  error: 6,
  waiting: 7,
  // Only without a guard: within a claim, after it, and between a row and its counter.
  claiming: 8,
  answered: 9,
  counting: 10,
};

/** The phase of a worker. */
export type Phase = keyof typeof phaseNumbers;

/** The knowledge of a worker. After a pause it may be outdated. */
export interface Worker {
  /** 0: the worker was declared dead and does not know it. */
  registered: number;
  phase: Phase;
  cell: number;
  lease: number;
  attempt: number;
  failures: number;
}

/** The state of the model. Flags are 0 or 1. */
export interface State {
  cells: Cell[];
  workers: Worker[];
  /** Status of the task; `pending` while it is open. */
  status: number;
  /** Counters of the task's row. */
  completed: number;
  failed: number;
  cancelled: number;
  deleted: number;
  /** 1: the task is cancelled and has pending subtasks that a sweep must cancel. */
  sweeping: number;
  /** Notices in the outbox by kind. */
  noticeCounts: { completed: number; partial: number; failed: number };
  retriesLeft: number;
  faultsLeft: number;
  /** 1: Redis was wiped, and the leader has not noticed it. */
  wiped: number;
}

/** Returns the initial state. */
export function startState(
  { cells, retries, faults }: { cells: number; retries: number; faults: number },
): State {
  return {
    cells: Array.from({ length: cells }, () => ({
      status: pending,
      lease: 0,
      owner: nobody,
      attempt: 0,
      failures: 0,
      remote: 0,
      intent: 0,
      wait: 0,
      posted: 0,
      isRepeated: 0,
      allowed: 1,
      counted: 1,
      entries: 0,
      unclaimed: 0,
      fed: 0,
      listed: 0,
    })),
    workers: [0, 1].map(() => ({ registered: 1, phase: "idle", cell: 0, lease: 0, attempt: 0, failures: 0 })),
    status: pending,
    completed: 0,
    failed: 0,
    cancelled: 0,
    deleted: 0,
    sweeping: 0,
    noticeCounts: { completed: 0, partial: 0, failed: 0 },
    retriesLeft: retries,
    faultsLeft: faults,
    wiped: 0,
  };
}

/** Returns a deep copy. */
export function copyState(s: State): State {
  return {
    ...s,
    cells: s.cells.map((cell) => ({ ...cell })),
    workers: s.workers.map((worker) => ({ ...worker })),
    noticeCounts: { ...s.noticeCounts },
  };
}

/** Reports whether a status is an end state. */
export const hasEnded = (status: number): boolean => status >= completed;

/** Resets a worker to idle. */
export function clearWorker(worker: Worker): void {
  worker.phase = "idle";
  Object.assign(worker, { cell: 0, lease: 0, attempt: 0, failures: 0 });
}

/** Returns the permutations of one or two items to try: the smaller first, or both if their keys are equal. */
function listPermutations<T>(items: T[], size: (item: T) => number): number[][] {
  if (items.length === 1) return [[0]];
  const [a, b] = items.map(size);
  if (a === b) return [[0, 1], [1, 0]];
  return a! < b! ? [[0, 1]] : [[1, 0]];
}

const sortKeyOfCell = (c: Cell): number =>
  c.status + 8 * c.failures + 32 * c.remote + 64 * c.intent + 128 * c.wait + 256 * c.entries + 1024 * c.fed +
  2048 * c.unclaimed + 4096 * c.allowed + 65536 * c.counted + 2 ** 20 * c.listed;

const sortKeyOfWorker = (w: Worker): number =>
  phaseNumbers[w.phase] + 16 * w.registered + 32 * w.failures + 128 * Number(w.lease > 0);

/** Returns the number of the oldest attempt that may still POST. */
function oldestAttempt(s: State, cell: number): number {
  let oldest = s.cells[cell]!.attempt;
  for (const worker of s.workers) {
    if (worker.lease > 0 && worker.cell === cell) oldest = Math.min(oldest, worker.attempt);
  }
  return oldest;
}

function keyInOrder(s: State, cells: number[], workers: number[]): string {
  // Only the equality of leases matters, not their numbers.
  const leases = [0];
  const lease = (number: number) => {
    const known = leases.indexOf(number);
    return known < 0 ? leases.push(number) - 1 : known;
  };
  const oldest = cells.map((cell) => oldestAttempt(s, cell));
  const codes = [s.status, s.completed, s.failed, s.cancelled, s.retriesLeft, s.faultsLeft, s.wiped];
  codes.push(
    s.status === cancelled ? 2 + s.sweeping : s.deleted,
    s.noticeCounts.completed,
    s.noticeCounts.partial,
    s.noticeCounts.failed,
  );
  cells.forEach((cell, i) => {
    const c = s.cells[cell]!;
    codes.push(c.status, lease(c.lease), c.owner < gone ? workers.indexOf(c.owner) : c.owner);
    codes.push(c.attempt - oldest[i]!, c.failures, c.remote + 2 * c.intent + 4 * c.wait + 8 * c.fed);
    codes.push(
      c.posted >> oldest[i]!,
      c.isRepeated + 2 * c.listed,
      c.allowed + 8,
      c.counted + 8,
      c.entries,
      c.unclaimed,
    );
  });
  for (const worker of workers) {
    const w = s.workers[worker]!;
    const cell = w.phase === "idle" ? 0 : cells.indexOf(w.cell);
    const attempt = w.lease > 0 ? w.attempt - oldest[cell]! : 0;
    codes.push(w.registered, phaseNumbers[w.phase], cell, lease(w.lease), attempt, w.failures);
  }
  return String.fromCharCode.apply(null, codes);
}

/** Returns equal texts for states that differ only in the numbering of workers, subtasks and leases. */
export function keyOf(s: State): string {
  let smallest: string | undefined;
  for (const cells of listPermutations(s.cells, sortKeyOfCell)) {
    for (const workers of listPermutations(s.workers, sortKeyOfWorker)) {
      const key = keyInOrder(s, cells, workers);
      if (smallest === undefined || key < smallest) smallest = key;
    }
  }
  return smallest!;
}
