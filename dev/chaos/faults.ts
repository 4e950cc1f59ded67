/** The catalogue of faults. Each fault is injected and removed again by one function. */
import * as servers from "./faults_servers.ts";
import type { Proxy, ProxyMode } from "./proxy.ts";
import { type FaultParameters, type ImageApiFaults, pause, type Rig } from "./rig.ts";

interface Fault {
  /** Description for `--list`. */
  about: string;
  /** Minimum and maximum duration in milliseconds. */
  ms: readonly [number, number];
  /** Relative frequency in generated plans. */
  weight: number;
  /** Set if the fault may make attempts fail although the worker behaves correctly. */
  spoilsAttempts?: true;
  /** Injects the fault and resolves once it is removed again. */
  /** Injects the fault and resolves once it is removed again. */
  inject: (rig: Rig, parameters: FaultParameters) => Promise<unknown>;
}

const workerOf = ({ workers }: Rig, { workerIndex }: FaultParameters) => workers[workerIndex]!;

/** Puts a proxy into a mode for `ms`, and then closes its connections if `thenCut` is set. */
async function disturbProxy(proxy: Proxy, mode: ProxyMode, ms: number, thenCut: boolean): Promise<void> {
  proxy.set(mode);
  await pause(ms);
  if (thenCut) proxy.cut();
  proxy.set("pass");
}

type Proxied = "postgres" | "redis" | "api";

const disturbNetwork =
  (server: Proxied, mode: ProxyMode, cutAfter: "always" | "never" | "sometimes" | "first") =>
  async (rig: Rig, parameters: FaultParameters) => {
    const proxy = workerOf(rig, parameters)[server];
    if (cutAfter === "first") proxy.cut();
    const thenCut = cutAfter === "always" || (cutAfter === "sometimes" && parameters.variation < 0.5);
    await disturbProxy(proxy, mode, parameters.ms, thenCut);
  };

async function answerErrors(
  imageApi: ImageApiFaults,
  errorAnswer: ImageApiFaults["errorAnswer"],
  ms: number,
): Promise<void> {
  imageApi.errorAnswer = errorAnswer;
  await pause(ms);
  imageApi.errorAnswer = undefined;
}

async function freeze(rig: Rig, parameters: FaultParameters): Promise<void> {
  const workerIndex = workerOf(rig, parameters);
  if (!workerIndex.signal("SIGSTOP")) return;
  await pause(parameters.ms);
  workerIndex.signal("SIGCONT");
}

async function terminate(rig: Rig, parameters: FaultParameters): Promise<void> {
  const workerIndex = workerOf(rig, parameters);
  const pid = workerIndex.pid;
  workerIndex.signal("SIGTERM");
  await pause(2_000);
  if (workerIndex.pid === pid) workerIndex.signal("SIGKILL");
}

async function killSeveral(rig: Rig, parameters: FaultParameters): Promise<void> {
  for (let i = 0; i < 3; i++) {
    workerOf(rig, parameters).signal("SIGKILL");
    await pause(300 + parameters.variation * 1_500);
  }
}

/** Kills every worker at the same moment. */
async function killAll({ workers }: Rig): Promise<void> {
  await Promise.resolve();
  for (const worker of workers) worker.signal("SIGKILL");
}

async function slowImageApi({ imageApi }: Rig, { ms }: FaultParameters): Promise<void> {
  imageApi.delayMs = 1_500;
  await pause(ms);
  imageApi.delayMs = 0;
}

/** Moves a worker's clock by five minutes for a while. Without libfaketime nothing happens. */
async function stepClock(rig: Rig, parameters: FaultParameters): Promise<void> {
  const { clock } = workerOf(rig, parameters);
  await clock?.step(parameters.variation < 0.5 ? 300 : -300);
  await pause(parameters.ms);
  await clock?.step(0);
}

const kill = (rig: Rig, parameters: FaultParameters) =>
  Promise.resolve(workerOf(rig, parameters).signal("SIGKILL"));

