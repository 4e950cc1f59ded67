/** The relations between the times of the queue that db/queue/times.ts states. */
import assert from "node:assert/strict";
import * as times from "../../db/queue/times.ts";

const relations: [string, boolean][] = [
  [
    "two heartbeats fit into the time in which a worker may start",
    2 * times.heartbeatMs <= times.startWithinMs,
  ],
  ["a check comes with a heartbeat", times.checkMs % times.heartbeatMs === 0],
  ["a claim leaves time for its POST", times.startWithinMs < times.postHeartbeatMsMax],
  [
    "a worker sends no POST when its slots may be in use elsewhere",
    times.postHeartbeatMsMax < times.takeOverAfterMs,
  ],
  ["saved jobs are taken over before a worker counts as dead", times.takeOverAfterMs < times.deadAfterMs],
  ["a POST is sent before another worker may take over", times.postWithinMs < times.deadAfterMs],
  [
    "a POST has three seconds for its way, its answer and the write of its id",
    times.postHeartbeatMsMax + 3_000 <= times.deadAfterMs,
  ],
  ["no claim is waited for beyond the time of its POST", times.claimAnswerMsMax <= times.postWithinMs],
  ["two renewals fit into the leader lease", 2 * times.renewMs < times.leaderLeaseMs],
  [
    "a dead leader is replaced before its jobs are taken over",
    times.leaderLeaseMs + times.dutiesMs < times.takeOverAfterMs,
  ],
  ["the leader leaves an attempt to its worker for its whole length", times.attemptMsMax < times.overdueMs],
  ["both waits of a shutdown leave time for its writes", times.stopClaimMs + times.stopPostMs < times.stopMs],
  ["a shutdown ends within the promised time", times.stopMs < times.stopMsPromised],
  [
    "a message is taken over only after its claim must have ended",
    times.claimAnswerMsMax < times.messageIdleMs,
  ],
  [
    "the doctor leaves the workers an idle time and a sweep to take a message over",
    times.messageIdleMs + times.messageSweepMs <= times.messageLostMs,
  ],
  ["a puller drops its stock no later than the feed writes it again", times.stockMsMax <= times.refeedMs],
];

for (const [relation, holds] of relations) Deno.test(`times: ${relation}`, () => assert.ok(holds));
