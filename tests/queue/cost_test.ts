/** The cost of Redis: commands over REST, and memory with a long backlog. */
import assert from "node:assert/strict";
import type { SubtaskRef } from "../../db/queue/subtasks.ts";
import { RedisHealth } from "../../redis/health.ts";
import { Feed } from "../../jobs/lead/feed.ts";
import { openRedis } from "../../redis/connect.ts";
import { Streams } from "../../redis/stream.ts";
import { startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const names = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`);

Deno.test("a subtask costs less than one command over REST while there is work", async () => {
  await using rig = await startRig({ transport: "rest", delayMs: 20 });
  await rig.startWorker({ slots: 20 });
  const warm = await rig.submit(names(20));
  await waitForEnd(rig.sql, warm);
  const before = rig.gateway!.commands;
  const task = await rig.submit(names(40), Array.from({ length: 10 }, (_, i) => i + 1));
  await waitForEnd(rig.sql, task);
  const each = (rig.gateway!.commands - before) / 400;
  // A slow machine needs more commands. `deno task bench queue --only cost` measures the figure of an idle one.
  assert.ok(each < 1, `${each.toFixed(3)} commands per subtask`);
  assert.equal(rig.api.posts.length, 420);
});

Deno.test("workers over REST are notified of fed cells after a long idle time", async () => {
  await using rig = await startRig({ transport: "rest" });
  const one = await rig.startWorker({ slots: 3 });
  const two = await rig.startWorker({ slots: 3 });
  // Long enough for polls to be seconds apart.
  const idleSince = performance.now();
  await waitFor("idleness", () => performance.now() - idleSince > 3_500);
  const before = rig.gateway!.commands;
  const task = await rig.submit(["p"]);
  await waitForEnd(rig.sql, task);
  assert.ok(rig.gateway!.commands - before < 30);
  await one.stop();
  await two.stop();
});

for (const transport of ["tcp", "rest"] as const) {
  Deno.test(`an unread stream holds at most two windows (${transport})`, async () => {
    await using rig = await startRig({ transport });
    await rig.submit(names(60), Array.from({ length: 50 }, (_, i) => i + 1));
    await using connection = openRedis(rig.redisAddress);
    const streams = new Streams(connection);
    const health = new RedisHealth(() => {});
    const mark = crypto.randomUUID();
    for (let leaders = 0; leaders < 6; leaders++) {
      const feed = new Feed({ sql: rig.sql, streams, health, queues: ["standard"], mark });
      for (let rounds = 0; rounds < 3; rounds++) await feed.runOnce(new Map([["standard", 20]]));
    }
    const entries = (await streams.readState(["standard"])).lengths.get("standard")!;
    assert.ok(entries >= 1 && entries <= 80 + 40, `${entries} entries`);
    const bytes = Number(await connection.redis.exec<number>(["MEMORY", "USAGE", streams.key("standard")]));
    assert.ok(bytes < 100_000, `${bytes} bytes`);
  });
}

Deno.test("cells with several entries are drawn once", async () => {
  await using rig = await startRig({ delayMs: 5 });
  const task = await rig.submit(names(60));
  await using connection = openRedis(rig.redisAddress);
  const streams = new Streams(connection);
  await streams.markEpoch(["standard"], "m");
  const refs = await rig.sql<SubtaskRef[]>`
    select parent_task_id as task_id, id from subtasks where parent_task_id = ${task}`;
  for (let times = 0; times < 3; times++) await streams.add("standard", [...refs], 7);
  await rig.startWorker({ slots: 5 });
  await waitForEnd(rig.sql, task);
  assert.equal(rig.api.posts.length, 60);
});
