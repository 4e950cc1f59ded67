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
import { openRows, type Rows } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const connectionClosed = () =>
  Object.assign(new Error("the connection ended"), { code: "CONNECTION_CLOSED" });

/** Creates a puller of `standard` whose first claims fail with `failures`. */
async function openPuller(rows: Rows, failures: unknown[]) {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const connection = stack.use(openRedis({ url: redis.url }));
  const streams = new Streams(connection, "test");
  await streams.markEpoch(["standard"], "m");
  const slots = new Slots(4);
  const started: string[] = [];
  const crew = {
    slots: new Map([["standard", slots]]),
    claims: {
      run<T>(claim: () => Promise<T>): Promise<T> {
        return failures.length > 0 ? Promise.reject(failures.shift()) : claim();
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
    workerId: () => "a",
    mayStart: () => true,
    onClaimFailed() {},
  });
  stack.defer(() => puller.stop());
  const countEntries = async () => (await streams.readState(["standard"])).lengths.get("standard")!;
  return {
    puller,
    streams,
    started,
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

Deno.test("an invalid entry does not block other entries", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  await rows.submit(["p"]);
  await using rig = await openPuller(rows, []);
  const [ref] = await listDispatchable(rows.sql, "standard", 10);
  await rig.streams.add("standard", [{ task_id: "no task", id: "no cell" }]);
  await assert.rejects(rig.puller.runOnce(), /uuid/);
  await rig.streams.add("standard", [ref!]);
  assert.equal(await rig.puller.runOnce(), 1);
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
