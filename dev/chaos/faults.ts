/** The faults of the rig: each strikes, and heals by itself before it returns. */
import * as servers from "./faults_servers.ts";
import type { Proxy, ProxyMode } from "./proxy.ts";
import { type Blow, type Mood, pause, type Stage } from "./stage.ts";

interface Fault {
  about: string;
  /** Least and most time it lasts. */
  ms: readonly [number, number];
  /** How often it is drawn, against the others. */
  weight: number;
  /** It may make attempts fail through no fault of the worker's. */
  spoilsAttempts?: true;
  strike: (stage: Stage, blow: Blow) => Promise<unknown>;
}

const placeOf = ({ places }: Stage, { place }: Blow) => places[place]!;

/** Puts a proxy into a mode for a while; afterwards its connections go on, or are cut. */
async function trouble(proxy: Proxy, mode: ProxyMode, ms: number, thenCut: boolean): Promise<void> {
  proxy.set(mode);
  await pause(ms);
  if (thenCut) proxy.cut();
  proxy.set("pass");
}

type Side = "postgres" | "redis" | "api";

const net =
  (side: Side, mode: ProxyMode, cutAfter: "always" | "never" | "sometimes" | "first") =>
  async (stage: Stage, blow: Blow) => {
    const proxy = placeOf(stage, blow)[side];
    if (cutAfter === "first") proxy.cut();
    const thenCut = cutAfter === "always" || (cutAfter === "sometimes" && blow.luck < 0.5);
    await trouble(proxy, mode, blow.ms, thenCut);
  };

async function feel(mood: Mood, refusal: Mood["refusal"], ms: number): Promise<void> {
  mood.refusal = refusal;
  await pause(ms);
  mood.refusal = undefined;
}

async function freeze(stage: Stage, blow: Blow): Promise<void> {
  const place = placeOf(stage, blow);
  if (!place.signal("SIGSTOP")) return;
  await pause(blow.ms);
  place.signal("SIGCONT");
}

async function terminate(stage: Stage, blow: Blow): Promise<void> {
  const place = placeOf(stage, blow);
  const pid = place.pid;
  place.signal("SIGTERM");
  await pause(2_000);
  if (place.pid === pid) place.signal("SIGKILL");
}

async function killSeveral(stage: Stage, blow: Blow): Promise<void> {
  for (let i = 0; i < 3; i++) {
    placeOf(stage, blow).signal("SIGKILL");
    await pause(300 + blow.luck * 1_500);
  }
}

/** Every worker dies at the same moment. */
async function killAll({ places }: Stage): Promise<void> {
  await Promise.resolve();
  for (const place of places) place.signal("SIGKILL");
}

async function hang({ mood }: Stage, { ms }: Blow): Promise<void> {
  mood.hangMs = 1_500;
  await pause(ms);
  mood.hangMs = 0;
}

/** Five minutes on or back, then right again; a machine without libfaketime keeps its time. */
async function stepClock(stage: Stage, blow: Blow): Promise<void> {
  const { clock } = placeOf(stage, blow);
  await clock?.step(blow.luck < 0.5 ? 300 : -300);
  await pause(blow.ms);
  await clock?.step(0);
}

const kill = (stage: Stage, blow: Blow) => Promise.resolve(placeOf(stage, blow).signal("SIGKILL"));

