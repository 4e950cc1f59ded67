/** Slot limits over all workers, while workers start and stop and slots are divided again. */
import assert from "node:assert/strict";
import { releaseOrphans } from "../../db/queue/dispatch.ts";
import {
  insertQueueSlots,
  listQueueSlots,
  listSlotChanges,
  saveQueueSlots,
  saveSlotOverride,
} from "../../db/queue/slots.ts";
import { type Queue, saveRemoteIds } from "../../db/queue/subtasks.ts";
import { takeOverAfterMs } from "../../db/queue/times.ts";
import {
  acquireSlots,
  deleteWorker,
  insertWorker,
  readFleet,
  saveHeartbeat,
  type SlotUsage,
  withdrawSlots,
} from "../../db/queue/workers.ts";
import { Scaler } from "../../jobs/slots/scaler.ts";
import { readScaleRules } from "../../jobs/slots/scale_rules.ts";
import { parseConfig } from "../../config.ts";
import { divideSlots } from "../../jobs/slots/slot_division.ts";
import { silentLog } from "../../log.ts";
import { claim, join } from "../support/cells.ts";
import { openRows, type Rig, type Rows, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const names = (count: number, name = "p") => Array.from({ length: count }, (_, i) => `${name}${i}`);

const usageOf = (queue: Queue, slots: number, others: number, own = 0, rank = 0, workers = 2): SlotUsage => ({
  queue,
  slots,
  others,
  own,
  rank,
  workers,
});

const divisions: [string, SlotUsage[], Partial<Record<Queue, number>>, Partial<Record<Queue, number>>][] = [
  ["an equal share of free slots", [usageOf("lumina", 11, 0)], {}, { lumina: 6 }],
  ["the smaller share as the second of two workers", [usageOf("lumina", 11, 0, 0, 1)], {}, { lumina: 5 }],
  ["at most the free slots", [usageOf("lumina", 10, 8)], {}, { lumina: 2 }],
  ["nothing if others use more than the limit", [usageOf("lumina", 10, 12)], {}, { lumina: 0 }],
  ["its share, even while it runs more", [usageOf("lumina", 10, 0, 9)], { lumina: 9 }, { lumina: 5 }],
  [
    "slots that high borrows only after standard has released them",
    [usageOf("high", 15, 0, 5, 0, 1), usageOf("standard", 10, 0, 18, 0, 1)],
    { standard: 18, high: 5 },
    { high: 7, standard: 10 },
  ],
  [
    "slots of standard after high has released them",
    [usageOf("high", 5, 0, 12, 0, 1), usageOf("standard", 20, 0, 13, 0, 1)],
    { standard: 13, high: 12 },
    { high: 5, standard: 13 },
  ],
];
for (const [what, usages, busy, expected] of divisions) {
  Deno.test(`divideSlots() gives a worker ${what}`, () => {
    const queues = usages.map(({ queue }) => queue);
    const portions = divideSlots(usages, { queues, busy: (queue) => busy[queue] ?? 0 });
    assert.deepEqual(Object.fromEntries([...portions].map(([queue, { slots }]) => [queue, slots])), expected);
  });
}

async function sumSlots(rows: Rows): Promise<number> {
  const [row] = await rows
    .sql`select coalesce(sum((slots ->> 'standard')::int), 0)::int as held from workers`;
  return row!.held;
}

Deno.test("workers that acquire slots concurrently never exceed the limit and finally use it completely", async () => {
  await using rows = await openRows();
  await insertQueueSlots(rows.sql, [{ queue: "standard", slots: 10 }]);
  const ids = ["a", "b", "c", "d"];
  const acquire = (id: string) =>
    acquireSlots(rows.sql, id, (usages) => {
      const portions = divideSlots(usages, { queues: ["standard"], busy: () => 0 });
      return Object.fromEntries([...portions].map(([queue, { slots }]) => [queue, slots]));
    });
  for (const id of ids) {
    await insertWorker(rows.sql, { id, host: "h", pid: 1, queues: ["standard"] });
    await Promise.all(ids.map((other) => acquire(other)));
    assert.ok(await sumSlots(rows) <= 10);
  }
  for (let round = 0; round < 2; round++) for (const id of ids) await acquire(id);
  assert.equal(await sumSlots(rows), 10);
  await deleteWorker(rows.sql, "b");
  await Promise.all(ids.map((other) => acquire(other)));
  assert.equal(await sumSlots(rows), 10);
});

Deno.test("rows of a missing worker count against the limit until they are released", async () => {
  await using rows = await openRows();
  await insertQueueSlots(rows.sql, [{ queue: "standard", slots: 10 }]);
  await insertWorker(rows.sql, { id: "a", host: "h", pid: 1, queues: ["standard"] });
  const task = await rows.submit(names(4));
  await rows.sql`
    update subtasks set status = 'processing', worker_id = 'gone', started_at = now()
    where parent_task_id = ${task}`;
  let seen: SlotUsage[] = [];
  await acquireSlots(rows.sql, "a", (usages) => {
    seen = usages;
    return {};
  });
  assert.equal(seen.find(({ queue }) => queue === "standard")!.others, 4);
});

Deno.test("a silent worker holds the slots of its running cells, and has no part of the others", async () => {
  await using rows = await openRows();
  await insertQueueSlots(rows.sql, [{ queue: "standard", slots: 6 }]);
  await join(rows.sql, "a");
  await join(rows.sql, "b");
  await rows.submit(names(2));
  const [saved] = await claim(rows.sql);
  await saveRemoteIds(rows.sql, [{ ...saved!, remote_id: "job-1" }]);
  const acquire = async (worker: string, slots: number): Promise<SlotUsage> => {
    let seen: SlotUsage[] = [];
    await acquireSlots(rows.sql, worker, (usage) => {
      seen = usage;
      return { standard: slots };
    });
    return seen.find(({ queue }) => queue === "standard")!;
  };
  await acquire("a", 4);
  const before = await acquire("b", 2);
  assert.deepEqual([before.others, before.rank, before.workers], [4, 1, 2]);
  await withdrawSlots(rows.sql);
  assert.equal((await acquire("b", 2)).others, 4);
  await rows.sql`update workers set heartbeat_at = now() - interval '1 minute' where id = 'a'`;
  await releaseOrphans(rows.sql, 360_000, takeOverAfterMs);
  await withdrawSlots(rows.sql);
  const after = await acquire("b", 5);
  assert.deepEqual([after.others, after.rank, after.workers], [1, 0, 1]);
  const { slots, heartbeatAges } = await readFleet(rows.sql);
  assert.equal(slots.get("standard"), 6);
  assert.ok(Math.max(...heartbeatAges) > takeOverAfterMs);
  // Its next heartbeat finds that it must acquire its slots anew.
  await saveHeartbeat(rows.sql, "a");
  const back = await acquire("a", 1);
  assert.deepEqual([back.own, back.others, back.workers], [1, 5, 2]);
});

/** Records the starts and ends of leases from now on. @returns a function that reads the highest number of leases */
async function watchLeases(rig: Rig): Promise<() => Promise<number>> {
  await rig.sql.unsafe(`
    create table lease_steps (n bigint generated always as identity, at timestamptz default clock_timestamp(), by int);
    create function note_lease() returns trigger language plpgsql as $$
    begin
      insert into lease_steps (by) values (case when new.status = 'processing' then 1 else -1 end);
      return null;
    end $$;
    create trigger note_lease after update on subtasks for each row
      when (old.status is distinct from new.status and 'processing' in (old.status, new.status))
      execute function note_lease()`);
  return async () => {
    const [row] = await rig.sql`
      select max(running)::int as peak from (select sum(by) over (order by at, by, n) as running from lease_steps) as s`;
    return row!.peak;
  };
}

Deno.test("leases never exceed the slots while workers start and stop", async () => {
  await using rig = await startRig({
    delayMs: 150,
    env: { TASK_EXECUTOR_MIN_CONCURRENT: "7", TASK_EXECUTOR_MAX_CONCURRENT: "7" },
  });
  const findPeak = await watchLeases(rig);
  const task = await rig.submit(names(200));
  const first = await rig.startWorker();
  const done = async (cells: number) => {
    const [row] = await rig.sql`select subtasks_completed as cells from tasks where id = ${task}`;
    return row!.cells >= cells;
  };
  await waitFor("20 images", () => done(20));
  const second = await rig.startWorker();
  await waitFor("60 images", () => done(60));
  await rig.startWorker({ slots: 50 });
  await first.stop();
  await waitFor("110 images", () => done(110));
  await second.stop();
  await waitForEnd(rig.sql, task);
  assert.equal(await findPeak(), 7);
});

Deno.test("urgent cells borrow up to half of the standard slots without exceeding the total", async () => {
  await using rig = await startRig({
    delayMs: 700,
    env: { TASK_EXECUTOR_MIN_CONCURRENT: "10", TASK_EXECUTOR_MAX_CONCURRENT: "10" },
  });
  const findPeak = await watchLeases(rig);
  await rig.startWorker();
  const slow = await rig.submit(names(150, "slow"));
  await waitFor("ten POSTs", () => rig.api.posts.length >= 10);
  const urgent = await rig.submit(names(30, "urgent"), [1], 9);
  const ran = { high: 0, standard: 99 };
  await waitFor("the urgent task", async () => {
    const [row] = await rig.sql`
      select
        count(*) filter (where parent_task_id = ${urgent})::int as high,
        count(*) filter (where parent_task_id = ${slow})::int as standard
      from subtasks where status = 'processing'`;
    ran.high = Math.max(ran.high, row!.high);
    const [{ status }] = await rig.sql`select status from tasks where id = ${urgent}` as [{ status: string }];
    return status === "completed";
  });
  assert.ok(ran.high > 5, `${ran.high} at once`);
  assert.ok(await findPeak() <= 15, `${await findPeak()} in all`);
  const changes = await listSlotChanges(rig.sql, ["standard"], 10);
  assert.ok(changes.every(({ slots_after }) => slots_after >= 5));
  assert.match(changes.at(-1)!.reason, /lent to high/);
});

const env = { DATABASE_URL: "postgres://h/d", IMAGE_API_URL: "http://h", NIETA_XTOKEN: "t" };

async function openScaler(rows: Rows): Promise<Scaler> {
  const rules = readScaleRules(parseConfig(env, "worker"));
  await insertQueueSlots(rows.sql, [
    ...[{ queue: "high" as const, slots: 5 }, { queue: "standard" as const, slots: 10 }],
    { queue: "lumina", slots: 24 },
  ]);
  return new Scaler({ sql: rows.sql, log: silentLog, rules });
}

const readSlots = async (rows: Rows) =>
  Object.fromEntries((await listQueueSlots(rows.sql)).map(({ queue, slots }) => [queue, slots]));

Deno.test("a slot override applies until it expires, and each change is stored with its reason", async () => {
  await using rows = await openRows();
  const scaler = await openScaler(rows);
  await scaler.runOnce(0);
  assert.deepEqual(await readSlots(rows), { high: 5, lumina: 24, standard: 10 });
  assert.equal((await listSlotChanges(rows.sql, ["standard"], 9)).length, 0);
  await saveSlotOverride(rows.sql, {
    queue: "standard",
    slots: 3,
    reason: "the generator is being moved",
    made_by: "kim",
    forMs: 3_600_000,
  });
  await scaler.runOnce(1_000);
  await scaler.runOnce(2_000);
  assert.deepEqual(await readSlots(rows), { high: 5, lumina: 24, standard: 3 });
  await rows.sql`update slot_overrides set expires_at = now() - interval '1 s'`;
  await scaler.runOnce(3_000);
  assert.deepEqual(await readSlots(rows), { high: 5, lumina: 24, standard: 10 });
  const changes = await listSlotChanges(rows.sql, ["standard"], 9);
  assert.deepEqual(changes.map(({ slots_before, slots_after }) => [slots_before, slots_after]), [[3, 10], [
    10,
    3,
  ]]);
  assert.match(changes[1]!.reason, /^set by kim until .*: the generator is being moved$/);
});

Deno.test("slots are halved after 429 and grow again afterwards", async () => {
  await using rows = await openRows();
  const scaler = await openScaler(rows);
  await insertWorker(rows.sql, { id: "a", host: "h", pid: 1, queues: ["standard", "lumina"] });
  const report = (calls: number, throttled: number) =>
    rows.sql`update workers set health = ${
      JSON.stringify({ lumina: { creates: calls, createMs: calls, calls, failures: 0, throttled } })
    }::text::jsonb`;
  await report(10, 0);
  await scaler.runOnce(0);
  await report(20, 4);
  await scaler.runOnce(1_000);
  assert.deepEqual(await readSlots(rows), { high: 5, lumina: 12, standard: 10 });
  await scaler.runOnce(2_000);
  await report(40, 4);
  await scaler.runOnce(20_000);
  assert.deepEqual(await readSlots(rows), { high: 5, lumina: 13, standard: 10 });
  assert.match((await listSlotChanges(rows.sql, ["lumina"], 9))[1]!.reason, /4 calls answered by HTTP 429/);
});

Deno.test("decisions without a change are not stored", async () => {
  await using rows = await openRows();
  await openScaler(rows);
  await saveQueueSlots(rows.sql, [{ queue: "lumina", slots: 24, wanted: 25, reason: "no" }]);
  assert.equal((await listSlotChanges(rows.sql, ["lumina"], 9)).length, 0);
});
