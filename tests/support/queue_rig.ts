/** The test rig of the queue: real PostgreSQL, Redis and workers, and a fake image API. */
import { waitFor } from "./wait.ts";
import { parseConfig } from "../../config.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { connect } from "../../db/pg/connect.ts";
import { type FakeImageApi, type ImageApiOptions, startImageApi } from "../../dev/servers/image_api.ts";
import { type LocalRedis, startRedis } from "../../dev/servers/redis.ts";
import { openRedis, type RedisAddress } from "../../redis/connect.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { runWorker } from "../../jobs/worker.ts";
import type { WorkerOptions } from "../../jobs/worker_parts.ts";
import { type Json, type JsonObject, parseJson } from "../../json.ts";
import { createLog, silentLog } from "../../log.ts";
import { createMetrics, type Metrics } from "../../metrics.ts";
import { createDatabase, type TestDatabase } from "./database.ts";
import { startGateway, type UpstashGateway } from "./upstash_gateway.ts";

/** Options of a rig. */
export interface RigOptions {
  transport?: "tcp" | "rest";
  /** Time from a job's POST until it is done. */
  delayMs?: number | ((body: string) => number);
  /** Fault injection of the image API. */
  disturb?: ImageApiOptions["disturb"];
  env?: Record<string, string>;
  /** Database to use instead of a new one on the tests' server. */
  database?: TestDatabase;
}

/** A worker in this process. */
export interface RunningWorker {
  id: string;
  metrics: Metrics;
  /** Stops the worker and waits for its end. */
  stop(): Promise<void>;
  ended: Promise<void>;
}

/** A rig. */
export interface Rig extends AsyncDisposable {
  sql: Pool;
  url: string;
  redis: LocalRedis & { pid: number };
  gateway?: UpstashGateway;
  redisAddress: RedisAddress;
  api: FakeImageApi;
  env: Record<string, string>;
  user: { id: string; email: string };
  startWorker(options?: Partial<WorkerOptions>): Promise<RunningWorker>;
  submit: Submit;
}

const unused = { name: "", values: [] };

/** Returns the tags and variables of a task of prompts × seeds. */
function makeBody(prompts: string[], seeds: number[]): { tags: Json[]; variables: JsonObject } {
  const axis = (tag_id: string, name: string, values: (string | number)[]) => ({
    tag_id,
    name,
    values: values.map((value, i) => ({ id: `${tag_id}-${i}`, value: String(value) })),
  });
  const body = {
    tags: [
      { id: "1", type: "prompt", isVariable: true, value: "", name: "p" },
      { id: "2", type: "seed", isVariable: true, value: "", name: "s" },
    ],
    variables: { v0: axis("1", "p", prompts), v1: axis("2", "s", seeds), v2: unused },
  };
  const parsed = parseJson(JSON.stringify(body)) as JsonObject;
  return { tags: parsed.get("tags") as Json[], variables: parsed.get("variables") as JsonObject };
}

/** The columns of a subtask that tests compare. */
export interface SubtaskState {
  cell: number;
  status: string;
  retry_count: number;
  attempt: number;
  error: string | null;
  image_url: string | null;
  lease_id: string | null;
  worker_id: string | null;
  remote_id: string | null;
  result: string | null;
}

/** The level of the workers' log; TEST_LOG=debug shows everything. */
const logLevel = Deno.env.get("TEST_LOG");
const rigLog = logLevel === undefined ? silentLog : createLog(logLevel as "debug");

/** Reads the subtasks of a task in the order of their cells. */
export async function readSubtasks(sql: Pool, task: string): Promise<SubtaskState[]> {
  return await sql<SubtaskState[]>`
    select cell, status, retry_count, attempt, error, image_url, lease_id, worker_id, remote_id, result::text
    from subtasks
    where parent_task_id = ${task}
    order by cell`;
}

/** The columns of a task that tests compare, and the kinds of its notices. */
export interface TaskState {
  status: string;
  all_subtasks_completed: boolean;
  subtasks_total: number;
  subtasks_completed: number;
  subtasks_failed: number;
  subtasks_cancelled: number;
  cancelling: boolean;
  notices: string[];
}

