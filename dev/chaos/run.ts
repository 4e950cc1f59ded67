/** One run: servers, workers, load and faults as planned, then peace, then judgement. */
import { connect } from "../../db/pg/connect.ts";
import { type PlayedImageApi, startImageApi } from "../servers/image_api.ts";
import { waitForCalm } from "./calm.ts";
import { type Facts, gatherFacts, type Struck } from "./facts.ts";
import { faults } from "./faults.ts";
import { type FleetOptions, type LogLine, type Place, startFleet } from "./fleet.ts";
import { carryOut, insertUser, type Submitted } from "./load.ts";
import { judge, type Violation } from "./oracle.ts";
import { createDice } from "./random.ts";
import type { Order, Plan, Strike } from "./schedule.ts";
import { insist, RigPostgres, RigRedis, steady } from "./servers.ts";
import { Mood, pause, type Stage } from "./stage.ts";
import { watchProgress } from "./watch.ts";

/** What runs one after another share: servers take longest to start. */
export interface Lane extends AsyncDisposable {
  postgres: RigPostgres;
  redis: RigRedis;
  /** Folder of the project whose workers run. */
  root: URL;
}

export interface RunResult {
  plan: Plan;
  violations: Violation[];
  facts: Facts;
  /** From the first submission to peace. */
  tookMs: number;
}

const calmMsMax = 45_000;
const probesMax = 5;
/** Submitted when all is over: whoever serves it is well, and has looked at Redis since it was wiped. */
const drawProbe = (number: number): Order => ({
  atMs: 0,
  name: `probe ${number}`,
  priority: 1,
  prompts: Array.from({ length: 4 }, (_, cell) => `probe ${number} cell ${cell}`),
});
/** However slowly the machine goes. */
const startMsMax = 900_000;
const seconds = () => Date.now() / 1000;

export async function openLane(root: URL): Promise<Lane> {
  const postgres = await RigPostgres.start(new URL("migrate/schema/", root));
  const redis = new RigRedis();
  return {
    postgres,
    redis,
    root,
    async [Symbol.asyncDispose]() {
      await redis[Symbol.asyncDispose]();
      await postgres[Symbol.asyncDispose]();
    },
  };
}

/** Time that a job takes, from 30 to 700 ms, the same for the same body. */
function delayOf(seed: number): (body: string) => number {
  return (body) => createDice(seed).fork(body).between(30, 700);
}

const workerEnv = (plan: Plan): Record<string, string> => ({
  NIETA_XTOKEN: "played",
  TASK_EXECUTOR_MIN_CONCURRENT: String(plan.slots),
  TASK_EXECUTOR_MAX_CONCURRENT: String(plan.slots),
  IMAGE_POLLING_INTERVAL: "0.25",
  IMAGE_MAX_POLLING_ATTEMPTS: "10000",
  LUMINA_POLLING_INTERVAL: "0.25",
  LOG_LEVEL: "INFO",
});

async function strikeAll(stage: Stage, strikes: Strike[], struck: Struck[]): Promise<void> {
  await Promise.all(strikes.map(async ({ atMs, kind, ...blow }) => {
    await pause(atMs);
    const entry: Struck = { kind, place: blow.place, from: seconds(), to: Infinity };
    struck.push(entry);
    await faults[kind].strike(stage, blow);
    entry.to = seconds();
  }));
}

/** True while a fault is under way, or its effects need time that nobody can be blamed for. */
const isTroubled = (struck: Struck[], places: Place[]) => () => {
  const now = seconds();
  return places.some(({ ready, frozen }) => !ready || frozen) || struck.some(({ to }) => to > now);
};

async function waitForWorkers(places: Place[]): Promise<void> {
  const until = performance.now() + startMsMax;
  while (!places.every(({ ready }) => ready)) {
    if (performance.now() > until) throw new Error(`the workers did not start within ${startMsMax / 1000} s`);
    await pause(20);
  }
}

interface Opened {
  stage: Stage;
  api: PlayedImageApi;
  log: LogLine[];
}

async function openStage(lane: Lane, plan: Plan, stack: AsyncDisposableStack): Promise<Opened> {
  const { postgres, redis, root } = lane;
  const database = `run_${crypto.randomUUID().slice(0, 8)}`;
  await postgres.createDatabase(database);
  stack.defer(() => insist(() => postgres.dropDatabase(database)));
  await redis.strike();
  await redis.startAgain();
  const mood = new Mood();
  const api = stack.use(
    await startImageApi({ delayMs: delayOf(plan.seed), disturb: (call) => mood.disturb(call) }),
  );
  const log: LogLine[] = [];
  const options: FleetOptions = {
    root,
    log,
    env: workerEnv(plan),
    clocks: plan.strikes.some(({ kind }) => kind === "clock_step"),
    databaseUrl: (port) => postgres.url(database).replace(`:${postgres.port}/`, `:${port}/`),
    ports: { postgres: postgres.port, redis: redis.port, api: Number(new URL(api.url).port) },
  };
  const sql = connect(postgres.url(database), { ...steady, max: 8, name: "chaos" });
  stack.defer(() => sql.end({ timeout: 1 }));
  const places = await startFleet(plan.workers, options);
  for (const place of places) stack.defer(() => place.close());
  await waitForWorkers(places);
  return { stage: { places, postgres, redis, mood, sql, database }, api, log };
}

/** Plays a plan to its end. */
export async function runPlan(lane: Lane, plan: Plan): Promise<RunResult> {
  await using stack = new AsyncDisposableStack();
  const { stage, api, log } = await openStage(lane, plan, stack);
  const { sql, places } = stage;
  const user = await insertUser(sql);
  const submitted: Submitted[] = [];
  const struck: Struck[] = [];
  const watching = new AbortController();
  const giveUp = new AbortController();
  const started = performance.now();
  const watched = watchProgress(stage, isTroubled(struck, places), watching.signal);
  const loaded = Promise.all(
    plan.orders.map((order) => carryOut({ sql, user, tasks: submitted, signal: giveUp.signal }, order)),
  );
  await strikeAll(stage, plan.strikes, struck);
  const late = setTimeout(() => giveUp.abort(), calmMsMax);
  await loaded;
  clearTimeout(late);
  const forgetful = plan.strikes.some(({ kind }) => kind === "consumers_deleted");
  let calm = await waitForCalm(stage, calmMsMax, forgetful);
  // A probe that is drawn before the workers know that Redis is back says nothing of the mark: it is asked again.
  for (let probes = 0; calm.restless.length === 0 && probes < probesMax; probes++) {
    if (probes > 0 && calm.marked) break;
    await carryOut({ sql, user, tasks: submitted, signal: giveUp.signal }, drawProbe(probes));
    calm = await waitForCalm(stage, calmMsMax, forgetful);
  }
  const tookMs = Math.round(performance.now() - started);
  watching.abort();
  const seen = { plan, submitted, hooks: api.hooks, log, struck, calm, stalls: await watched };
  const facts = await gatherFacts(sql, seen, api.posts);
  return { plan, facts, violations: judge(facts), tookMs };
}
