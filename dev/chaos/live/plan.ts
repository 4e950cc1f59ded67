/** What one run of the live rig does: everything follows from its seed. */
import { createRandom } from "../random.ts";

/** Faults of a run, with what they do. */
export const liveFaults = {
  kill_sync: "SIGKILL of the sync; its supervisor starts it again",
  pause_sync: "SIGSTOP of the sync, for less time than its lease lives",
  pause_sync_long: "SIGSTOP of the sync for longer than its lease lives, while another sync starts",
  second_sync: "a second sync starts while the first one runs",
  terminate_sessions: "PostgreSQL ends all sessions of the sync",
  restart_postgres: "PostgreSQL is stopped at once, as by a crash, and started again",
  shut_down_postgres: "PostgreSQL is stopped by a fast shutdown, and started again",
  cut_postgres: "the network between the sync and PostgreSQL is cut for up to 3 s",
  hold_postgres: "the network between the sync and PostgreSQL is silent for up to 3 s",
  mute_postgres: "answers of PostgreSQL are lost, so that a commit is not confirmed",
  cut_mongo: "the network between the sync and MongoDB is cut for up to 3 s (a set of one)",
  hold_mongo: "the network between the sync and MongoDB is silent for up to 3 s (a set of one)",
  kill_mongo: "SIGKILL of the MongoDB, or of the primary of a set of three, and a restart",
  step_down: "the primary steps down (a set of three)",
  pause_primary: "SIGSTOP of the primary for up to 4 s (a set of three)",
  lose_position: "the sync stands still while the oplog is overwritten",
  restore_target: "the target is restored from a backup that was made earlier in the run",
  clock_step: "the clock of the sync is five minutes off for up to 4 s",
} as const;
export type LiveFault = keyof typeof liveFaults;
export const liveFaultNames = Object.keys(liveFaults) as LiveFault[];

export interface PlannedFault {
  kind: LiveFault;
  atMs: number;
}

export interface LivePlan {
  seed: number;
  /** Members of the replica set. */
  members: 1 | 3;
  /** A small oplog that writes can overwrite. */
  hasSmallOplog: boolean;
  /** Whether documents of all shapes are there from the beginning. */
  hasEdgeCases: boolean;
  durationMs: number;
  /** Whether the faults begin after the copy, when changes are followed. */
  isCopiedFirst: boolean;
  /** Whether people and the executor of the played old backend write too. */
  hasOldBackend: boolean;
  /** Whether `verify --live` compares both sides as well. */
  hasVerify: boolean;
  /** Whether this system is put in charge afterwards, and its changes are written back. */
  hasWayBack: boolean;
  /** Faults while the way back runs, one after another. What is done to the sync is done to its process. */
  backFaults: LiveFault[];
  faults: PlannedFault[];
}

const onlySet = new Set<LiveFault>(["step_down", "pause_primary"]);
const onlySingle = new Set<LiveFault>(["cut_mongo", "hold_mongo", "lose_position"]);
/** Faults that the way back does not know. */
const onlySync = new Set<LiveFault>(["lose_position", "restore_target"]);

/**
 * Generates the plan of a seed.
 *
 * @param allowed restricts the faults
 */
export function generateLivePlan(seed: number, allowed: readonly LiveFault[] = liveFaultNames): LivePlan {
  const random = createRandom(seed);
  const shape = random.fork("shape");
  const members = shape.oneIn(6) ? 3 : 1;
  const durationMs = shape.between(2500, 5000);
  const drawn = random.fork("faults");
  const usable = allowed.filter((kind) => members === 3 ? !onlySingle.has(kind) : !onlySet.has(kind));
  const count = usable.length === 0 ? 0 : drawn.between(1, 4);
  const faults = Array.from(
    { length: count },
    () => ({ kind: drawn.pick(usable), atMs: drawn.between(0, durationMs) }),
  );
  const usableBack = usable.filter((kind) => !onlySync.has(kind));
  const back = random.fork("back");
  const backCount = usableBack.length === 0 ? 0 : back.between(1, 3);
  const further = random.fork("further");
  const hasOldBackend = further.oneIn(3);
  return {
    seed,
    members,
    hasSmallOplog: faults.some(({ kind }) => kind === "lose_position"),
    // Edge cases include e-mails that the old backend's index would refuse.
    hasEdgeCases: shape.oneIn(2) && !hasOldBackend,
    durationMs,
    hasOldBackend,
    hasVerify: further.oneIn(5),
    isCopiedFirst: further.oneIn(2),
    hasWayBack: shape.oneIn(3),
    backFaults: Array.from({ length: backCount }, () => back.pick(usableBack)),
    faults: faults.toSorted((a, b) => a.atMs - b.atMs),
  };
}
