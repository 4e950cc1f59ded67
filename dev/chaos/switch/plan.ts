/** What one run of the switch rig does: everything follows from its seed. */
import { frontFailpoints } from "../../../routes/front/failpoint.ts";
import {
  backFailpoints,
  rollbackFailpoints,
  switchFailpoints,
  syncFailpoints,
  undoFailpoints,
} from "../../../migrate/data/tools/failpoint.ts";
import { createRandom, type Random } from "../random.ts";

/** Faults of a run, with what they do. */
export const switchFaults = {
  kill_api: "SIGKILL of an API process; its supervisor starts it again",
  pause_api: "SIGSTOP of an API process for up to 1.8 s, which is shorter than its fail-safe of 2 s",
  pause_api_long: "SIGSTOP of an API process for 6 to 9 s: it counts as gone",
  kill_sync: "SIGKILL of the sync; its supervisor starts it again",
  pause_sync: "SIGSTOP of the sync for up to 2 s",
  kill_back: "SIGKILL of the way back; its supervisor starts it again",
  pause_back: "SIGSTOP of the way back for up to 2 s",
  kill_operator: "SIGKILL of the cut-over or rollback that runs",
  pause_operator: "SIGSTOP of the cut-over or rollback for up to 2 s",
  pause_operator_long: "SIGSTOP of the cut-over or rollback for 7 to 9 s: its hold ends by itself",
  kill_old: "SIGKILL of the old backend; its supervisor starts it again",
  pause_old: "SIGSTOP of the old backend for up to 3 s",
  crash_postgres: "PostgreSQL is stopped at once, as by a crash, and started again",
  shut_down_postgres: "PostgreSQL is stopped by a fast shutdown, and started again",
  pause_postgres: "SIGSTOP of all processes of PostgreSQL for up to 3 s",
  terminate_sessions: "PostgreSQL ends all sessions of the programs",
  kill_mongo: "SIGKILL of MongoDB, and a restart",
  pause_mongo: "SIGSTOP of MongoDB for up to 3 s",
  kill_redis: "SIGKILL of Redis, and a restart after up to 2 s",
  pause_redis: "SIGSTOP of Redis for up to 2 s",
  cut_api_postgres: "the network between an API process and PostgreSQL is cut for up to 3 s",
  cut_api_postgres_long: "the network between an API process and PostgreSQL is cut for 8 to 14 s",
  cut_api_old: "the network between an API process and the old backend is cut for up to 3 s",
  cut_api_redis: "the network between the API processes and Redis is cut for up to 3 s",
  cut_old_mongo: "the network between the old backend and MongoDB is cut for up to 3 s",
  cut_follower_postgres: "the network between sync or back and PostgreSQL is cut for up to 3 s",
  cut_follower_mongo: "the network between sync or back and MongoDB is cut for up to 3 s",
  cut_operator_postgres: "the network between cut-over or rollback and PostgreSQL is cut for up to 3 s",
  cut_operator_mongo: "the network between cut-over or rollback and MongoDB is cut for up to 3 s",
  cut_operator_old: "the network between cut-over or rollback and the old backend is cut for up to 3 s",
  slow_old: "each packet between an API process and the old backend takes 120 ms longer, for 2 to 9 s",
  slow_postgres: "each packet between an API process and PostgreSQL takes 120 ms longer, for 2 to 9 s",
  slow_follower: "each packet between sync or back and MongoDB takes 120 ms longer, for 2 to 9 s",
} as const;
export type SwitchFault = keyof typeof switchFaults;
export const switchFaultNames = Object.keys(switchFaults) as SwitchFault[];

/** Faults that no client notices but by waiting. */
export const harmless: ReadonlySet<SwitchFault> = new Set<SwitchFault>([
  ...["kill_back", "pause_back", "kill_redis", "pause_redis", "cut_api_redis", "cut_operator_old"] as const,
  ...["pause_api", "slow_old", "slow_postgres", "slow_follower"] as const,
]);

/**
 * When a fault is injected: in a phase, from the start of the cut-over or rollback, or from the moment at which it holds the
 * writes.
 */
