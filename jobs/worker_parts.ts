/** Creates the parts of a worker and connects them. */
import type { Config } from "../config.ts";
import type { Pool } from "../db/pg/connect.ts";
import { announceFed, announceFeed } from "../db/queue/dispatch.ts";
import { type Queue, queues as allQueues } from "../db/queue/subtasks.ts";
import { attemptMsMax } from "../db/queue/times.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { type Backends, openBackends } from "./image/backends.ts";
import { Bell } from "../bell.ts";
import { Crew } from "./work/crew.ts";
import { Feed } from "./lead/feed.ts";
import { callHttp, type Http } from "../http.ts";
import { Leader } from "./lead/leader.ts";
import { Member } from "./work/member.ts";
import { sendNotices } from "./tell/notify.ts";
import { Puller } from "./work/pull.ts";
import type { RedisConnection } from "../redis/connect.ts";
import { createFailureGauge, RedisHealth } from "../redis/health.ts";
import { readScaleRules } from "./slots/scale_rules.ts";
import { createWrites } from "./work/settle.ts";
import { Streams } from "../redis/stream.ts";
import { WebhookSender } from "./tell/webhooks.ts";

export interface WorkerOptions {
  sql: Pool;
  redis: RedisConnection;
  log: Log;
  metrics: Metrics;
  config: Config;
  /** Served queues; all by default. */
  queues?: Queue[];
  /** Maximum slots of each queue in this worker, instead of an equal part of the fleet's. */
  slots?: number;
  /** Whether the worker ends when no pending cells are left. */
  once?: boolean;
  /** Prefix of all Redis keys. */
  prefix?: string;
  http?: Http;
  /** Maximum length of an attempt. */
  attemptMs?: number;
  random?: () => number;
  /** Bounds of the wait between two polls of a stream over REST. */
  pollMs?: { min: number; max: number };
  /** Called with the worker's id when it is ready. */
  onReady?: (worker: string) => void;
}

/** The parts of a worker. */
export interface WorkerParts {
  streams: Streams;
  health: RedisHealth;
  crew: Crew;
  member: Member;
  pullers: Puller[];
  leader: Leader;
  /** Rung when there may be subtasks to feed. */
  feedBell: Bell;
  wakePullers: (queues?: readonly Queue[]) => void;
}

/** @param onAway called when Redis can no longer be used */
function createHealth(log: Log, metrics: Metrics, onAway: () => void): RedisHealth {
  const showFailure = createFailureGauge(metrics);
  return new RedisHealth((use, cause) => {
    showFailure(use, cause?.fault);
    if (cause === undefined) return log.info("Redis works again", { use });
    log.warn("Redis cannot be used: working from PostgreSQL", { use, cause: cause.fault, why: cause.text });
    onAway();
  });
}

/** Interval at which a failing feed is reported again. */
const feedReportMs = 1_000;

/**
 * Returns a function that reports to all workers whether the feed works: changes at once, a failure each
 * second.
 */
function createFeedReport(sql: Pool, health: RedisHealth): () => void {
  let reported = "";
  let reportedAt = -Infinity;
  return () => {
    const failure = health.feedCause?.said ?? "";
    const isRepeated = failure !== "" && performance.now() - reportedAt > feedReportMs;
    if (failure === reported && !isRepeated) return;
    reported = failure;
    reportedAt = performance.now();
    announceFeed(sql, failure).catch(() => reported = "");
  };
}

/** Creates the crew and the member, which know each other. */
function createCrew(
  { sql, log, metrics, queues = [...allQueues], slots, ...options }: WorkerOptions,
  backends: Backends,
  feedBell: Bell,
  closing: AbortSignal,
): { crew: Crew; member: Member } {
  const crew: Crew = new Crew({
    queues,
    log,
    metrics,
    attempt: {
      log,
      metrics,
      backendOf: backends.of,
      mayPost: () => member.mayPost,
      attemptMs: options.attemptMs ?? attemptMsMax,
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
    ...(slots === undefined ? {} : { slotsMax: slots }),
  });
  return { crew, member };
}

function createPullers(
  { sql, log, queues = [...allQueues], pollMs }: WorkerOptions,
  parts: Pick<WorkerParts, "streams" | "health" | "crew" | "member">,
  backends: Backends,
  onGroupMissing: () => void,
): Puller[] {
  const { member, ...rest } = parts;
  return queues.map((queue) =>
    new Puller(queue, {
      ...rest,
      sql,
      log,
      onGroupMissing,
      attemptsMax: backends.attemptsMax,
      ...(pollMs === undefined ? {} : { pollMs }),
      pullers: queues.length,
      workerId: () => member.id,
      mayStart: () => member.mayStart,
      onClaimFailed: () => member.recheckLeases(),
    })
  );
}

function createLeader(
  { sql, log, metrics, config, http = callHttp }: WorkerOptions,
  { streams, health, member, feedBell, wakePullers }: Pick<
    WorkerParts,
    "streams" | "health" | "member" | "feedBell" | "wakePullers"
  >,
  feed: Feed,
): Leader {
  const webhooks = new WebhookSender({ sql, log, hosts: config.WEBHOOK_HOSTS });
  return new Leader({
    sql,
    log,
    metrics,
    feed,
    rules: readScaleRules(config),
    bell: feedBell,
    workerId: () => member.id,
    steadyMs: () => member.steadyMs,
    // Over TCP, pullers wait in Redis itself. Over REST, PostgreSQL wakes them.
    onFed: (fed) => streams.kind === "rest" && void announceFed(sql, fed).catch(() => wakePullers(fed)),
    onFeedRun: createFeedReport(sql, health),
    sendNotices: () =>
      Promise.all([webhooks.startDue(), sendNotices({ sql, log, http, urls: config.NOTIFY_URLS })]),
  });
}

/** Creates the parts of a worker and connects them. Starts nothing. */
export function createParts(options: WorkerOptions, closing: AbortSignal): WorkerParts {
  const { sql, redis, log, metrics, config, http = callHttp } = options;
  const streams = new Streams(redis, options.prefix);
  const health: RedisHealth = createHealth(log, metrics, () => wakePullers());
  const backends = openBackends({ config, http, log });
  const feedBell = new Bell();
  const feed = new Feed({ sql, streams, health, queues: allQueues, mark: crypto.randomUUID() });
  const { crew, member } = createCrew(options, backends, feedBell, closing);
  const pullers = createPullers(options, { streams, health, crew, member }, backends, () => {
    feed.inspectNext();
    feedBell.ring();
  });
  const wakePullers = (queues: readonly Queue[] = allQueues) =>
    pullers.filter(({ queue }) => queues.includes(queue)).forEach(({ bell }) => bell.ring());
  const leader = createLeader(options, { streams, health, member, feedBell, wakePullers }, feed);
  return { streams, health, crew, member, pullers, leader, feedBell, wakePullers };
}
