/** Faults of Redis: wiped and damaged streams, refused writes, restarts, failovers. */
import { readField } from "../../../redis/stream.ts";
import type { Fault, FaultParameters, Rig } from "../rig.ts";
import { pause } from "../servers.ts";
import { sendCommands } from "../nodes/redis.ts";

const queues = ["high", "standard", "lumina"];
const streamKey = (queue: string) => `{contactsheet}:stream:${queue}`;
const group = "workers";

/** Sends commands to the present Redis node. @param required whether to throw if Redis is down */
export const sendToRedis = (rig: Rig, commands: string[][], required = false): Promise<unknown[]> =>
  sendCommands(rig.redis.url, commands, required);

/** Wipes Redis. */
const flush = (rig: Rig) => sendToRedis(rig, [["FLUSHALL"]]);

/** Wipes Redis and adds one late entry in the same transaction, so that the stream exists without its entries. */
async function flushWithStray(rig: Rig): Promise<void> {
  const [entries] = await sendToRedis(rig, [["XRANGE", streamKey("standard"), "-", "+", "COUNT", "1"]]) as [
    [string, string[]][] | null,
  ];
  const fields = entries?.[0]?.[1] ?? ["refs", ""];
  await sendToRedis(rig, [["MULTI"], ["FLUSHALL"], ["XADD", streamKey("standard"), "*", ...fields], [
    "EXEC",
  ]]);
}

/** Kills Redis and starts it again, empty, after `downMs`. */
async function restartRedis(rig: Rig, downMs: number): Promise<void> {
  await rig.redis.kill();
  await pause(downMs);
  await rig.redis.startIfDown();
}

/** Deletes all streams. */
const deleteStreams = (rig: Rig) => sendToRedis(rig, queues.map((queue) => ["DEL", streamKey(queue)]));

/** Destroys the consumer groups of all streams. */
const destroyGroups = (rig: Rig) =>
  sendToRedis(rig, queues.map((queue) => ["XGROUP", "DESTROY", streamKey(queue), group]));

/** Replaces the streams by strings. Workers may delete the strings; the rig deletes the rest after `ms`. */
async function replaceStreamsByStrings(rig: Rig, ms: number): Promise<void> {
  await sendToRedis(rig, queues.map((queue) => ["SET", streamKey(queue), "not a stream"]));
  await pause(ms);
  for (const queue of queues) {
    const [type] = await sendToRedis(rig, [["TYPE", streamKey(queue)]]);
    if (type === "string") await sendToRedis(rig, [["DEL", streamKey(queue)]]);
  }
}

/** Adds every entry a second time, and adds entries for 60 cells in any state. */
async function duplicateEntries(rig: Rig): Promise<void> {
  for (const queue of queues) {
    const [entries] = await sendToRedis(rig, [["XRANGE", streamKey(queue), "-", "+"]]) as [
      [string, string[]][] | null,
    ];
    await sendToRedis(rig, (entries ?? []).map(([, fields]) => ["XADD", streamKey(queue), "*", ...fields]));
  }
  const cells = await rig.sql<{ ref: string; queue: string }[]>`
    select parent_task_id || '/' || id as ref, queue
    from subtasks
    order by random()
    limit 60`
    .catch(() => []);
  await sendToRedis(rig, cells.map(({ ref, queue }) => ["XADD", streamKey(queue), "*", "refs", ref]));
}

/** Deletes all consumers together with the entries that they have read. */
async function deleteConsumers(rig: Rig): Promise<void> {
  for (const queue of queues) {
    const [consumers] = await sendToRedis(rig, [["XINFO", "CONSUMERS", streamKey(queue), group]]) as [
      string[][] | null,
    ];
    const names = (consumers ?? []).map((fields) => String(readField(fields, "name")));
    await sendToRedis(rig, names.map((name) => ["XGROUP", "DELCONSUMER", streamKey(queue), group, name]));
  }
}

