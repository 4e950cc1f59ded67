/** The pace of the feed with readers that empty the stream at once, and without readers. */
import assert from "node:assert/strict";
import { claimSubtasks } from "../../db/queue/subtasks.ts";
import { insertWorker } from "../../db/queue/workers.ts";
import { RedisHealth } from "../../redis/health.ts";
import { Feed } from "../../jobs/lead/feed.ts";
import { openRedis } from "../../redis/connect.ts";
import { Streams } from "../../redis/stream.ts";
import { wait } from "../../wait.ts";
import { type Rig, startRig } from "../support/queue_rig.ts";

const names = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`);
const slots = new Map([["standard" as const, 5]]);

function openFeed(rig: Rig) {
  const connection = openRedis(rig.redisAddress);
  const streams = new Streams(connection);
  const health = new RedisHealth(() => {});
  const feed = new Feed({ sql: rig.sql, streams, health, queues: ["standard"], mark: "m" });
  return { streams, feed, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
}

/** Reads all entries of the stream, claims their subtasks for worker `a`, and drops the entries. */
async function claimWindow({ sql }: Rig, streams: Streams): Promise<void> {
  const messages = await streams.read("standard", { consumer: "a", count: 100 });
  assert.ok(messages !== "no_group");
  const refs = messages.flatMap((message) => message.refs);
  assert.equal((await claimSubtasks(sql, "a", refs)).length, 10);
  await streams.drop("standard", messages.map(({ entry }) => entry));
}

for (const transport of ["tcp", "rest"] as const) {
  Deno.test(`every run of the feed adds entries while readers keep the stream empty (${transport})`, async () => {
    await using rig = await startRig({ transport });
    await insertWorker(rig.sql, { id: "a", host: "h", pid: 1, queues: ["standard"] });
    await rig.submit(names(120));
    await using opened = openFeed(rig);
    const { streams, feed } = opened;
    for (let round = 0; round < 12; round++) {
      assert.deepEqual(await feed.runOnce(slots), ["standard"], `round ${round}`);
      await claimWindow(rig, streams);
    }
    assert.deepEqual(await feed.runOnce(slots), []);
  });
}

Deno.test("the feed sends no command while the stream stays full", async () => {
  await using rig = await startRig({ transport: "rest" });
  await rig.submit(names(120));
  await using opened = openFeed(rig);
  const { streams, feed } = opened;
  await streams.markEpoch(["standard"], "m");
  const refs = await rig.sql<{ task_id: string; id: string }[]>`
    select parent_task_id as task_id, id from subtasks limit 40`;
  await streams.add("standard", [...refs]);
  await feed.runOnce(slots);
  const before = rig.gateway!.commands;
  for (let round = 0; round < 10; round++) assert.deepEqual(await feed.runOnce(slots), []);
  assert.equal(rig.gateway!.commands, before);
});

Deno.test("the feed pauses for half of a full window at the pace of its readers, and not when all cells are fed", async () => {
  await using rig = await startRig();
  await insertWorker(rig.sql, { id: "a", host: "h", pid: 1, queues: ["standard"] });
  await rig.submit(names(30));
  await using opened = openFeed(rig);
  const { streams, feed } = opened;
  await feed.runOnce(slots);
  await wait(100);
  const begun = performance.now();
  await feed.runOnce(slots);
  assert.equal(feed.pauseMs, 100, "nobody reads: the longest pause");
  await claimWindow(rig, streams);
  await wait(40);
  await feed.runOnce(slots);
  // The whole window was read since the last run: half of it goes in half of that time.
  const elapsed = performance.now() - begun;
  assert.ok(feed.pauseMs >= 20 && feed.pauseMs <= Math.min(100, elapsed / 2), `${feed.pauseMs} ms`);
  await claimWindow(rig, streams);
  await feed.runOnce(slots);
  await claimWindow(rig, streams);
  await feed.runOnce(slots);
  assert.equal(feed.pauseMs, 0, "no cell is left outside of the window");
});
