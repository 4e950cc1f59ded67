/**
 * A worker: claims and draws subtasks, writes their results, and leads the fleet when no other worker does.
 */
import type { Pool } from "../db/pg/connect.ts";
import { countBacklog } from "../db/queue/dispatch.ts";
import { insertQueueSlots } from "../db/queue/slots.ts";
import { announceSettled, type Queue, queues as allQueues } from "../db/queue/subtasks.ts";
import { channels } from "../db/queue/tasks.ts";
import { messageIdleMs, messageSweepMs, stopClaimMs, stopMs, stopPostMs } from "../db/queue/times.ts";
import { callHttp } from "../http.ts";
import { readScaleRules } from "./slots/scale_rules.ts";
import { sendNotices } from "./tell/notify.ts";
import type { Crew } from "./work/crew.ts";
import { createParts, type WorkerOptions, type WorkerParts } from "./worker_parts.ts";

const sweepEveryMs = {
  tcp: { messages: messageSweepMs, consumers: 5_000 },
  rest: { messages: 60_000, consumers: 3_600_000 },
};
/** Idle time from which a consumer without pending messages is removed. */
const consumerIdleMs = 60_000;

/**
 * Listens to PostgreSQL's notifications. After a reconnection, wakes the feed and the pullers, because
 * notifications may be missing.
 *
 * @returns a function that ends listening
 */
async function listen(sql: Pool, { feedBell, wakePullers, crew, member, health, leader }: WorkerParts) {
  const wake = () => {
    leader.wakeFeed();
    if (health.isAway) wakePullers();
  };
  const listening = await Promise.all([
    sql.listen(channels.submitted, wake, () => {
      wake();
      wakePullers();
    }),
    sql.listen(channels.fed, (queues) => wakePullers(queues.split(",") as Queue[])),
    sql.listen(channels.feed, (failure) => {
      if (leader.isLeading) return;
      if (failure === "") health.fed();
      else health.feedFailed(failure);
    }),
    sql.listen(channels.settled, () => feedBell.ring()),
    sql.listen(channels.slots, () => member.beatSoon()),
    sql.listen(channels.cancelled, (task) => void crew.dropTask(task)),
  ]);
  return () => Promise.all(listening.map(({ unlisten }) => unlisten().catch(() => {})));
}

/**
 * Periodically takes over messages that were read and not claimed, and removes idle consumers. Over REST,
 * where each call is charged, it does so seldom and only after reads.
 *
 * @returns a function that ends the sweeps
 */
function startSweeps(
  { pullers, streams, health, leader }: WorkerParts,
  queues: readonly Queue[],
): () => void {
  const every = sweepEveryMs[streams.kind];
  let seen = 0;
  let sweptAt = performance.now();
  const sweep = async () => {
    const reads = pullers.reduce((all, puller) => all + puller.reads, 0);
    if (health.isAway || (streams.kind === "rest" && reads === seen)) return;
    seen = reads;
    for (const puller of pullers) await puller.takeOver(messageIdleMs);
    if (!leader.isLeading || performance.now() - sweptAt < every.consumers) return;
    sweptAt = performance.now();
    for (const queue of queues) await streams.sweepConsumers(queue, consumerIdleMs);
  };
  // A failure is reported by the next use of Redis.
  const timer = setInterval(() => void sweep().catch(() => {}), every.messages);
  return () => clearInterval(timer);
}

async function isDone(sql: Pool, crew: Crew, queues: readonly Queue[]): Promise<boolean> {
  if (crew.size > 0) return false;
  for (const queue of queues) if (await countBacklog(sql, queue, 1) > 0) return false;
  return crew.size === 0;
}

async function waitForEnd(options: WorkerOptions, { crew }: WorkerParts, signal: AbortSignal): Promise<void> {
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
 * Works until `signal` is aborted. Then starts nothing more, hands remote jobs over, and returns within three
 * seconds.
 *
 * @throws AppError redis_unreachable when Redis does not answer at the start; later the worker works without
 *   Redis
 */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const { sql, redis, log, config, queues = allQueues } = options;
  await redis.check();
  const closing = new AbortController();
  const parts = createParts(options, closing.signal);
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
      // The hand-over includes the subtasks of claims under way, so it waits for their answers.
      await within(stopClaimMs, Promise.allSettled(pulling));
      await member.leave(stopPostMs);
      closing.abort();
      await Promise.allSettled([leading, announceSettled(sql), unlisten()]);
    })(),
  );
  closing.abort();
  log.info("worker stopped");
}

/**
 * Waits for `work`, at most `ms`.
 *
 * @throws the error of `work` if it fails within that time
 */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  work.catch(() => {});
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
