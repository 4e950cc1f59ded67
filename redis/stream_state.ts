/** The state of the streams, for the doctor. Dispatching does not use it. */
import type { Redis } from "@upstash/redis";
import type { Queue } from "../db/queue/subtasks.ts";
import type { RedisConnection } from "./connect.ts";
import { consumerGroup as group, readField, type Streams } from "./stream.ts";

/** Entries that a consumer has read and not acknowledged. */
export interface Unfinished {
  consumer: string;
  entries: string[];
}

export interface StreamState {
  queue: Queue;
  /** Redis' type of the key: `stream`, `none` when the key is missing; any other type is a fault. */
  type: string;
  length: number;
  hasGroup: boolean;
  unfinished: Unfinished[];
}

const entriesMax = 1_000;

type PendingEntry = [entry: string, consumer: string, ...unknown[]];

async function listUnfinished(redis: Redis, key: string, idleMs: number): Promise<Unfinished[]> {
  const options = { idleTime: idleMs };
  const raw = await redis.xpending(key, group, "-", "+", entriesMax, options) as unknown as PendingEntry[];
  const byConsumer = Map.groupBy(raw, ([, consumer]) => consumer);
  return [...byConsumer].map(([consumer, rows]) => ({ consumer, entries: rows.map(([entry]) => entry) }));
}

async function readOne(redis: Redis, key: string, queue: Queue, idleMs: number): Promise<StreamState> {
  const type = String(await redis.type(key));
  const empty: StreamState = { queue, type, length: 0, hasGroup: false, unfinished: [] };
  if (type !== "stream") return empty;
  const length = Number(await redis.xlen(key));
  const groups = await redis.xinfo(key, { type: "GROUPS" }) as (string | number)[][];
  const hasGroup = groups.some((fields) => String(readField(fields, "name")) === group);
  return { ...empty, length, hasGroup, unfinished: hasGroup ? await listUnfinished(redis, key, idleMs) : [] };
}

/**
 * Reads the state of each stream.
 *
 * @param idleMs minimum time since an entry was read for it to count as unfinished
 */
export async function readStreams(
  { redis }: RedisConnection,
  streams: Streams,
  queues: readonly Queue[],
  idleMs: number,
): Promise<StreamState[]> {
  return await Promise.all(queues.map((queue) => readOne(redis, streams.key(queue), queue, idleMs)));
}

/** Replaces a key of another type with an empty stream and its group. The feed fills it from the rows. */
export async function replaceKey(
  { redis }: RedisConnection,
  streams: Streams,
  queue: Queue,
): Promise<void> {
  await redis.del(streams.key(queue));
  await streams.ensureGroup(queue);
}

/** Returns Redis' `maxmemory-policy`, or undefined where Redis does not report it (Upstash). */
export async function readEvictionPolicy({ redis }: RedisConnection): Promise<string | undefined> {
  try {
    const info = String(await redis.exec<string>(["INFO", "memory"]));
    return info.match(/^maxmemory_policy:(\w[\w-]*)/m)?.[1];
  } catch {
    return undefined;
  }
}