const catalogue = {
  kill: { about: "kill -9 of a worker", ms: [0, 0], weight: 8, strike: kill },
  kill_again: { about: "kill -9, and of its followers", ms: [0, 0], weight: 2, strike: killSeveral },
  kill_all: { about: "kill -9 of all workers at once", ms: [0, 0], weight: 1, strike: killAll },
  freeze: { about: "SIGSTOP, SIGCONT after a takeover", ms: [8_000, 12_000], weight: 3, strike: freeze },
  stall: { about: "SIGSTOP for less than a takeover takes", ms: [500, 5_000], weight: 2, strike: freeze },
  terminate: { about: "SIGTERM, SIGKILL after 2 s", ms: [0, 0], weight: 4, strike: terminate },
  clock_step: {
    about: "a worker's clock five minutes off",
    ms: [1_500, 6_000],
    weight: 2,
    strike: stepClock,
  },
  flush: { about: "FLUSHALL", ms: [0, 0], weight: 3, strike: servers.flush },
  flush_stray: { about: "FLUSHALL, and a late XADD", ms: [0, 0], weight: 2, strike: servers.flushWithStray },
  redis_restart: {
    about: "Redis killed and started again, empty",
    ms: [100, 3_000],
    weight: 3,
    strike: (stage, { ms }) => servers.restartRedis(stage, ms),
  },
  streams_deleted: { about: "streams deleted", ms: [0, 0], weight: 1, strike: servers.deleteStreams },
  groups_destroyed: {
    about: "consumer groups destroyed",
    ms: [0, 0],
    weight: 2,
    strike: servers.destroyGroups,
  },
  keys_spoilt: {
    about: "streams replaced by texts",
    ms: [300, 2_000],
    weight: 1,
    strike: (stage, { ms }) => servers.spoilKeys(stage, ms),
  },
  duplicates: { about: "entries added twice", ms: [0, 0], weight: 4, strike: servers.duplicateEntries },
  consumers_deleted: {
    about: "consumers deleted with what they read",
    ms: [0, 0],
    weight: 1,
    strike: servers.deleteConsumers,
  },
  streams_trimmed: { about: "entries trimmed away", ms: [0, 0], weight: 1, strike: servers.trimStreams },
  redis_full: {
    about: "Redis refuses writes: out of memory",
    ms: [500, 3_000],
    weight: 1,
    strike: (stage, { ms }) => servers.fillRedis(stage, ms),
  },
  postgres_fast: {
    about: "PostgreSQL restarted (fast)",
    ms: [0, 1_500],
    weight: 3,
    strike: (stage, { ms }) => servers.restartPostgres(stage, "fast", ms),
  },
  postgres_immediate: {
    about: "PostgreSQL restarted (immediate)",
    ms: [0, 1_500],
    weight: 3,
    strike: (stage, { ms }) => servers.restartPostgres(stage, "immediate", ms),
  },
  backends_cut: {
    about: "pg_terminate_backend, several times",
    ms: [0, 0],
    weight: 3,
    strike: (stage, { luck }) => servers.cutBackends(stage, 2 + Math.floor(luck * 6)),
  },
  tasks_locked: {
    about: "an admin's session locks all tasks",
    ms: [500, 3_000],
    weight: 1,
    strike: (stage, { ms }) => servers.lockTasks(stage, ms),
  },
  read_only: {
    about: "PostgreSQL takes no writes",
    ms: [300, 2_000],
    weight: 1,
    strike: (stage, { ms }) => servers.makeReadOnly(stage, ms),
  },
  postgres_silent: {
    about: "PostgreSQL's packets vanish",
    ms: [5_000, 10_000],
    weight: 2,
    strike: net("postgres", "hold", "sometimes"),
  },
  postgres_mute: {
    about: "PostgreSQL's replies are lost, then the connections",
    ms: [50, 1_500],
    weight: 4,
    strike: net("postgres", "mute", "always"),
  },
  postgres_cut: {
    about: "PostgreSQL's connections are cut and refused",
    ms: [0, 1_500],
    weight: 2,
    strike: net("postgres", "refuse", "first"),
  },
  postgres_slow: {
    about: "PostgreSQL is slow",
    ms: [500, 3_000],
    weight: 1,
    strike: net("postgres", "slow", "never"),
  },
  postgres_orphan: {
    about: "PostgreSQL's connections go silent for good; new ones work",
    ms: [0, 0],
    weight: 2,
    strike: (stage, blow) => Promise.resolve(placeOf(stage, blow).postgres.orphan()),
  },
  redis_silent: {
    about: "Redis' packets vanish",
    ms: [2_000, 8_000],
    weight: 2,
    strike: net("redis", "hold", "sometimes"),
  },
  redis_mute: {
    about: "Redis' replies are lost, then the connections",
    ms: [50, 1_500],
    weight: 3,
    strike: net("redis", "mute", "always"),
  },
  redis_orphan: {
    about: "Redis' connections go silent for good; new ones work",
    ms: [0, 0],
    weight: 2,
    strike: (stage, blow) => Promise.resolve(placeOf(stage, blow).redis.orphan()),
  },
  api_silent: {
    about: "the image API's packets vanish, then its connections",
    ms: [500, 3_000],
    weight: 2,
    spoilsAttempts: true,
    strike: net("api", "hold", "always"),
  },
  api_mute: {
    about: "the image API's answers are lost, then its connections",
    ms: [50, 1_000],
    weight: 2,
    spoilsAttempts: true,
    strike: net("api", "mute", "always"),
  },
  api_cut: {
    about: "the image API's connections are cut and refused",
    ms: [0, 1_500],
    weight: 1,
    spoilsAttempts: true,
    strike: net("api", "refuse", "first"),
  },
  api_hang: { about: "the image API takes 1.5 s a call", ms: [500, 3_000], weight: 2, strike: hang },
  api_500: {
    about: "the image API answers 500",
    ms: [200, 2_000],
    weight: 2,
    spoilsAttempts: true,
    strike: ({ mood }, { ms }) => feel(mood, { status: 500 }, ms),
  },
  api_429: {
    about: "the image API answers 429",
    ms: [200, 2_000],
    weight: 2,
    spoilsAttempts: true,
    strike: ({ mood }, { ms, luck }) =>
      feel(mood, luck < 0.5 ? { status: 429 } : { status: 429, retryAfter: 1 }, ms),
  },
  api_html: {
    about: "a proxy answers for the image API, in HTML",
    ms: [200, 2_000],
    weight: 1,
    spoilsAttempts: true,
    strike: ({ mood }, { ms }) => feel(mood, { status: 502, html: true }, ms),
  },
} satisfies Record<string, Fault>;

export type FaultKind = keyof typeof catalogue;

export const faults: Record<FaultKind, Fault> = catalogue;
export const faultKinds = Object.keys(catalogue) as FaultKind[];