export const stages = [
  "old",
  "shadow",
  "canary",
  "cutover",
  "cutover_holds",
  "new",
  "rollback",
  "rollback_holds",
] as const;
export type Stage = (typeof stages)[number];

export interface PlannedFault {
  kind: SwitchFault;
  stage: Stage;
  /** Time from the beginning of the stage. */
  afterMs: number;
}

export const placedProcesses = ["cutover", "rollback", "api", "sync", "back"] as const;
export type PlacedProcess = (typeof placedProcesses)[number];

/** A failpoint at which a process ends or stands still. */
export interface PlannedPlace {
  process: PlacedProcess;
  point: string;
  signal: "SIGKILL" | "SIGSTOP";
  /** Time for which it stands still. */
  ms: number;
  /** When the failpoint is armed; that of a cut-over or rollback is armed from its start. */
  stage: Stage;
}

const holdFailpoints = ["hold.begun", "hold.changed", "hold.in_force", "hold.done"];

/** The named places of each process. */
export const places: Record<PlacedProcess, readonly string[]> = {
  cutover: [...switchFailpoints, ...undoFailpoints],
  rollback: [...holdFailpoints, ...rollbackFailpoints],
  api: frontFailpoints,
  // Those that a process passes while it follows.
  sync: syncFailpoints.filter((point) => /^(stream|sync)\./.test(point) && !/start|refused|kept/.test(point)),
  back: backFailpoints.filter((point) => !/refused|emails/.test(point)),
};

/** What somebody does who finds a cut-over or rollback that was killed. */
const recoveries = ["abort", "continue", "wait"] as const;

export interface SwitchPlan {
  seed: number;
  /** Number of times that each system is put in charge: 1 is a cut-over, 2 a rollback after it, 3 another cut-over. */
  switches: number;
  /** Share of the users that this system answers in phase `canary`. */
  share: number;
  phaseMs: number;
  clients: number;
  recovery: (typeof recoveries)[number];
  faults: PlannedFault[];
  place: PlannedPlace | undefined;
}

function drawPlace(random: Random): PlannedPlace {
  const process = random.pick<PlacedProcess>([
    "cutover",
    "cutover",
    "rollback",
    "rollback",
    "api",
    "api",
    "sync",
    "back",
  ]);
  const isApi = process === "api";
  const apiStages = stages.filter((stage) => stage !== "shadow");
  return {
    process,
    point: random.pick(places[process]),
    signal: random.oneIn(2) ? "SIGKILL" : "SIGSTOP",
    ms: random.pick([300, 1500, 2500, 7500]),
    stage: isApi ? random.pick(apiStages) : process === "back" ? "new" : random.pick(["canary", "cutover"]),
  };
}

/**
 * Generates the plan of a seed.
 *
 * @param allowed restricts the faults; then no process stops at a failpoint
 */
export function generateSwitchPlan(seed: number, allowed?: readonly SwitchFault[]): SwitchPlan {
  const random = createRandom(seed);
  const shape = random.fork("shape");
  const drawn = random.fork("faults");
  const place = !allowed && drawn.oneIn(2) ? drawPlace(random.fork("place")) : undefined;
  const needsRollback = place?.process === "rollback" || place?.stage.startsWith("rollback");
  const switches = shape.pick([1, 2, 2, 2, 2, 2, 3]);
  const shown = stages.filter((stage) => switches > 1 || !stage.startsWith("rollback"));
  const count = allowed
    ? allowed.length === 0 ? 0 : drawn.between(1, 3)
    : place
    ? drawn.between(0, 1)
    : drawn.between(0, 3);
  return {
    seed,
    switches: needsRollback ? Math.max(2, switches) : switches,
    share: shape.pick([0, 25, 100]),
    phaseMs: shape.between(400, 1000),
    clients: shape.between(2, 4),
    recovery: shape.pick(recoveries),
    faults: Array.from({ length: count }, () => ({
      kind: drawn.pick(allowed ?? switchFaultNames),
      stage: drawn.pick(shown),
      afterMs: drawn.pick([0, 0, drawn.between(0, 300), drawn.between(0, 1500)]),
    })),
    place,
  };
}
