/** What the model of the queue knows: rows, stream, ledger of the image API, and what each worker believes. */

export const pending = 0, processing = 1, completed = 2, failed = 3, cancelled = 4;
/** Of a row: the id of a worker that is no longer in the table `workers`, or of none. */
export const gone = 8, nobody = 9;

/** One row of `subtasks`, what Redis and the feed hold of it, and its part of the ledger. */
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
  /** 1: `run_after` is to come. */
  wait: number;
  /** POSTs by number of the attempt, a bit each. */
  posted: number;
  /** 1: two POSTs of one attempt. */
  twice: number;
  /** POSTs that may still be made: 1, 1 more for each failure and each POST whose id could not be saved. */
  allowed: number;
  /** The same by what the metric of unsaved POSTs says. */
  counted: number;
  /** Entries in the stream, and entries read by who will neither claim nor acknowledge them. */
  entries: number;
  unclaimed: number;
  /** 1: the leader remembers that it was fed. */
  fed: number;
  /** 1: a second leader found it an orphan, some time ago. */
  listed: number;
}

const placeNumbers = {
  idle: 0,
  read: 1,
  claimed: 2,
  posted: 3,
  polling: 4,
  done: 5,
  error: 6,
  waiting: 7,
  // Only where a guard is removed: within a claim, after it, between a row and its counter.
  taking: 8,
  answered: 9,
  counting: 10,
};

/** Where a worker is. */
export type Place = keyof typeof placeNumbers;

/** What a worker believes; one that was stopped for a while believes what was true before. */
export interface Worker {
  /** 0: declared dead, and it does not know. */
  signed: number;
  place: Place;
  cell: number;
  lease: number;
  attempt: number;
  failures: number;
}

export interface State {
  cells: Cell[];
  workers: Worker[];
  /** Of the task: `pending` as long as it is open. */
  status: number;
  /** Subtasks counted on the task's row, by how they ended. */
  completed: number;
  failed: number;
  cancelled: number;
  deleted: number;
  /** 1: cancelled, with pending subtasks still to be swept. */
  sweeping: number;
  /** Notices in the outbox by kind. */
  told: { completed: number; partial: number; failed: number };
  retriesLeft: number;
  faultsLeft: number;
  /** 1: Redis was wiped and nobody has noticed. */
  wiped: number;
}

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
      twice: 0,
      allowed: 1,
      counted: 1,
      entries: 0,
      unclaimed: 0,
      fed: 0,
      listed: 0,
    })),
    workers: [0, 1].map(() => ({ signed: 1, place: "idle", cell: 0, lease: 0, attempt: 0, failures: 0 })),
    status: pending,
    completed: 0,
    failed: 0,
    cancelled: 0,
    deleted: 0,
    sweeping: 0,
    told: { completed: 0, partial: 0, failed: 0 },
    retriesLeft: retries,
    faultsLeft: faults,
    wiped: 0,
  };
}

export function copyState(s: State): State {
  return {
    ...s,
    cells: s.cells.map((cell) => ({ ...cell })),
    workers: s.workers.map((worker) => ({ ...worker })),
    told: { ...s.told },
  };
}

export const hasEnded = (status: number): boolean => status >= completed;

/** Puts a worker back to where it knows of no subtask. */
export function clearWorker(worker: Worker): void {
  worker.place = "idle";
  Object.assign(worker, { cell: 0, lease: 0, attempt: 0, failures: 0 });
}

/** The orders of one or two things to look at: smaller first, both ways where they look alike. */
function listOrders<T>(items: T[], size: (item: T) => number): number[][] {
  if (items.length === 1) return [[0]];
  const [a, b] = items.map(size);
  if (a === b) return [[0, 1], [1, 0]];
  return a! < b! ? [[0, 1]] : [[1, 0]];
}

const sizeOfCell = (c: Cell): number =>
  c.status + 8 * c.failures + 32 * c.remote + 64 * c.intent + 128 * c.wait + 256 * c.entries + 1024 * c.fed +
  2048 * c.unclaimed + 4096 * c.allowed + 65536 * c.counted + 2 ** 20 * c.listed;

const sizeOfWorker = (w: Worker): number =>
  placeNumbers[w.place] + 16 * w.signed + 32 * w.failures + 128 * Number(w.lease > 0);

/** Attempts below this one cannot be POSTed any more. */
function oldestAttempt(s: State, cell: number): number {
  let oldest = s.cells[cell]!.attempt;
  for (const worker of s.workers) {
    if (worker.lease > 0 && worker.cell === cell) oldest = Math.min(oldest, worker.attempt);
  }
  return oldest;
}

function keyInOrder(s: State, cells: number[], workers: number[]): string {
  // Of a lease only matters which others are the same.
  const leases = [0];
  const lease = (number: number) => {
    const known = leases.indexOf(number);
    return known < 0 ? leases.push(number) - 1 : known;
  };
  const oldest = cells.map((cell) => oldestAttempt(s, cell));
  const codes = [s.status, s.completed, s.failed, s.cancelled, s.retriesLeft, s.faultsLeft, s.wiped];
  codes.push(
    s.status === cancelled ? 2 + s.sweeping : s.deleted,
    s.told.completed,
    s.told.partial,
    s.told.failed,
  );
  cells.forEach((cell, i) => {
    const c = s.cells[cell]!;
    codes.push(c.status, lease(c.lease), c.owner < gone ? workers.indexOf(c.owner) : c.owner);
    codes.push(c.attempt - oldest[i]!, c.failures, c.remote + 2 * c.intent + 4 * c.wait + 8 * c.fed);
    codes.push(
      c.posted >> oldest[i]!,
      c.twice + 2 * c.listed,
      c.allowed + 8,
      c.counted + 8,
      c.entries,
      c.unclaimed,
    );
  });
  for (const worker of workers) {
    const w = s.workers[worker]!;
    const cell = w.place === "idle" ? 0 : cells.indexOf(w.cell);
    const attempt = w.lease > 0 ? w.attempt - oldest[cell]! : 0;
    codes.push(w.signed, placeNumbers[w.place], cell, lease(w.lease), attempt, w.failures);
  }
  return String.fromCharCode.apply(null, codes);
}

/** The same text for states that differ only in names: which worker is which, which subtask, which number a lease has. */
export function keyOf(s: State): string {
  let least: string | undefined;
  for (const cells of listOrders(s.cells, sizeOfCell)) {
    for (const workers of listOrders(s.workers, sizeOfWorker)) {
      const key = keyInOrder(s, cells, workers);
      if (least === undefined || key < least) least = key;
    }
  }
  return least!;
}
