/** What becomes of entries that were read just before PostgreSQL went away. */
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

const gone = () => Object.assign(new Error("the connection ended"), { code: "CONNECTION_CLOSED" });

/** A puller of `standard` whose first `failures` claims find nobody. */
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
  const left = async () => (await streams.readState(["standard"])).lengths.get("standard")!;
  return {
    puller,
    streams,
    started,
    slots,
    left,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("entries whose claim found no PostgreSQL are claimed by their reader as soon as it is back", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  await rows.submit(["p", "q"]);
  await using rig = await openPuller(rows, [gone(), gone()]);
  await rig.streams.add("standard", await listDispatchable(rows.sql, "standard", 10));
  for (let tries = 0; tries < 2; tries++) await assert.rejects(rig.puller.runOnce(), /connection ended/);
  assert.deepEqual([rig.slots.busy, rig.started.length, await rig.left()], [0, 0, 2]);
  let started = 0;
  while (started < 2) started += await rig.puller.runOnce();
  assert.deepEqual([started, rig.slots.busy, new Set(rig.started).size], [2, 2, 2]);
});

Deno.test("an entry that no claim can be made of does not keep others from theirs", async () => {
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

Deno.test("a worker that leaves before PostgreSQL is back gives what it has read to others", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  await rows.submit(["p"]);
  await using rig = await openPuller(rows, [gone()]);
  const refs = await listDispatchable(rows.sql, "standard", 10);
  await rig.streams.add("standard", [...refs]);
  await assert.rejects(rig.puller.runOnce(), /connection ended/);
  rig.puller.stop();
  await rig.puller.run();
  const got = await rig.streams.read("standard", { consumer: "b", count: 5 });
  assert.ok(got !== "no_group");
  assert.deepEqual(got.flatMap((message) => message.refs), [...refs]);
  assert.equal(await rig.left(), 1);
});