const catalogue = {
  kill: { about: "kill -9 of a worker", ms: [0, 0], weight: 8, inject: kill },
  kill_again: {
    about: "kill -9 of a worker and of its two successors",
    ms: [0, 0],
    weight: 2,
    inject: killSeveral,
  },
  kill_all: { about: "kill -9 of all workers at once", ms: [0, 0], weight: 1, inject: killAll },
  freeze: { about: "SIGSTOP, then SIGCONT after a takeover", ms: [8_000, 12_000], weight: 3, inject: freeze },
  stall: {
    about: "SIGSTOP for less time than a takeover takes",
    ms: [500, 5_000],
    weight: 2,
    inject: freeze,
  },
  terminate: { about: "SIGTERM, then SIGKILL after 2 s", ms: [0, 0], weight: 4, inject: terminate },
  clock_step: {
    about: "a worker's clock is five minutes off",
    ms: [1_500, 6_000],
    weight: 2,
    inject: stepClock,
  },
  flush: { about: "FLUSHALL", ms: [0, 0], weight: 3, inject: servers.flush },
  flush_stray: {
    about: "FLUSHALL, followed by a late XADD",
    ms: [0, 0],
    weight: 2,
    inject: servers.flushWithStray,
  },
  redis_restart: {
    about: "Redis is killed and restarts empty",
    ms: [100, 3_000],
    weight: 3,
    inject: (rig, { ms }) => servers.restartRedis(rig, ms),
  },
  streams_deleted: { about: "streams are deleted", ms: [0, 0], weight: 1, inject: servers.deleteStreams },
  groups_destroyed: {
    about: "consumer groups are destroyed",
    ms: [0, 0],
    weight: 2,
    inject: servers.destroyGroups,
  },
  keys_spoilt: {
    about: "stream keys hold strings",
    ms: [300, 2_000],
    weight: 1,
    inject: (rig, { ms }) => servers.replaceStreamsByStrings(rig, ms),
  },
  duplicates: { about: "entries are added twice", ms: [0, 0], weight: 4, inject: servers.duplicateEntries },
  consumers_deleted: {
    about: "consumers are deleted with the entries they read",
    ms: [0, 0],
    weight: 1,
    inject: servers.deleteConsumers,
  },
  streams_trimmed: { about: "all entries are trimmed", ms: [0, 0], weight: 1, inject: servers.trimStreams },
  redis_full: {
    about: "Redis refuses writes: out of memory",
    ms: [500, 3_000],
    weight: 1,
    inject: (rig, { ms }) => servers.fillRedis(rig, ms),
  },
  postgres_fast: {
    about: "PostgreSQL restarts (fast shutdown)",
    ms: [0, 1_500],
    weight: 3,
    inject: (rig, { ms }) => servers.restartPostgres(rig, "fast", ms),
  },
  postgres_immediate: {
    about: "PostgreSQL restarts (immediate shutdown)",
    ms: [0, 1_500],
    weight: 3,
    inject: (rig, { ms }) => servers.restartPostgres(rig, "immediate", ms),
  },
  backends_cut: {
    about: "pg_terminate_backend, several times",
    ms: [0, 0],
    weight: 3,
    inject: (rig, { variation }) => servers.terminateSessions(rig, 2 + Math.floor(variation * 6)),
  },
  tasks_locked: {
    about: "an administrator's session locks all tasks",
    ms: [500, 3_000],
    weight: 1,
    inject: (rig, { ms }) => servers.lockTasks(rig, ms),
  },
  read_only: {
    about: "PostgreSQL is read-only",
    ms: [300, 2_000],
    weight: 1,
    inject: (rig, { ms }) => servers.makeReadOnly(rig, ms),
  },
  postgres_silent: {
    about: "PostgreSQL's packets are lost",
    ms: [5_000, 10_000],
    weight: 2,
    inject: disturbNetwork("postgres", "hold", "sometimes"),
  },
  postgres_mute: {
    about: "PostgreSQL's replies are lost, then its connections close",
    ms: [50, 1_500],
    weight: 4,
    inject: disturbNetwork("postgres", "mute", "always"),
  },
  postgres_cut: {
    about: "PostgreSQL's connections are closed and refused",
    ms: [0, 1_500],
    weight: 2,
    inject: disturbNetwork("postgres", "refuse", "first"),
  },
  postgres_slow: {
    about: "PostgreSQL is slow",
    ms: [500, 3_000],
    weight: 1,
    inject: disturbNetwork("postgres", "slow", "never"),
  },
  postgres_orphan: {
    about: "PostgreSQL's open connections stay silent; new ones work",
    ms: [0, 0],
    weight: 2,
    inject: (rig, parameters) => Promise.resolve(workerOf(rig, parameters).postgres.orphan()),
  },
  redis_silent: {
    about: "Redis' packets are lost",
    ms: [2_000, 8_000],
    weight: 2,
    inject: disturbNetwork("redis", "hold", "sometimes"),
  },
  redis_mute: {
    about: "Redis' replies are lost, then its connections close",
    ms: [50, 1_500],
    weight: 3,
    inject: disturbNetwork("redis", "mute", "always"),
  },
  redis_orphan: {
    about: "Redis' open connections stay silent; new ones work",
    ms: [0, 0],
    weight: 2,
    inject: (rig, parameters) => Promise.resolve(workerOf(rig, parameters).redis.orphan()),
  },
  api_silent: {
    about: "the image API's packets are lost, then its connections close",
    ms: [500, 3_000],
    weight: 2,
    spoilsAttempts: true,
    inject: disturbNetwork("api", "hold", "always"),
  },
  api_mute: {
    about: "the image API's answers are lost, then its connections close",
    ms: [50, 1_000],
    weight: 2,
    spoilsAttempts: true,
    inject: disturbNetwork("api", "mute", "always"),
  },
  api_cut: {
    about: "the image API's connections are closed and refused",
    ms: [0, 1_500],
    weight: 1,
    spoilsAttempts: true,
    inject: disturbNetwork("api", "refuse", "first"),
  },
  api_hang: {
    about: "the image API takes 1.5 s per call",
    ms: [500, 3_000],
    weight: 2,
    inject: slowImageApi,
  },
  api_500: {
    about: "the image API answers 500",
    ms: [200, 2_000],
    weight: 2,
    spoilsAttempts: true,
    inject: ({ imageApi }, { ms }) => answerErrors(imageApi, { status: 500 }, ms),
  },
  api_429: {
    about: "the image API answers 429",
    ms: [200, 2_000],
    weight: 2,
    spoilsAttempts: true,
    inject: ({ imageApi }, { ms, variation }) =>
      answerErrors(imageApi, variation < 0.5 ? { status: 429 } : { status: 429, retryAfter: 1 }, ms),
  },
  api_html: {
    about: "a proxy answers for the image API with HTML",
    ms: [200, 2_000],
    weight: 1,
    spoilsAttempts: true,
    inject: ({ imageApi }, { ms }) => answerErrors(imageApi, { status: 502, html: true }, ms),
  },
} satisfies Record<string, Fault>;

/** Name of a fault. */
export type FaultKind = keyof typeof catalogue;

export const faults: Record<FaultKind, Fault> = catalogue;
export const faultKinds = Object.keys(catalogue) as FaultKind[];
