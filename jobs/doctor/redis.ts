/** The doctor's checks of Redis, which only says «look here»: whatever is removed there is fed again from the rows. */
import {
  listQueueLoads,
  listWorkerIds,
  type QueueLoad,
  readLeadership,
} from "../../db/queue/doctor_fleet.ts";
import { queues } from "../../db/queue/subtasks.ts";
import type { Check, DoctorDeps, Finding } from "./check.ts";
import { deadAfterMs } from "../lead/leader.ts";
import { Streams } from "../../redis/stream.ts";
import { readEviction, readStreams, replaceKey, type StreamState } from "../../redis/stream_state.ts";

/** Workers take over by themselves what was read and not claimed for 10 s. */
const unfinishedMs = 15_000;
/** Far above any window: twice the slots of a queue. */
const lengthMax = 50_000;

function judgeStream(
  { redis, prefix }: DoctorDeps,
  { queue, type, length, hasGroup, unfinished }: StreamState,
  load: QueueLoad | undefined,
  workers: Set<string>,
): Finding[] {
  const streams = new Streams(redis, prefix);
  if (type !== "stream" && type !== "none") {
    const text = `the key '${streams.key(queue)}' is a ${type}, no stream: somebody else writes there`;
    const advice = "it is replaced by an empty stream, which the leader fills from the rows";
    return [{
      about: `${queue} type`,
      fault: true,
      text,
      advice,
      fix: () => replaceKey(redis, streams, queue),
    }];
  }
  const found: Finding[] = [];
  if (!hasGroup && (load?.workers ?? 0) > 0) {
    found.push({
      about: `${queue} group`,
      fault: true,
      text: `the stream '${streams.key(queue)}' has no group, and its workers do not make one`,
      advice: "it is made; if it goes missing again, the workers use another Redis: compare REDIS_URL",
      fix: () => streams.ensureGroup(queue),
    });
  }
  for (const { consumer, entries } of unfinished) {
    if (workers.has(consumer)) continue;
    found.push({
      about: `${queue} ${consumer}`,
      fault: true,
      text:
        `${entries.length} entries of the queue ${queue} were read by ${consumer}, which is gone, and never claimed`,
      advice: "they are dropped: their cells are fed again",
      fix: () => streams.drop(queue, entries),
    });
  }
  if (length > lengthMax) {
    const text = `the stream of the queue ${queue} has ${length} entries, far more than a window`;
    found.push({
      about: `${queue} length`,
      fault: false,
      text,
      advice: "what is not pending any more is dropped when read",
    });
  }
  return found;
}

const streamsCheck: Check = {
  name: "streams",
  async examine(deps) {
    const { sql, redis, prefix } = deps;
    try {
      await redis.check();
    } catch (error) {
      const text = `Redis does not answer: ${error instanceof Error ? error.message : String(error)}`;
      return [{
        about: "redis",
        fault: true,
        text,
        advice: "workers go on from PostgreSQL meanwhile, a little slower",
      }];
    }
    const loads = await listQueueLoads(sql, queues, deadAfterMs);
    const states = await readStreams(redis, new Streams(redis, prefix), queues, unfinishedMs);
    const workers = await listWorkerIds(sql);
    return states.flatMap((state) =>
      judgeStream(deps, state, loads.find(({ queue }) => queue === state.queue), workers)
    );
  },
};

const epoch: Check = {
  name: "epoch",
  async examine({ sql, redis, prefix }) {
    const answer = await new Streams(redis, prefix).look([]).catch(() => undefined);
    if (!answer || answer.epoch) return [];
    const { leads } = await readLeadership(sql);
    const waits = (await listQueueLoads(sql, queues, deadAfterMs)).some(({ backlog, room }) =>
      backlog > 0 && room > 0
    );
    const text = "Redis has no mark of ours: it was wiped, or was never used";
    return [
      leads && waits
        ? {
          about: "mark",
          fault: true,
          text,
          advice: "the leader marks and fills it; if it does not, it uses another Redis",
        }
        : { about: "mark", fault: false, text, advice: "the leader marks and fills it when there is work" },
    ];
  },
};

const eviction: Check = {
  name: "eviction",
  async examine({ redis }) {
    const policy = await readEviction(redis);
    if (policy === undefined || policy === "noeviction") return [];
    const text = `Redis may throw keys away when its memory is full (maxmemory-policy ${policy})`;
    return [{
      about: "policy",
      fault: false,
      text,
      advice: "set noeviction; what is lost meanwhile is fed again",
    }];
  },
};

export const redisChecks: Check[] = [streamsCheck, epoch, eviction];
