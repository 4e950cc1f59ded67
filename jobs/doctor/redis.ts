/**
 * The doctor's checks of Redis. Removing anything there is safe, because the feed writes it again from the
 * rows.
 */
import {
  listQueueLoads,
  listWorkerIds,
  type QueueLoad,
  readLeadership,
} from "../../db/queue/doctor_fleet.ts";
import { queues } from "../../db/queue/subtasks.ts";
import { AppError } from "../../errors.ts";
import { type DescribedFault, describeFault } from "../../redis/refusal.ts";
import type { Check, DoctorDeps, Finding } from "./check.ts";
import { deadAfterMs, messageLostMs } from "../../db/queue/times.ts";
import { Streams } from "../../redis/stream.ts";
import { readEvictionPolicy, readStreams, replaceKey, type StreamState } from "../../redis/stream_state.ts";
import { counted, inflect } from "../../phrases.ts";

/** Maximum length of a stream. A window is far shorter: twice the slots of its queue. */
const lengthMax = 50_000;

function judgeStream(
  { redis, prefix }: DoctorDeps,
  { queue, type, length, hasGroup, unfinished }: StreamState,
  load: QueueLoad | undefined,
  { workers, accepts }: { workers: Set<string>; accepts: boolean },
): Finding[] {
  const streams = new Streams(redis, prefix);
  if (type !== "stream" && type !== "none") {
    return [{
      about: `${queue} type`,
      fault: true,
      text: `key '${streams.key(queue)}' is a ${type} instead of a stream: another program writes it`,
      advice: "it is replaced with an empty stream, which the leader fills from the rows",
      fix: () => replaceKey(redis, streams, queue),
    }];
  }
  const found: Finding[] = [];
  // Where Redis refuses writes, nobody can create a group.
  if (accepts && !hasGroup && (load?.workers ?? 0) > 0) {
    found.push({
      about: `${queue} group`,
      fault: true,
      text: `stream '${streams.key(queue)}' has no consumer group, and its workers do not create one`,
      advice:
        "the group is created; if it goes missing again, the workers use another Redis: compare REDIS_URL",
      fix: () => streams.ensureGroup(queue),
    });
  }
  for (const { consumer, entries } of unfinished) {
    if (workers.has(consumer)) continue;
    found.push({
      about: `${queue} ${consumer}`,
      fault: true,
      text: `${counted(entries.length, "entry", "entries")} of queue ${queue} ${
        inflect(entries.length, "was", "were")
      } read by ${consumer}, which is gone, and not claimed`,
      advice: "the entries are dropped; the leader feeds their cells again",
      fix: () => streams.drop(queue, entries),
    });
  }
  if (length > lengthMax) {
    found.push({
      about: `${queue} length`,
      fault: false,
      text: `the stream of queue ${queue} has ${counted(length, "entry", "entries")}, far more than a window`,
      advice: "workers drop entries of cells that are no longer pending when they read them",
    });
  }
  return found;
}

/** Returns why the leader cannot add entries. */
const findRefusal = (streams: Streams): Promise<DescribedFault | undefined> =>
  streams.probe().then(() => undefined, describeFault);

const streamsCheck: Check = {
  name: "streams",
  async examine(deps) {
    const { sql, redis, prefix } = deps;
    const streams = new Streams(redis, prefix);
    let states: StreamState[];
    try {
      await redis.check();
      states = await readStreams(redis, streams, queues, messageLostMs);
    } catch (error) {
      const said = error instanceof AppError ? error.message : `Redis ${describeFault(error).text}`;
      return [{
        about: "redis",
        fault: true,
        text: `the streams cannot be read: ${said}`,
        advice: "meanwhile the workers read from PostgreSQL, a little slower",
      }];
    }
    const loads = await listQueueLoads(sql, queues, deadAfterMs);
    const fleet = {
      workers: await listWorkerIds(sql),
      accepts: await findRefusal(streams) === undefined,
    };
    return states.flatMap((state) =>
      judgeStream(deps, state, loads.find(({ queue }) => queue === state.queue), fleet)
    );
  },
};

const writes: Check = {
  name: "writes",
  async examine({ redis, prefix }) {
    const refusal = await findRefusal(new Streams(redis, prefix));
    // The check of the streams reports a Redis that does not answer.
    if (!refusal || refusal.fault === "unreachable") return [];
    return [{
      about: refusal.fault,
      fault: true,
      text: `the leader cannot add entries: Redis ${refusal.text}`,
      advice: `${refusal.advice}; meanwhile the workers read from PostgreSQL, a little slower`,
    }];
  },
};

const epoch: Check = {
  name: "epoch",
  async examine({ sql, redis, prefix }) {
    const streams = new Streams(redis, prefix);
    const answer = await streams.readState([]).catch(() => undefined);
    // Where Redis refuses writes, the leader cannot set the key.
    if (!answer || answer.epoch || await findRefusal(streams)) return [];
    const { leads } = await readLeadership(sql);
    const hasWork = (await listQueueLoads(sql, queues, deadAfterMs)).some(({ backlog, room }) =>
      backlog > 0 && room > 0
    );
    return [{
      about: "mark",
      fault: leads && hasWork,
      text: "Redis has no epoch key: it was wiped, or was never used",
      advice: leads && hasWork
        ? "the leader sets the key and fills the streams; if it does not, it uses another Redis"
        : "the leader sets the key and fills the streams when there is work",
    }];
  },
};

const eviction: Check = {
  name: "eviction",
  async examine({ redis }) {
    const policy = await readEvictionPolicy(redis);
    if (policy === undefined || policy === "noeviction") return [];
    return [{
      about: "policy",
      fault: false,
      text: `Redis may evict keys when its memory is full (maxmemory-policy ${policy})`,
      advice: "set maxmemory-policy to noeviction; the leader feeds evicted entries again",
    }];
  },
};

export const redisChecks: Check[] = [streamsCheck, writes, epoch, eviction];
