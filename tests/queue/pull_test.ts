/** Entries that were read just before PostgreSQL became unreachable. */
import assert from "node:assert/strict";
import { startRedis } from "../../dev/servers/redis.ts";
import { RedisHealth } from "../../redis/health.ts";
import type { Crew } from "../../jobs/work/crew.ts";
import { Puller } from "../../jobs/work/pull.ts";
import { openRedis } from "../../redis/connect.ts";
import { Slots } from "../../jobs/slots/slots.ts";
import { Streams } from "../../redis/stream.ts";
import { silentLog } from "../../log.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { join } from "../support/cells.ts";
import { openRows, readSubtasks, type Rows } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const connectionClosed = () =>
  Object.assign(new Error("the connection ended"), { code: "CONNECTION_CLOSED" });

/** Creates a puller of `standard` whose first claims fail with `failures`. */
async function openPuller(rows: Rows, failures: unknown[]) {
  const stack = new AsyncDisposableStack();
  const worker = { id: "a", onClaim: () => {} };
  const redis = stack.use(await startRedis());
  const connection = stack.use(openRedis({ url: redis.url }));
  const streams = new Streams(connection, "test");
  await streams.markEpoch(["standard"], "m");
  const slots = new Slots(4);
  const started: string[] = [];
  const crew = {
    slots: new Map([["standard", slots]]),
    claims: {
      async run<T>(claim: () => Promise<T>): Promise<T> {
        if (failures.length > 0) throw failures.shift();
        const claimed = await claim();
        worker.onClaim();
        return claimed;
      },
    },
    start: ({ id }: { id: string }) => started.push(id) > 0,
  } as unknown as Crew;
  const puller = new Puller("standard", {
    sql: rows.sql,
    log: silentLog,
    streams,
    crew,
    health: new RedisHealth(() => {}),
    onGroupMissing() {},
    workerId: () => worker.id,
    mayStart: () => true,
    onClaimFailed() {},
  });
  stack.defer(() => puller.stop());
  const countEntries = async () => (await streams.readState(["standard"])).lengths.get("standard")!;
  return {
    puller,
    streams,
    started,
    worker,
    connection,
    slots,
    countEntries,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("the reader of entries whose claim failed claims them once PostgreSQL is reachable", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  await rows.submit(["p", "q"]);
  await using rig = await openPuller(rows, [connectionClosed(), connectionClosed()]);
  await rig.streams.add("standard", await listDispatchable(rows.sql, "standard", 10));
  for (let tries = 0; tries < 2; tries++) await assert.rejects(rig.puller.runOnce(), /connection ended/);
  assert.deepEqual([rig.slots.busy, rig.started.length, await rig.countEntries()], [0, 0, 2]);
  let started = 0;
  await waitFor("two started cells", async () => {
    started += await rig.puller.runOnce();
    return started >= 2;
  });
  assert.deepEqual([started, rig.slots.busy, new Set(rig.started).size], [2, 2, 2]);
});

Deno.test("malformed entries are dropped, and the subtasks beside them start", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  await rows.submit(["p"]);
  await using rig = await openPuller(rows, []);
  const [ref] = await listDispatchable(rows.sql, "standard", 10);
  const pair = `${ref!.task_id}/${ref!.id}`;
  const malformed: Record<string, string>[] = [
    { refs: "no task/no cell" },
    { refs: "" },
    // Without the field `refs`, neither a name nor a value is read instead.
    { [pair]: "refs" },
    { other: pair },
    { refs: `${pair}/3` },
  ];
  for (const fields of malformed) {
    await rig.connection.redis.xadd(rig.streams.key("standard"), "*", fields);
  }
  assert.equal(await rig.puller.runOnce(), 0);
  for (const fields of malformed.slice(0, 2)) {
    await rig.connection.redis.xadd(rig.streams.key("standard"), "*", fields);
  }
  await rig.streams.add("standard", [ref!]);
  await waitFor("the start", async () => await rig.puller.runOnce() === 1);
  await waitFor("empty streams", async () => await rig.countEntries() === 0);
});

Deno.test("a worker that stops while PostgreSQL is unreachable returns its entries to the stream", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  await rows.submit(["p"]);
  await using rig = await openPuller(rows, [connectionClosed()]);
  const refs = await listDispatchable(rows.sql, "standard", 10);
  await rig.streams.add("standard", [...refs]);
  await assert.rejects(rig.puller.runOnce(), /connection ended/);
  rig.puller.stop();
  await rig.puller.run();
  const got = await rig.streams.read("standard", { consumer: "b", count: 5 });
  assert.ok(got !== "no_group");
  assert.deepEqual(got.flatMap((message) => message.refs), [...refs]);
  assert.equal(await rig.countEntries(), 1);
});

Deno.test("a worker that was declared dead while it claimed starts nothing and releases what it got", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await rows.submit(["p"]);
  await using rig = await openPuller(rows, []);
  await rig.streams.add("standard", await listDispatchable(rows.sql, "standard", 10));
  rig.worker.onClaim = () => rig.worker.id = "b";
  assert.equal(await rig.puller.runOnce(), 0);
  assert.deepEqual([rig.started, rig.slots.busy], [[], 0]);
  await waitFor("the release", async () => (await readSubtasks(rows.sql, task))[0]!.status === "pending");
});
