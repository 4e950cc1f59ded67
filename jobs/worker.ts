/** A worker: pulls, draws, settles, and leads the fleet when nobody else does. */
import type { Config } from "../config.ts";
import type { Pool } from "../db/pg/connect.ts";
import { announceFed, countBacklog } from "../db/queue/dispatch.ts";
import { announceSettled, type Queue, queues as allQueues } from "../db/queue/subtasks.ts";
import { channels } from "../db/queue/tasks.ts";
import { insertQueueSlots } from "../db/queue/slots.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { openBackends } from "./image/backends.ts";
import { Bell, RedisHealth } from "../bell.ts";
import { Crew } from "./work/crew.ts";
import { Feed } from "./lead/feed.ts";
import { callHttp, type Http } from "../http.ts";
import { Leader } from "./lead/leader.ts";
import { Member } from "./work/member.ts";
import { sendNotices } from "./tell/notify.ts";
import { Puller } from "./work/pull.ts";
import type { RedisDoor } from "../redis/connect.ts";
import { readScaleRules } from "./slots/scaler.ts";
import { createWrites } from "./work/settle.ts";
import { Streams } from "../redis/stream.ts";
import { WebhookSender } from "./tell/webhooks.ts";

export interface WorkerOptions {
  sql: Pool;
  redis: RedisDoor;
  log: Log;
  metrics: Metrics;
  config: Config;
  /** All unless told. */
  queues?: Queue[];
  /** The most slots of each queue in this worker, instead of an equal share of the fleet's. */
  slots?: number;
  /** Ends when nothing is left to do. */
  once?: boolean;
  /** First part of every Redis key. */
  prefix?: string;
  http?: Http;
  /** A whole attempt is given up after this. */
  attemptMs?: number;
  random?: () => number;
  /** Told when it is ready. */
  onReady?: (worker: string) => void;
}

const attemptMs = 5 * 60_000;
/** For POSTs under way when it is told to stop: a job whose id is known can be taken over. */
const graceMs = 1_900;
const claimMs = 500;
/** The whole way out; what PostgreSQL did not take by then, others find by our silence. */
const stopMs = 2_800;
const takeOverIdleMs = 10_000;
const sweepEveryMs = {
  tcp: { entries: 5_000, consumers: 5_000 },
  rest: { entries: 60_000, consumers: 3_600_000 },
};
const sweepIdleMs = 60_000;

/** Everything of one worker, wired; nothing runs yet. */
function assemble(options: WorkerOptions, closing: AbortSignal) {
  const { sql, redis, log, metrics, config, queues = [...allQueues], http = callHttp } = options;
  const streams = new Streams(redis, options.prefix);
  const feedBell = new Bell();
  const health = new RedisHealth((away, cause) =>
    away
      ? log.warn("Redis is away: working from PostgreSQL", { cause: String(cause) })
      : log.info("Redis is back")
  );
  const backends = openBackends({ config, http, log });
  const crew: Crew = new Crew({
    queues,
    log,
    metrics,
    attempt: {
      log,
      metrics,
      backendOf: backends.of,
      attemptMs: options.attemptMs ?? attemptMs,
      writes: createWrites({ sql, log, signal: closing }),
      random: options.random ?? Math.random,
    },
    onEnd: () => {
      feedBell.ring();
      member.onEnd();
    },
  });
  const member: Member = new Member({
    sql,
    log,
    metrics,
    crew,
    queues,
    describeHealth: backends.describeHealth,
    ...(options.slots === undefined ? {} : { slotsMax: options.slots }),
  });
  const feed = new Feed({ sql, streams, health, queues: allQueues, mark: crypto.randomUUID() });
  const hungry = () => {
    feed.suspect();
    feedBell.ring();
  };
  const pullers = queues.map((queue) =>
    new Puller(queue, {
      sql,
      log,
      streams,
      health,
      crew,
      hungry,
      room: backends.room,
      pullers: queues.length,
      workerId: () => member.id,
      mayStart: () => member.mayStart,
      onDoubt: () => member.doubt(),
    })
  );
  const wakePullers = (queues: readonly Queue[] = allQueues) =>
    pullers.filter(({ queue }) => queues.includes(queue)).forEach(({ bell }) => bell.ring());
  const webhooks = new WebhookSender({ sql, log, hosts: config.WEBHOOK_HOSTS });
  const leader = new Leader({
    sql,
    log,
    metrics,
    feed,
    rules: readScaleRules(config),
    bell: feedBell,
    workerId: () => member.id,
    steadyMs: () => member.steadyMs,
    // Over TCP they wait in Redis itself.
    onFed: (fed) => streams.kind === "rest" && void announceFed(sql, fed).catch(() => wakePullers(fed)),
    tell: () => Promise.all([webhooks.kick(), sendNotices({ sql, log, http, urls: config.NOTIFY_URLS })]),
  });
  return { streams, health, crew, member, pullers, leader, feedBell, wakePullers };
}

