/** The harness of the queue bench: servers with fsync, databases, tasks, and a worker in this process. */
import { parseConfig } from "../../config.ts";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { type LocalRedis, startRedis } from "../../dev/servers/redis.ts";
import type { Http } from "../../http.ts";
import { openRedis, type RedisAddress } from "../../redis/connect.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { runWorker } from "../../jobs/worker.ts";
import { int, type Json, type JsonObject, parseJson } from "../../json.ts";
import { silentLog } from "../../log.ts";
import { createMetrics, type Metrics } from "../../metrics.ts";
import { createClient } from "redis";
import { migrateUp } from "../../migrate/schema/runner.ts";

/** The user who owns all tasks of a bench database. */
export interface User {
  id: string;
  email: string;
}

/** A migrated database with one user. */
export interface BenchDatabase extends AsyncDisposable {
  url: string;
  sql: Pool;
  user: User;
}

/** The servers of the bench. */
export interface Harness extends AsyncDisposable {
  redis: LocalRedis & { pid: number };
  /** Creates a new database, so that no run is affected by the rows of another. */
  createDatabase(): Promise<BenchDatabase>;
  /** Deletes all keys of Redis. */
  flushRedis(): Promise<void>;
  /** Returns the size of the stored data in Redis, without its own overhead. */
  countRedisBytes(): Promise<number>;
}

/** Resolves after `ms` milliseconds. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls `check` and returns its first truthy value. @throws Error that names `what` after `ms` milliseconds */
export async function waitUntil<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  { ms = 60_000, everyMs = 10 } = {},
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await sleep(everyMs);
  }
}

/** Starts servers with fsync. One database is migrated; all others are created from it. */
export async function startHarness(): Promise<Harness> {
  const stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  const postgres = stack.use(await startPostgres({ folder, keep: false }));
  const redis = stack.use(await startRedis());
  const admin = connect(postgres.url("postgres"), { max: 1 });
  stack.defer(() => admin.end({ timeout: 1 }));
  await admin`create database bench_template`;
  const template = connect(postgres.url("bench_template"), { max: 1 });
  await migrateUp(template);
  await template.end();
  const client = createClient({ url: redis.url, RESP: 2 });
  await client.connect();
  stack.defer(() => client.destroy());
  return {
    redis,
    flushRedis: async () => void await client.flushAll(),
    async countRedisBytes() {
      const info = await client.info("memory");
      return Number(/used_memory_dataset:(\d+)/.exec(info)![1]);
    },
    async createDatabase() {
      const name = `bench_${crypto.randomUUID().replaceAll("-", "")}`;
      await admin`create database ${admin(name)} template bench_template`;
      const url = postgres.url(name);
      const sql = connect(url, { max: 2, name: "contactsheet-bench" });
      const email = "bench@example.com";
      const [row] = await sql<{ id: string }[]>`
        insert into users (email, hashed_password) values (${email}, 'x') returning id`;
      return {
        url,
        sql,
        user: { id: row!.id, email },
        async [Symbol.asyncDispose]() {
          await sql.end({ timeout: 1 });
          await admin`drop database ${admin(name)} with (force)`;
        },
      };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const words =
  "masterpiece, best quality, a quiet harbour at dawn, long exposure, soft light, detailed background";

/** Returns a task with cells of realistic size: one prompt per axis, and an element. */
function makeSubmission(user: User, lengths: number[]) {
  const axis = (slot: number, length: number) => ({
    tag_id: String(slot),
    name: `axis${slot}`,
    values: Array.from({ length }, (_, i) => ({ id: `${slot}-${i}`, value: `${words} ${slot}-${i}` })),
  });
  const variable = (slot: number) => ({ type: "prompt", isVariable: true, name: `axis${slot}` });
  const element = { type: "element", value: "style", uuid: crypto.randomUUID(), header_img: "http://i/1" };
  const body = {
    tags: [
      ...lengths.map((_, slot) => ({ id: String(slot), ...variable(slot) })),
      { id: "e", weight: 0.8, ...element },
    ],
    variables: Object.fromEntries(lengths.map((length, slot) => [`v${slot}`, axis(slot, length)])),
  };
  const parsed = parseJson(JSON.stringify(body)) as JsonObject;
  return {
    user,
    taskName: "bench",
    settings: new Map([["concurrency", int(10)]]) as JsonObject,
    tags: parsed.get("tags") as Json[],
    variables: parsed.get("variables") as JsonObject,
  };
}

/** Submits a task as the API does. @param lengths numbers of levels of its axes @returns its id */
export async function submit({ sql, user }: BenchDatabase, lengths: number[]): Promise<string> {
  return (await submitTask({ sql, log: silentLog }, makeSubmission(user, lengths))).id;
}

/** Returns axis lengths for a task of at least `cells` cells, rounded up to hundreds. */
export const axisLengths = (cells: number): number[] => [Math.ceil(cells / 100), 10, 10];

/** Options of a worker in this process. */
export interface WorkerOptions {
  slots: number;
  http: Http;
  env?: Record<string, string>;
}

/** Runs a worker in this process until `work` settles. */
export async function withWorker<T>(
  database: BenchDatabase,
  address: RedisAddress,
  { slots, http, env = {} }: WorkerOptions,
  work: (metrics: Metrics) => Promise<T>,
): Promise<T> {
  const sql = connect(database.url, { max: 6 });
  await using redis = openRedis(address);
  const config = parseConfig(
    {
      DATABASE_URL: database.url,
      IMAGE_API_URL: "http://h",
      NIETA_XTOKEN: "t",
      TASK_EXECUTOR_MIN_CONCURRENT: String(slots),
      ...env,
    },
    "worker",
  );
  const stop = new AbortController();
  const ready = Promise.withResolvers<string>();
  const metrics = createMetrics();
  const deps = { sql, redis, log: silentLog, metrics, config };
  const running = runWorker({ ...deps, http, slots, onReady: ready.resolve }, stop.signal);
  running.catch(ready.reject);
  try {
    await ready.promise;
    return await work(metrics);
  } finally {
    stop.abort();
    await running.catch(() => {});
    await sql.end({ timeout: 1 });
  }
}

/** Reads the number of completed cells of a task and whether the task has completed. */
export async function readProgress(sql: Pool, task: string): Promise<{ done: number; ended: boolean }> {
  const [row] = await sql<{ done: number; ended: boolean }[]>`
    select subtasks_completed as done, status = 'completed' as ended from tasks where id = ${task}`;
  return row!;
}