/** Removes all entries from all streams. */
const trimStreams = (rig: Rig) =>
  sendToRedis(rig, queues.map((queue) => ["XTRIM", streamKey(queue), "MAXLEN", "0"]));

/** Names of the keys that another program writes until Redis is full. */
const fillerKeys = Array.from({ length: 64 }, (_, i) => `filler:${i}`);

/**
 * Makes Redis reject writes for lack of memory for `ms`. Deletions still succeed. In half of the cases, keys of another
 * program fill it, so that each deletion makes room for a few entries.
 */
async function fillRedis(rig: Rig, { ms, variation }: FaultParameters): Promise<void> {
  await sendToRedis(rig, [["CONFIG", "SET", "maxmemory-policy", "noeviction"]]);
  if (variation < 0.5) await sendToRedis(rig, [["CONFIG", "SET", "maxmemory", "1"]]);
  else {
    const [info] = await sendToRedis(rig, [["INFO", "memory"]]);
    const used = Number(/^used_memory:(\d+)/m.exec(String(info))?.[1] ?? 0);
    await sendToRedis(rig, [["CONFIG", "SET", "maxmemory", String(used + 200_000)]]);
    await sendToRedis(rig, fillerKeys.map((key) => ["SET", key, "x".repeat(8_000)]));
  }
  await pause(ms);
  await sendToRedis(rig, [["CONFIG", "SET", "maxmemory", "0"], ["DEL", ...fillerKeys]]);
}

/** Takes the right to add entries from the user for `ms`. */
async function forbidEntries(rig: Rig, ms: number): Promise<void> {
  await sendToRedis(rig, [["ACL", "SETUSER", "default", "-xadd"]]);
  await pause(ms);
  await sendToRedis(rig, [["ACL", "SETUSER", "default", "+xadd"]]);
}

/** The faults of Redis. */
export const redisFaults = {
  flush: { about: "FLUSHALL", ms: [0, 0], weight: 3, inject: flush },
  flush_stray: {
    about: "FLUSHALL, followed by a late XADD",
    ms: [0, 0],
    weight: 2,
    inject: flushWithStray,
  },
  redis_restart: {
    about: "Redis is killed and restarts empty",
    ms: [100, 3_000],
    weight: 3,
    inject: (rig, { ms }) => restartRedis(rig, ms),
  },
  streams_deleted: { about: "streams are deleted", ms: [0, 0], weight: 1, inject: deleteStreams },
  groups_destroyed: {
    about: "consumer groups are destroyed",
    ms: [0, 0],
    weight: 2,
    inject: destroyGroups,
  },
  keys_spoilt: {
    about: "stream keys hold strings",
    ms: [300, 2_000],
    weight: 1,
    inject: (rig, { ms }) => replaceStreamsByStrings(rig, ms),
  },
  duplicates: { about: "entries are added twice", ms: [0, 0], weight: 4, inject: duplicateEntries },
  consumers_deleted: {
    about: "consumers are deleted with the entries they read",
    ms: [0, 0],
    weight: 1,
    inject: deleteConsumers,
  },
  streams_trimmed: { about: "all entries are trimmed", ms: [0, 0], weight: 1, inject: trimStreams },
  redis_full: {
    about: "Redis refuses writes: its memory is full, and it may not evict keys",
    ms: [3_000, 14_000],
    weight: 2,
    keepsWorking: true,
    inject: fillRedis,
  },
  redis_not_permitted: {
    about: "Redis refuses entries: its user may not add them",
    ms: [3_000, 14_000],
    weight: 1,
    keepsWorking: true,
    inject: (rig, { ms }) => forbidEntries(rig, ms),
  },
  redis_failover: {
    about:
      "Redis fails over: the old primary stays up as a replica with its connections, and the address moves",
    ms: [0, 12_000],
    weight: 2,
    keepsWorking: true,
    inject: ({ redis }, { ms, variation }) =>
      redis.failOver({ readOnlyMs: ms, answersReads: variation < 0.5 }),
  },
} satisfies Record<string, Fault>;
