/** The doctor finds and repairs each kind of fault. `why` explains each state of a cell. */
import assert from "node:assert/strict";
import { saveRemoteIds, settleSubtasks } from "../../db/queue/subtasks.ts";
import { acquireLeaderLease } from "../../db/queue/workers.ts";
import { cancelTask } from "../../jobs/moves/cancel.ts";
import { pauseTask } from "../../jobs/moves/control.ts";
import { describeReport, type Report, type ReportedFinding, runDoctor } from "../../jobs/doctor/doctor.ts";
import type { DoctorDeps } from "../../jobs/doctor/check.ts";
import { openRedis } from "../../redis/connect.ts";
import { Streams } from "../../redis/stream.ts";
import { whyCell } from "../../jobs/doctor/why.ts";
import { silentLog } from "../../log.ts";
import { claim, done, failed, join } from "../support/cells.ts";
import { readSubtasks, readTask, type Rig, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

/** A rig with the dependencies of the doctor. */
interface DoctorRig extends AsyncDisposable {
  rig: Rig;
  deps: DoctorDeps;
}

async function openDoctorRig(): Promise<DoctorRig> {
  const stack = new AsyncDisposableStack();
  const rig = stack.use(await startRig());
  const redis = stack.use(openRedis(rig.redisAddress));
  const deps = { sql: rig.sql, redis, log: silentLog, settleMs: 0 };
  return { rig, deps, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const faults = ({ findings }: Report): ReportedFinding[] => findings.filter(({ fault }) => fault);

/** Creates an ended task of two cells, one of which failed. */
async function endedTask({ sql, submit }: Rig): Promise<string> {
  const task = await submit(["p", "q"]);
  const [one, two] = await claim(sql);
  await settleSubtasks(sql, [done(one!), failed(two!)]);
  return task;
}

Deno.test("the doctor finds no fault in an empty, a working or a finished queue", async () => {
  await using clinic = await openDoctorRig();
  const { rig, deps } = clinic;
  assert.deepEqual(faults(await runDoctor(deps)), []);
  await rig.startWorker({ slots: 2 });
  const tasks = await Promise.all([
    rig.submit(Array.from({ length: 60 }, (_, i) => `p${i}`)),
    rig.submit(["q @@create:451"]),
  ]);
  const { healthy, findings } = await runDoctor({ ...deps, settleMs: 500 });
  assert.deepEqual([healthy, findings.filter(({ fault }) => fault)], [true, []]);
  for (const task of tasks) await waitForEnd(rig.sql, task);
  const report = await runDoctor(deps);
  assert.ok(report.healthy);
  assert.match(describeReport(report), /checks: no faults$/);
});

/** Creates a fault. @returns a pattern of the finding's text */
type Fault = (rig: DoctorRig) => Promise<RegExp>;

const repairable: [string, string, Fault][] = [
  ["counters that differ from the rows", "counters", async ({ rig }) => {
    await join(rig.sql);
    const task = await endedTask(rig);
    await rig.sql`update tasks set subtasks_failed = 0 where id = ${task}`;
    return /\(total, completed, failed, cancelled\) are 2, 1, 0, 0; its rows count 2, 1, 1, 0/;
  }],
  ["an open task whose cells have ended", "unclosed_tasks", async ({ rig }) => {
    await join(rig.sql);
    const task = await endedTask(rig);
    await rig.sql`
      update tasks set status = 'processing', completed_at = null, all_subtasks_completed = false where id = ${task}`;
    await rig.sql`delete from outbox`;
    return new RegExp(`task ${task} is open although all its cells have ended`);
  }],
  ["an ended task with a pending cell", "open_cells", async ({ rig }) => {
    await join(rig.sql);
    const task = await endedTask(rig);
    await rig.sql`update subtasks set status = 'pending', completed_at = null where cell = 0`;
    await rig.sql`update tasks set subtasks_completed = 0`;
    return new RegExp(`task ${task} is completed, and 1 of its cells is pending or processing`);
  }],
  ["a cancelled task with pending cells", "open_cells", async ({ rig, deps }) => {
    const task = await rig.submit(["p", "q"]);
    await cancelTask(deps, { taskId: task, userId: rig.user.id });
    await rig.sql`update subtasks set status = 'pending', completed_at = null`;
    await rig.sql`update tasks set subtasks_cancelled = 0`;
    return /is cancelled, and 2 of its cells/;
  }],
  ["a cancelled task that was not swept", "cancelling", async ({ rig }) => {
    await rig.submit(["p", "q"]);
    await rig.sql`update tasks set status = 'cancelled', cancelling = true, completed_at = now()`;
    return /its pending cells are not cancelled yet/;
  }],
  ["an ended task with contradicting columns", "ends", async ({ rig }) => {
    await join(rig.sql);
    await endedTask(rig);
    await rig.sql`alter table tasks drop constraint tasks_completed_at_with_end`;
    await rig.sql`update tasks set completed_at = null, all_subtasks_completed = false`;
    return /is completed, with completed_at empty and all_subtasks_completed false/;
  }],
  ["a lease of a missing worker", "leases", async ({ rig }) => {
    await join(rig.sql);
    await rig.submit(["p"]);
    await claim(rig.sql);
    await rig.sql`delete from workers`;
    return /cell 0 of task .* is processing at worker a: no such worker/;
  }],
  ["an overdue attempt", "leases", async ({ rig }) => {
    await join(rig.sql);
    await rig.submit(["p"]);
    await claim(rig.sql);
    await rig.sql`update subtasks set intent_at = now() - interval '10 min'`;
    await rig.sql`update workers set heartbeat_at = now() + interval '1 min', slots = '{"standard": 5}'`;
    return /at worker a: overdue/;
  }],
  ["a processing cell without a worker", "leases", async ({ rig }) => {
    await rig.submit(["p"]);
    await rig.sql`update subtasks set status = 'processing'`;
    return /is processing without a worker: no worker/;
  }],
  ["a silent worker", "silent_workers", async ({ rig }) => {
    await join(rig.sql);
    await rig.sql`update workers set heartbeat_at = now() - interval '1 min'`;
    await waitFor("an uptime of 12 s of the server", async () => {
      const [row] = await rig.sql`select pg_postmaster_start_time() < now() - interval '12 s' as old`;
      return row!.old as boolean;
    });
    return /worker a \(h, process 1\) has been silent for 6\d s/;
  }],
  ["a late notice", "notices", async ({ rig }) => {
    await rig.submit(["p"]);
    await rig.sql`update outbox set due_at = now() - interval '10 min', tries = 4, error = 'HTTP 500'`;
    return /notice 'submitted' of task .* is 6\d\d s late, after 4 tries \(HTTP 500\)/;
  }],
  ["an end without a notice", "untold_ends", async ({ rig }) => {
    await join(rig.sql);
    await endedTask(rig);
    await rig.sql`delete from outbox where kind = 'partial'`;
    return /has ended, and the notice of its end is missing/;
  }],
  ["a key of another type instead of a stream", "streams", async ({ deps }) => {
    await deps.redis.redis.set(new Streams(deps.redis).key("lumina"), "x");
    return /is a string instead of a stream: another program writes it/;
  }],
  ["a missing consumer group", "streams", async ({ rig, deps }) => {
    await join(rig.sql);
    await acquireLeaderLease(rig.sql, "queue", "a", 60_000);
    await deps.redis.redis.xadd(new Streams(deps.redis).key("standard"), "*", { refs: "" });
    return /has no consumer group, and its workers do not create one/;
  }],
];

for (const [what, check, make] of repairable) {
  Deno.test(`the doctor finds and repairs ${what}`, async () => {
    await using clinic = await openDoctorRig();
    const { deps } = clinic;
    const pattern = await make(clinic);
    const before = await runDoctor(deps);
    const found = before.findings.find((finding) => finding.check === check && pattern.test(finding.text));
    assert.ok(found, describeReport(before));
    assert.deepEqual([before.healthy, found.fault, found.repairable, found.repaired], [
      false,
      true,
      true,
      false,
    ]);
    const mended = await runDoctor(deps, { repair: true });
    const done = mended.findings.find((finding) => finding.check === check && pattern.test(finding.text));
    assert.ok(done?.repaired, describeReport(mended));
    const after = await runDoctor(deps, { repair: true });
    const left = after.findings.filter((finding) => finding.fault && finding.repairable);
    assert.deepEqual(left, [], describeReport(after));
  });
}

Deno.test("repairs write correct counters, status and notice, and pending cells are drawn", async () => {
  await using clinic = await openDoctorRig();
  const { rig, deps } = clinic;
  await join(rig.sql);
  const open = await endedTask(rig);
  await rig.sql`
    update tasks set status = 'processing', completed_at = null, all_subtasks_completed = false,
      subtasks_completed = 0, subtasks_failed = 2`;
  await rig.sql`delete from outbox where kind <> 'submitted'`;
  const early = await rig.submit(["r", "s"]);
  await rig.sql`
    update tasks set status = 'completed', completed_at = now(), all_subtasks_completed = true where id = ${early}`;
  await rig.sql`delete from workers`;
  await runDoctor(deps, { repair: true });
  assert.deepEqual(await readTask(rig.sql, open), {
    status: "completed",
    all_subtasks_completed: true,
    cancelling: false,
    subtasks_total: 2,
    subtasks_completed: 1,
    subtasks_failed: 1,
    subtasks_cancelled: 0,
    notices: ["submitted", "partial"],
  });
  await rig.startWorker({ slots: 2 });
  const { status, subtasks_completed, notices } = await waitForEnd(rig.sql, early);
  assert.deepEqual([status, subtasks_completed, notices], ["completed", 2, ["submitted", "completed"]]);
  await waitFor("a queue without faults", async () => (await runDoctor(deps)).healthy);
});

Deno.test("the doctor drops entries that a dead worker read, and their cells are drawn", async () => {
  await using clinic = await openDoctorRig();
  const { rig, deps } = clinic;
  const task = await rig.submit(["p"]);
  const streams = new Streams(deps.redis);
  await streams.ensureGroup("standard");
  const [{ id }] = await rig.sql`select id from subtasks` as unknown as [{ id: string }];
  await streams.add("standard", [{ task_id: task, id }]);
  const read = await streams.read("standard", { consumer: "gone", count: 10 });
  assert.equal(read.length, 1);
  // Simulates a read one minute ago.
  const { entry } = (read as { entry: string }[])[0]!;
  await deps.redis.redis.exec([
    "XCLAIM",
    streams.key("standard"),
    "workers",
    "gone",
    0,
    entry,
    "IDLE",
    60_000,
  ]);
  const report = await runDoctor(deps, { repair: true });
  const finding = report.findings.find(({ check, fault }) => check === "streams" && fault);
  assert.match(
    finding?.text ?? "",
    /1 entry of queue standard was read by gone, which is gone, and not claimed/,
  );
  assert.ok(finding?.repaired);
  await rig.startWorker({ slots: 1 });
  assert.equal((await waitForEnd(rig.sql, task)).status, "completed");
});

const unrepairable: [string, string, Fault][] = [
  ["a queue that no worker serves", "queues", async ({ rig }) => {
    await rig.submit(["p"]);
    return /1 cell waits in queue standard, which no living worker serves/;
  }],
  ["workers without a leader", "leader", async ({ rig }) => {
    await join(rig.sql);
    return /1 worker is signed in and none is the leader \(the last was none\)/;
  }],
  ["an unreachable Redis", "streams", async ({ rig }) => {
    await rig.redis.stop();
    return /the streams cannot be read: connecting to Redis at .* it does not answer/;
  }],
];
for (const [what, check, make] of unrepairable) {
  Deno.test(`the doctor gives advice on ${what}`, async () => {
    await using clinic = await openDoctorRig();
    const pattern = await make(clinic);
    const report = await runDoctor(clinic.deps, { repair: true });
    const finding = report.findings.find((one) => one.check === check && one.fault);
    assert.match(finding?.text ?? describeReport(report), pattern);
    assert.deepEqual([report.healthy, finding!.repairable], [false, false]);
    assert.ok(finding!.advice.length > 10);
  });
}

Deno.test("the doctor leaves imported tasks unchanged", async () => {
  await using clinic = await openDoctorRig();
  const { rig, deps } = clinic;
  await rig.submit(["p", "q"]);
  await rig.sql`
    update tasks set generation = 'x', status = 'completed', completed_at = now(), all_subtasks_completed = false`;
  await rig.submit(["r"]);
  await rig.sql`update tasks set generation = 'x', hold = 'import' where completed_at is null`;
  await rig.sql`update subtasks set status = 'processing'`;
  const before = await rig.sql`select to_json(t)::text as row from tasks t order by id`;
  const { healthy, findings } = await runDoctor(deps, { repair: true });
  assert.ok(healthy, JSON.stringify(findings));
  assert.deepEqual([...await rig.sql`select to_json(t)::text as row from tasks t order by id`], [...before]);
  assert.ok(findings.some(({ text }) => text === "1 open task is held since the import"));
});

const whyCases: [string, string, RegExp, (rig: Rig, task: string) => Promise<unknown>][] = [
  [
    "is held",
    "held",
    /It is held: its task is paused \(paused by its owner\)/,
    (rig, task) => pauseTask({ sql: rig.sql, log: silentLog }, { taskId: task, userId: rig.user.id }),
  ],
  [
    "is held by the canary",
    "held",
    /its first cells failed \(so and so\)/,
    (rig) => rig.sql`update tasks set hold = 'canary', hold_reason = 'so and so'`,
  ],
  [
    "waits for a retry",
    "waiting_for_retry",
    /It waits until 20.* for attempt 0: x\./,
    (rig) => rig.sql`update subtasks set run_after = now() + interval '1 h', error = 'x'`,
  ],
  ["has no worker", "no_worker", /No living worker serves queue standard/, async () => {}],
  [
    "has a worker without slots",
    "no_slots",
    /1 worker serves queue standard, with no slots in it/,
    (rig) => join(rig.sql),
  ],
  ["has no leader", "no_leader", /No worker is the leader/, async (rig) => {
    await join(rig.sql);
    await rig.sql`update workers set slots = '{"standard": 1}'`;
  }],
  ["is next", "next", /It starts next: 0 cells are before it/, async (rig) => {
    await join(rig.sql);
    await rig.sql`update workers set slots = '{"standard": 1}'`;
    await acquireLeaderLease(rig.sql, "queue", "a", 60_000);
  }],
  [
    "is running",
    "running",
    /It is running at worker a \(h, process 1\) since .*; its remote job is job-7/,
    async (rig) => {
      await join(rig.sql);
      const [one] = await claim(rig.sql, 1);
      await saveRemoteIds(rig.sql, [{ ...one!, remote_id: "job-7" }]);
    },
  ],
  [
    "waits in its slot",
    "waiting_for_retry",
    /It waits at worker a .* for attempt 1, which starts at/,
    async (rig) => {
      await join(rig.sql);
      await claim(rig.sql, 1);
      await rig.sql`update subtasks set run_after = now() + interval '3 s' where status = 'processing'`;
    },
  ],
  ["lost its worker", "orphaned", /its worker a is gone/, async (rig) => {
    await join(rig.sql);
    await claim(rig.sql, 1);
    await rig.sql`delete from workers`;
  }],
  [
    "was started by the old backend",
    "not_ours",
    /was processing in the old backend/,
    (rig) => rig.sql`update subtasks set status = 'processing'`,
  ],
  ["is done", "completed", /It is completed: its image was finished at/, async (rig) => {
    await join(rig.sql);
    await settleSubtasks(rig.sql, (await claim(rig.sql, 1)).map((one) => done(one)));
  }],
  ["failed", "failed", /It failed at .*, in attempt 1: 已尝试 2 次: 图像接口返回 HTTP 500/, async (rig) => {
    await join(rig.sql);
    await settleSubtasks(rig.sql, (await claim(rig.sql, 1)).map((one) => failed(one)));
  }],
  [
    "was cancelled",
    "cancelled",
    /It was cancelled with its task/,
    (rig, task) => cancelTask({ sql: rig.sql, log: silentLog }, { taskId: task, userId: rig.user.id }),
  ],
  [
    "remains in an ended task",
    "task_ended",
    /Its task has ended as cancelled/,
    (rig) => rig.sql`update tasks set status = 'cancelled', cancelling = true, completed_at = now()`,
  ],
];
Deno.test("why explains every state of a cell", async (t) => {
  await using rig = await startRig();
  for (const [what, state, text, make] of whyCases) {
    await t.step(`a cell that ${what}`, async () => {
      await rig.sql`truncate tasks, workers, leaders cascade`;
      const task = await rig.submit(["p", "q"]);
      await make(rig, task);
      const why = await whyCell(rig.sql, task, 0);
      assert.equal(why?.state, state, why?.text);
      assert.match(why!.text, text);
      const [{ id }] = await rig.sql`select id from subtasks where cell = 0` as unknown as [{ id: string }];
      assert.equal((await whyCell(rig.sql, task, id))?.state, state);
      assert.equal(await whyCell(rig.sql, task, 9), undefined);
    });
  }
});

Deno.test("why counts the cells before a cell", async () => {
  await using rig = await startRig();
  const first = await rig.submit(["p", "q", "r"]);
  const second = await rig.submit(["s"]);
  await join(rig.sql);
  await rig.sql`update workers set slots = '{"standard": 1}'`;
  await acquireLeaderLease(rig.sql, "queue", "a", 60_000);
  const positions = await Promise.all(
    [[first, 0], [first, 1], [first, 2], [second, 0]].map(async ([task, cell]) =>
      (await whyCell(rig.sql, task as string, cell as number))!.behind
    ),
  );
  assert.deepEqual(positions.toSorted(), [0, 1, 2, 3]);
  await claim(rig.sql, 1);
  const { state, text } = (await whyCell(rig.sql, second, 0))!;
  assert.equal(state, "queued");
  assert.match(text, /behind \d cells; 1 of 1 slot of queue standard is in use/);
  assert.ok((await readSubtasks(rig.sql, first)).some(({ status }) => status === "processing"));
});