/** Reads a task. */
export async function readTask(sql: Pool, task: string): Promise<TaskState> {
  const [row] = await sql<TaskState[]>`
    select status, all_subtasks_completed, subtasks_total, subtasks_completed, subtasks_failed, subtasks_cancelled,
      cancelling, array(select kind from outbox where task_id = tasks.id order by id) as notices
    from tasks where id = ${task}`;
  return row!;
}

/** Waits until a task has ended, and reads it. */
export async function waitForEnd(sql: Pool, task: string, ms?: number): Promise<TaskState> {
  return await waitFor(`the end of task ${task}`, async () => {
    const state = await readTask(sql, task);
    return ["completed", "failed", "cancelled"].includes(state.status) ? state : undefined;
  }, ms);
}

async function insertUser(sql: Pool): Promise<{ id: string; email: string }> {
  const email = `${crypto.randomUUID()}@example.com`;
  const [row] = await sql<{ id: string }[]>`
    insert into users (email, hashed_password) values (${email}, 'x') returning id`;
  return { id: row!.id, email };
}

type Submit = (prompts: string[], seeds?: number[], priority?: number) => Promise<string>;

const submitBy =
  (sql: Pool, user: { id: string; email: string }): Submit => async (prompts, seeds = [1], priority = 1) => {
    const task = await submitTask({ sql, log: silentLog }, {
      user,
      taskName: "rig",
      settings: new Map(),
      priority,
      ...makeBody(prompts, seeds),
    });
    return task.id;
  };

/** A database with a user, for tests without workers. */
export interface Rows extends AsyncDisposable {
  sql: Pool;
  url: string;
  user: { id: string; email: string };
  submit: Submit;
}

/** Creates a database with a user. */
export async function openRows(): Promise<Rows> {
  const database = await createDatabase();
  const user = await insertUser(database.sql);
  return {
    sql: database.sql,
    url: database.url,
    user,
    submit: submitBy(database.sql, user),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** Starts a database, Redis, a REST gateway if requested, and a fake image API. */
export async function startRig(
  { transport = "tcp", delayMs = 0, env = {}, database: given, disturb }: RigOptions = {},
): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(given ?? await createDatabase());
  const redis = stack.use(await startRedis());
  const api = stack.use(await startImageApi({ delayMs, ...(disturb === undefined ? {} : { disturb }) }));
  const gateway = transport === "rest" ? stack.use(await startGateway(redis.url)) : undefined;
  const redisAddress: RedisAddress = gateway
    ? { restUrl: gateway.url, restToken: gateway.token }
    : { url: redis.url };
  const user = await insertUser(database.sql);
  const settings = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    IMAGE_API_URL: api.url,
    LUMINA_API_URL: api.luminaUrl,
    NIETA_XTOKEN: "fake",
    IMAGE_POLLING_INTERVAL: "0.02",
    IMAGE_MAX_POLLING_ATTEMPTS: "10000",
    LUMINA_POLLING_INTERVAL: "0.02",
    TASK_EXECUTOR_MIN_CONCURRENT: "50",
    ...(gateway ? { UPSTASH_REDIS_REST_URL: gateway.url, UPSTASH_REDIS_REST_TOKEN: gateway.token } : {}),
    ...env,
  };

  async function startWorker(options: Partial<WorkerOptions> = {}): Promise<RunningWorker> {
    const own = new AsyncDisposableStack();
    const sql = connect(database.url, { max: 6 });
    own.defer(() => sql.end({ timeout: 1 }));
    const connection = own.use(openRedis(redisAddress));
    const metrics = createMetrics();
    const stop = new AbortController();
    const ready = Promise.withResolvers<string>();
    const running = runWorker({
      sql,
      redis: connection,
      log: rigLog,
      metrics,
      config: parseConfig(settings, "worker"),
      onReady: ready.resolve,
      ...options,
    }, stop.signal);
    running.catch(ready.reject);
    const ended = running.finally(() => own.disposeAsync());
    stack.defer(async () => {
      stop.abort();
      await ended.catch(() => {});
    });
    const id = await ready.promise;
    return {
      id,
      metrics,
      ended,
      async stop() {
        stop.abort();
        await ended;
      },
    };
  }

  return {
    sql: database.sql,
    url: database.url,
    redis,
    redisAddress,
    api,
    env: settings,
    user,
    startWorker,
    ...(gateway ? { gateway } : {}),
    submit: submitBy(database.sql, user),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