type Parts = ReturnType<typeof assemble>;

/** Hears of submissions, ends and cancellations; what was missed while disconnected is looked for anew. */
async function listen(sql: Pool, { feedBell, wakePullers, crew, member, health }: Parts) {
  const wake = () => {
    feedBell.ring();
    if (health.away) wakePullers();
  };
  const heard = await Promise.all([
    sql.listen(channels.submitted, wake, () => {
      wake();
      wakePullers();
    }),
    sql.listen(channels.fed, (queues) => wakePullers(queues.split(",") as Queue[])),
    sql.listen(channels.settled, () => feedBell.ring()),
    sql.listen(channels.slots, () => member.nudge()),
    sql.listen(channels.cancelled, (task) => void crew.dropTask(task)),
  ]);
  return () => Promise.all(heard.map(({ unlisten }) => unlisten().catch(() => {})));
}

/**
 * Now and then: entries that somebody read and never claimed, and consumers that are gone. Over REST, where each look
 * costs: seldom, and only where something was read since.
 */
function startSweeps({ pullers, streams, health, leader }: Parts, queues: readonly Queue[]): () => void {
  const every = sweepEveryMs[streams.kind];
  let seen = 0;
  let sweptAt = performance.now();
  const sweep = async () => {
    const reads = pullers.reduce((all, puller) => all + puller.reads, 0);
    if (health.away || (streams.kind === "rest" && reads === seen)) return;
    seen = reads;
    for (const puller of pullers) await puller.takeOver(takeOverIdleMs);
    if (!leader.leads || performance.now() - sweptAt < every.consumers) return;
    sweptAt = performance.now();
    for (const queue of queues) await streams.sweepConsumers(queue, sweepIdleMs);
  };
  // What uses Redis next notices a failure and says so.
  const timer = setInterval(() => void sweep().catch(() => {}), every.entries);
  return () => clearInterval(timer);
}

async function isDone(sql: Pool, crew: Crew, queues: readonly Queue[]): Promise<boolean> {
  if (crew.size > 0) return false;
  for (const queue of queues) if (await countBacklog(sql, queue, 1) > 0) return false;
  return crew.size === 0;
}

async function waitForEnd(options: WorkerOptions, { crew }: Parts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if (options.once && await isDone(options.sql, crew, options.queues ?? allQueues).catch(() => false)) {
      return;
    }
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, options.once ? 50 : 60_000);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

/**
 * Works until `signal` is aborted: then nothing new is read, remote jobs are handed over by their ids, and it returns
 * within three seconds.
 *
 * @throws AppError redis_unreachable when Redis does not answer at the start; later on it works without
 */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const { sql, redis, log, config, queues = allQueues } = options;
  await redis.check();
  const closing = new AbortController();
  const parts = assemble(options, closing.signal);
  const { member, pullers, leader } = parts;
  const rules = readScaleRules(config);
  await insertQueueSlots(sql, allQueues.map((queue) => ({ queue, slots: rules[queue].slotsMin })));
  await member.join();
  const unlisten = await listen(sql, parts);
  const stopSweeps = startSweeps(parts, queues);
  log.info("worker started", { worker: member.id, queues: queues.join(","), redis: redis.kind });
  const leading = leader.run();
  const pulling = pullers.map((puller) => puller.run());
  options.onReady?.(member.id);
  await waitForEnd(options, parts, signal);
  if (options.once) await sendNotices({ sql, log, http: options.http ?? callHttp, urls: config.NOTIFY_URLS });
  log.info("worker stopping", { running: parts.crew.size });
  stopSweeps();
  leader.stop();
  for (const puller of pullers) puller.stop();
  await within(
    stopMs,
    (async () => {
      // A claim under way must be known before everything is handed over.
      await within(claimMs, Promise.allSettled(pulling));
      await member.leave(graceMs);
      closing.abort();
      await Promise.allSettled([leading, announceSettled(sql), unlisten()]);
    })(),
  );
  closing.abort();
  log.info("worker stopped");
}

/** Waits for work, but no longer than `ms`. @throws what the work throws within that time */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  work.catch(() => {});
  await Promise.race([work, late]);
  clearTimeout(timer);
}
