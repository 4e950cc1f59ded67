/** What Redis holds of the queue, for the doctor: nothing here is part of dispatching. */
import type { Queue } from "../db/queue/subtasks.ts";
import type { RedisDoor } from "./connect.ts";
import type { Streams } from "./stream.ts";

const group = "workers";

/** Entries that one consumer has read and neither acknowledged nor dropped. */
export interface Unfinished {
  consumer: string;
  entries: string[];
}

export interface StreamState {
  queue: Queue;
  /** `none` where there is no such key; anything but `stream` is a fault. */
  type: string;
  length: number;
  hasGroup: boolean;
  unfinished: Unfinished[];
}

const entriesMax = 1_000;

async function listUnfinished(door: RedisDoor, key: string, idleMs: number): Promise<Unfinished[]> {
  const raw = await door.redis.xpending(key, group, "-", "+", entriesMax, {
    idleTime: idleMs,
  }) as unknown as [
    entry: string,
    consumer: string,
    ...unknown[],
  ][];
  const by = Map.groupBy(raw, ([, consumer]) => consumer);
  return [...by].map(([consumer, rows]) => ({ consumer, entries: rows.map(([entry]) => entry) }));
}

async function readOne(door: RedisDoor, key: string, queue: Queue, idleMs: number): Promise<StreamState> {
  const type = String(await door.redis.type(key));
  const empty: StreamState = { queue, type, length: 0, hasGroup: false, unfinished: [] };
  if (type !== "stream") return empty;
  const length = Number(await door.redis.xlen(key));
  const groups = await door.redis.xinfo(key, { type: "GROUPS" }) as (string | number)[][];
  const hasGroup = groups.some((fields) => String(fields[fields.indexOf("name") + 1]) === group);
  return { ...empty, length, hasGroup, unfinished: hasGroup ? await listUnfinished(door, key, idleMs) : [] };
}

/** Each stream as it is. @param idleMs only entries that were read so long ago count as unfinished */
export async function readStreams(
  door: RedisDoor,
  streams: Streams,
  queues: readonly Queue[],
  idleMs: number,
): Promise<StreamState[]> {
  return await Promise.all(queues.map((queue) => readOne(door, streams.key(queue), queue, idleMs)));
}

/** Removes a key that is no stream, and makes an empty one with its group: the feed fills it from the rows. */
export async function replaceKey(door: RedisDoor, streams: Streams, queue: Queue): Promise<void> {
  await door.redis.del(streams.key(queue));
  await streams.ensureGroup(queue);
}

/** What Redis does when its memory is full; undefined where it does not tell (Upstash). */
export async function readEviction(door: RedisDoor): Promise<string | undefined> {
  try {
    const info = String(await door.redis.exec<string>(["INFO", "memory"]));
    return info.match(/^maxmemory_policy:(\w[\w-]*)/m)?.[1];
  } catch {
    return undefined;
  }
}
