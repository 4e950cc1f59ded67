/** One run: it starts servers and workers, performs the plan, waits until the system is idle and checks the rules. */
import { connect } from "../../db/pg/connect.ts";
import { type FakeImageApi, startImageApi } from "../servers/image_api.ts";
import { waitForIdle } from "./idle.ts";
import { type Facts, gatherFacts, type InjectedFault } from "./facts.ts";
import { faults } from "./faults.ts";
import { type LogLine, startWorkers, type SupervisedWorker, type WorkerOptions } from "./workers.ts";
import { insertUser, performTask, type SubmittedTask } from "./users.ts";
import { findViolations, type Violation } from "./oracle.ts";
import { createRandom } from "./random.ts";
import type { Plan, PlannedFault, PlannedTask } from "./plan.ts";
import { RigPostgres } from "./nodes/postgres.ts";
import { RigRedis } from "./nodes/redis.ts";
import { pause, retry, tolerantOptions } from "./servers.ts";
import { ImageApiFaults, type Rig } from "./rig.ts";
import { watchProgress } from "./progress.ts";

/** Servers that consecutive runs share, since they take longest to start. */
export interface Lane extends AsyncDisposable {
  postgres: RigPostgres;
  redis: RigRedis;
  /** Folder of the project whose workers run. */
  root: URL;
}

/** The result of a run. */
export interface RunResult {
  plan: Plan;
  violations: Violation[];
  facts: Facts;
  /** Time from the first submission until the system was idle. */
  tookMs: number;
}

const idleMsMax = 45_000;
const probesMax = 5;
/** Plans a small task for the end of a run. It shows that the workers still work and makes them check Redis. */
const planProbe = (number: number): PlannedTask => ({
  atMs: 0,
  name: `probe ${number}`,
  priority: 1,
  prompts: Array.from({ length: 4 }, (_, cell) => `probe ${number} cell ${cell}`),
});
/** Maximum time for the start of all workers, also on a slow machine. */
const startMsMax = 900_000;
const seconds = () => Date.now() / 1000;

/** Starts the servers of a lane. */
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

/** Returns a function from a POST's body to the time its job takes, 30 to 700 ms. */
function jobDelayOf(seed: number): (body: string) => number {
  return (body) => createRandom(seed).fork(body).between(30, 700);
}

const workerEnv = (plan: Plan): Record<string, string> => ({
  NIETA_XTOKEN: "fake",
  TASK_EXECUTOR_MIN_CONCURRENT: String(plan.slots),
  TASK_EXECUTOR_MAX_CONCURRENT: String(plan.slots),
  IMAGE_POLLING_INTERVAL: "0.25",
  IMAGE_MAX_POLLING_ATTEMPTS: "10000",
  LUMINA_POLLING_INTERVAL: "0.25",
  LOG_LEVEL: "INFO",
});

async function injectAll(rig: Rig, plannedFaults: PlannedFault[], injected: InjectedFault[]): Promise<void> {
  await Promise.all(plannedFaults.map(async ({ atMs, kind, ...parameters }) => {
    await pause(atMs);
    const entry: InjectedFault = { kind, workerIndex: parameters.workerIndex, from: seconds(), to: Infinity };
    injected.push(entry);
    await faults[kind].inject(rig, parameters);
    entry.to = seconds();
  }));
}

/** Returns a function that reports whether a fault that may stop work is active, or a worker is not running normally. */
const isDisturbed = (injected: InjectedFault[], workers: SupervisedWorker[]) => () => {
  const now = seconds();
  return workers.some(({ ready, frozen }) => !ready || frozen) ||
    injected.some(({ kind, to }) => to > now && !faults[kind].keepsWorking);
};

async function waitForWorkers(workers: SupervisedWorker[]): Promise<void> {
  const until = performance.now() + startMsMax;
  while (!workers.every(({ ready }) => ready)) {
    if (performance.now() > until) throw new Error(`the workers did not start within ${startMsMax / 1000} s`);
    await pause(20);
  }
}

/** A rig with its image API and its log. */
interface OpenedRig {
  rig: Rig;
  api: FakeImageApi;
  log: LogLine[];
}

async function openRig(lane: Lane, plan: Plan, stack: AsyncDisposableStack): Promise<OpenedRig> {
  const { postgres, redis, root } = lane;
  const database = `run_${crypto.randomUUID().slice(0, 8)}`;
  stack.defer(() => Promise.all([postgres.retire(), redis.retire()]).then(() => {}));
  await postgres.createDatabase(database);
  stack.defer(() => retry(() => postgres.dropDatabase(database)));
  await redis.kill();
  await redis.startIfDown();
  const imageApi = new ImageApiFaults();
  const api = stack.use(
    await startImageApi({ delayMs: jobDelayOf(plan.seed), disturb: (call) => imageApi.disturb(call) }),
  );
  const log: LogLine[] = [];
  const options: WorkerOptions = {
    root,
    log,
    env: workerEnv(plan),
    clocks: plan.plannedFaults.some(({ kind }) => kind === "clock_step"),
    databaseUrl: (port) => postgres.url(database, port),
    ports: { postgres: postgres.port, redis: redis.port, api: Number(new URL(api.url).port) },
  };
  const sql = connect(postgres.url(database), { ...tolerantOptions, max: 8, name: "chaos" });
  stack.defer(() => sql.end({ timeout: 1 }));
  const workers = await startWorkers(plan.workers, options);
  for (const worker of workers) stack.defer(() => worker.close());
  await waitForWorkers(workers);
  return { rig: { workers, postgres, redis, imageApi, sql, database }, api, log };
}

/** Runs a plan and checks its outcome. */
export async function runPlan(lane: Lane, plan: Plan): Promise<RunResult> {
  await using stack = new AsyncDisposableStack();
  const { rig, api, log } = await openRig(lane, plan, stack);
  const { sql, workers } = rig;
  const user = await insertUser(sql);
  const submitted: SubmittedTask[] = [];
  const injected: InjectedFault[] = [];
  const watching = new AbortController();
  const waitingEnds = new AbortController();
  const started = performance.now();
  const watched = watchProgress(rig, isDisturbed(injected, workers), watching.signal);
  const loaded = Promise.all(
    plan.plannedTasks.map((planned) =>
      performTask({ sql, user, tasks: submitted, signal: waitingEnds.signal }, planned)
    ),
  );
  await injectAll(rig, plan.plannedFaults, injected);
  const timer = setTimeout(() => waitingEnds.abort(), idleMsMax);
  await loaded;
  clearTimeout(timer);
  const consumersDeleted = plan.plannedFaults.some(({ kind }) => kind === "consumers_deleted");
  let idle = await waitForIdle(rig, idleMsMax, consumersDeleted);
  // A probe that ran before the workers reconnected to Redis proves nothing about the epoch mark, so it is repeated.
  for (let probes = 0; idle.unsettled.length === 0 && probes < probesMax; probes++) {
    if (probes > 0 && idle.epochMarked) break;
    await performTask({ sql, user, tasks: submitted, signal: waitingEnds.signal }, planProbe(probes));
    idle = await waitForIdle(rig, idleMsMax, consumersDeleted);
  }
  const tookMs = Math.round(performance.now() - started);
  watching.abort();
  const observed = { plan, submitted, hooks: api.hooks, log, injected, idle, stalls: await watched };
  const facts = await gatherFacts(sql, observed, api.posts);
  return { plan, facts, violations: findViolations(facts), tookMs };
}
