/** Limits over all workers: never exceeded by one, while workers come and go and slots change hands. */
import assert from "node:assert/strict";
import {
  insertQueueSlots,
  listQueueSlots,
  listSlotChanges,
  saveQueueSlots,
  saveSlotOverride,
} from "../../db/queue/slots.ts";
import type { Queue } from "../../db/queue/subtasks.ts";
import { acquireSlots, deleteWorker, insertWorker, type SlotUsage } from "../../db/queue/workers.ts";
import { Scaler } from "../../jobs/slots/scaler.ts";
import { readScaleRules } from "../../jobs/slots/scale_rules.ts";
import { parseConfig } from "../../config.ts";
import { divideSlots } from "../../jobs/slots/slot_division.ts";
import { silentLog } from "../../log.ts";
import { openRows, type Rig, type Rows, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const names = (count: number, name = "p") => Array.from({ length: count }, (_, i) => `${name}${i}`);

const room = (queue: Queue, slots: number, others: number, own = 0, rank = 0, workers = 2): SlotUsage => ({
  queue,
  slots,
  others,
  own,
  rank,
  workers,
});

const shares: [string, SlotUsage[], Partial<Record<Queue, number>>, Partial<Record<Queue, number>>][] = [
  ["an equal share where all is free", [room("lumina", 11, 0)], {}, { lumina: 6 }],
  ["the later of two gets the smaller share", [room("lumina", 11, 0, 0, 1)], {}, { lumina: 5 }],
  ["no more than nobody has", [room("lumina", 10, 8)], {}, { lumina: 2 }],
  ["nothing where others have more than there is", [room("lumina", 10, 12)], {}, { lumina: 0 }],
  ["its share alone, whatever it runs", [room("lumina", 10, 0, 9)], { lumina: 9 }, { lumina: 5 }],
  [
    "what high lends from standard only once standard has given it up",
    [room("high", 15, 0, 5, 0, 1), room("standard", 10, 0, 18, 0, 1)],
    { standard: 18, high: 5 },
    { high: 7, standard: 10 },
  ],
  [
    "of standard, what high has given back",
    [room("high", 5, 0, 12, 0, 1), room("standard", 20, 0, 13, 0, 1)],
    { standard: 13, high: 12 },
    { high: 5, standard: 13 },
  ],
];
for (const [what, rooms, busy, wanted] of shares) {
  Deno.test(`a worker takes ${what}`, () => {
    const queues = rooms.map(({ queue }) => queue);
    const portions = divideSlots(rooms, { queues, busy: (queue) => busy[queue] ?? 0 });
    assert.deepEqual(Object.fromEntries([...portions].map(([queue, { slots }]) => [queue, slots])), wanted);
  });
}

async function sumHeld(rows: Rows): Promise<number> {
  const [row] = await rows
    .sql`select coalesce(sum((slots ->> 'standard')::int), 0)::int as held from workers`;
  return row!.held;
}

Deno.test("workers that take slots at once never have more than there are, and in the end have them all", async () => {
  await using rows = await openRows();
  await insertQueueSlots(rows.sql, [{ queue: "standard", slots: 10 }]);
  const ids = ["a", "b", "c", "d"];
  const take = (id: string) =>
    acquireSlots(rows.sql, id, (rooms) => {
      const portions = divideSlots(rooms, { queues: ["standard"], busy: () => 0 });
      return Object.fromEntries([...portions].map(([queue, { slots }]) => [queue, slots]));
    });
  for (const id of ids) {
    await insertWorker(rows.sql, { id, host: "h", pid: 1, queues: ["standard"] });
    await Promise.all(ids.map((other) => take(other)));
    assert.ok(await sumHeld(rows) <= 10);
  }
  for (let round = 0; round < 2; round++) for (const id of ids) await take(id);
  assert.equal(await sumHeld(rows), 10);
  await deleteWorker(rows.sql, "b");
  await Promise.all(ids.map((other) => take(other)));
  assert.equal(await sumHeld(rows), 10);
});

Deno.test("rows of a worker that is gone count against the limit until they are released", async () => {
  await using rows = await openRows();
  await insertQueueSlots(rows.sql, [{ queue: "standard", slots: 10 }]);
  await insertWorker(rows.sql, { id: "a", host: "h", pid: 1, queues: ["standard"] });
  const task = await rows.submit(names(4));
  await rows.sql`
    update subtasks set status = 'processing', worker_id = 'gone', started_at = now()
    where parent_task_id = ${task}`;
  let seen: SlotUsage[] = [];
  await acquireSlots(rows.sql, "a", (rooms) => {
    seen = rooms;
    return {};
  });
  assert.equal(seen.find(({ queue }) => queue === "standard")!.others, 4);
});

/** Notes every lease that begins or ends from now on. */
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

Deno.test("there are never more leases than slots, while workers come and go", async () => {
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

Deno.test("urgent cells borrow from standard, which keeps at least half, and never are there more in all", async () => {
  await using rig = await startRig({
    delayMs: 700,
    env: { TASK_EXECUTOR_MIN_CONCURRENT: "10", TASK_EXECUTOR_MAX_CONCURRENT: "10" },
  });
  const findPeak = await watchLeases(rig);
  await rig.startWorker();
  const slow = await rig.submit(names(150, "slow"));
  await waitFor("ten under way", () => rig.api.posts.length >= 10);
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
  const lent = await listSlotChanges(rig.sql, "standard", 10);
  assert.ok(lent.every(({ slots_after }) => slots_after >= 5));
  assert.match(lent.at(-1)!.reason, /lent to high/);
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

Deno.test("slots set by hand hold until they expire, and each change is kept with its reason", async () => {
  await using rows = await openRows();
  const scaler = await openScaler(rows);
  await scaler.runOnce(0);
  assert.deepEqual(await readSlots(rows), { high: 5, lumina: 24, standard: 10 });
  assert.equal((await listSlotChanges(rows.sql, "standard", 9)).length, 0);
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
  const changes = await listSlotChanges(rows.sql, "standard", 9);
  assert.deepEqual(changes.map(({ slots_before, slots_after }) => [slots_before, slots_after]), [[3, 10], [
    10,
    3,
  ]]);
  assert.match(changes[1]!.reason, /^set by kim until .*: the generator is being moved$/);
});

Deno.test("an API that answers 429 gets half the calls, and more again once it is well", async () => {
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
  assert.match((await listSlotChanges(rows.sql, "lumina", 9))[1]!.reason, /4 calls answered by HTTP 429/);
});

Deno.test("decisions that change nothing leave no trace", async () => {
  await using rows = await openRows();
  await openScaler(rows);
  await saveQueueSlots(rows.sql, [{ queue: "lumina", slots: 24, wanted: 25, reason: "no" }]);
  assert.equal((await listSlotChanges(rows.sql, "lumina", 9)).length, 0);
});
