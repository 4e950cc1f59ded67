/** The moves of subtasks in the database: their conditions and their effects. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { listDispatchable, releaseOrphans } from "../../db/queue/dispatch.ts";
import {
  beginAttempts,
  type ClaimedSubtask,
  claimSubtasks,
  releaseSubtasks,
  retrySubtasks,
  saveRemoteIds,
  type Settlement,
  settleSubtasks,
} from "../../db/queue/subtasks.ts";
import { sweepCancelled } from "../../db/queue/tasks.ts";
import { insertQueueSlots } from "../../db/queue/slots.ts";
import {
  acquireLeaderLease,
  deleteDeadWorkers,
  insertWorker,
  saveHeartbeat,
} from "../../db/queue/workers.ts";
import { cancelTask, deleteTask } from "../../jobs/moves/cancel.ts";
import { silentLog } from "../../log.ts";
import { openRows, readSubtasks, readTask, type Rows } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

async function joinAll(rows: Rows, ...ids: string[]): Promise<void> {
  for (const id of ids) await insertWorker(rows.sql, { id, host: "h", pid: 1, queues: ["standard"] });
}

const done = (subtask: ClaimedSubtask, url = "http://i/1.png"): Settlement => ({
  ...subtask,
  status: "completed",
  result: `{"url":"${url}"}`,
  image_url: url,
  error: null,
});

const failed = (subtask: ClaimedSubtask): Settlement => ({
  ...subtask,
  status: "failed",
  retry_count: 1,
  result: null,
  image_url: null,
  error: "no",
});

async function claimAll(rows: Rows, worker: string, limit = 100): Promise<ClaimedSubtask[]> {
  return await claimSubtasks(rows.sql, worker, await listDispatchable(rows.sql, "standard", limit));
}

Deno.test("claimSubtasks() gives a subtask to one worker when two claim it", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a", "b");
  await rows.submit(Array.from({ length: 40 }, (_, i) => `p${i}`));
  const refs = await listDispatchable(rows.sql, "standard", 100);
  const [a, b] = await Promise.all([
    claimSubtasks(rows.sql, "a", refs),
    claimSubtasks(rows.sql, "b", refs.toReversed()),
  ]);
  const ids = [...a, ...b].map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const rest = await claimSubtasks(rows.sql, "a", refs);
  assert.equal(ids.length + rest.length, 40);
  assert.equal((await claimSubtasks(rows.sql, "b", refs)).length, 0);
});

Deno.test("claimSubtasks() skips rows of an uncommitted claim without waiting", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a", "b");
  await rows.submit(["p", "q"]);
  const refs = await listDispatchable(rows.sql, "standard", 10);
  const other = connect(rows.url, { max: 1, session: { statement_timeout: "2000" } });
  await rows.sql.begin(async (sql) => {
    assert.equal((await claimSubtasks(sql, "a", refs.slice(0, 1))).length, 1);
    assert.deepEqual((await claimSubtasks(other, "b", refs)).map(({ id }) => id), [refs[1]!.id]);
  });
  await other.end();
});

Deno.test("claimSubtasks() gives nothing to a worker that was declared dead", async () => {
  await using rows = await openRows();
  await rows.submit(["p"]);
  assert.equal((await claimAll(rows, "ghost")).length, 0);
});

const writes: [string, (rows: Rows, subtask: ClaimedSubtask) => Promise<number>][] = [
  ["saving a remote id", async ({ sql }, s) => (await saveRemoteIds(sql, [{ ...s, remote_id: "r" }])).size],
  [
    "a retry",
    async ({ sql }, s) =>
      (await retrySubtasks(sql, [{ ...s, retry_count: 1, attempt: 2, error: "e", wait_ms: 0 }])).size,
  ],
  ["starting an attempt", async ({ sql }, s) => (await beginAttempts(sql, [s])).size],
  ["a release", async ({ sql }, s) => (await releaseSubtasks(sql, [s], new Set())).released],
  ["settling", async ({ sql }, s) => (await settleSubtasks(sql, [done(s)])).leases.size],
];
for (const [what, write] of writes) {
  Deno.test(`${what} under a stale lease is rejected and changes nothing`, async () => {
    await using rows = await openRows();
    await joinAll(rows, "zombie", "heir");
    const task = await rows.submit(["p"]);
    const [stale] = await claimAll(rows, "zombie");
    await rows.sql`update workers set heartbeat_at = now() - interval '7 s' where id = 'zombie'`;
    assert.deepEqual(await deleteDeadWorkers(rows.sql, 6000), ["zombie"]);
    assert.equal((await releaseOrphans(rows.sql, 360_000)).length, 1);
    const [fresh] = await claimAll(rows, "heir");
    assert.notEqual(fresh!.lease_id, stale!.lease_id);
    const before = await readSubtasks(rows.sql, task);
    assert.equal(await write(rows, stale!), 0);
    assert.deepEqual(await readSubtasks(rows.sql, task), before);
    assert.equal(await write(rows, fresh!), 1);
  });
}

Deno.test("concurrent settlements of the last two subtasks end the task once, with one notice", async () => {
  for (let round = 0; round < 5; round++) {
    await using rows = await openRows();
    await joinAll(rows, "a");
    const task = await rows.submit(["p", "q"]);
    const [one, two] = await claimAll(rows, "a");
    const other = connect(rows.url, { max: 1 });
    const ends = await Promise.all([
      settleSubtasks(rows.sql, [done(one!)]),
      settleSubtasks(other, [done(two!)]),
    ]);
    await other.end();
    assert.deepEqual(ends.flatMap(({ closed }) => closed), [task]);
    const { status, subtasks_completed, notices } = await readTask(rows.sql, task);
    assert.deepEqual({ status, subtasks_completed, notices }, {
      status: "completed",
      subtasks_completed: 2,
      notices: ["submitted", "completed"],
    });
  }
});

const outcomes: [string, ("done" | "failed")[], string, string][] = [
  ["only completed subtasks", ["done", "done"], "completed", "completed"],
  ["one failed subtask", ["done", "failed"], "completed", "partial"],
  ["only failed subtasks", ["failed", "failed"], "failed", "failed"],
];
for (const [what, fates, status, notice] of outcomes) {
  Deno.test(`a task with ${what} ends as ${status} with the notice ${notice}`, async () => {
    await using rows = await openRows();
    await joinAll(rows, "a");
    const task = await rows.submit(["p", "q"]);
    const claimed = await claimAll(rows, "a");
    await settleSubtasks(
      rows.sql,
      claimed.map((subtask, i) => fates[i] === "done" ? done(subtask) : failed(subtask)),
    );
    const state = await readTask(rows.sql, task);
    assert.equal(state.status, status);
    assert.equal(state.all_subtasks_completed, true);
    assert.deepEqual(state.notices, ["submitted", notice]);
  });
}

Deno.test("settling the same subtask twice counts it once", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  const task = await rows.submit(["p", "q", "r"]);
  const [one] = await claimAll(rows, "a");
  await settleSubtasks(rows.sql, [done(one!)]);
  assert.equal((await settleSubtasks(rows.sql, [done(one!)])).leases.size, 0);
  const { status, subtasks_completed } = await readTask(rows.sql, task);
  assert.deepEqual({ status, subtasks_completed }, { status: "processing", subtasks_completed: 1 });
});

Deno.test("an orphan keeps its remote id for the next lease", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a", "b");
  await rows.submit(["p"]);
  const [first] = await claimAll(rows, "a");
  await saveRemoteIds(rows.sql, [{ ...first!, remote_id: "job-1" }]);
  await rows.sql`delete from workers where id = 'a'`;
  await releaseOrphans(rows.sql, 360_000);
  const [second] = await claimAll(rows, "b");
  assert.equal(second!.remote_id, "job-1");
  assert.equal(second!.attempt, 1);
});

Deno.test("releaseOrphans() releases an attempt that is long overdue", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  const task = await rows.submit(["p", "q"]);
  const [hung] = await claimAll(rows, "a");
  await rows.sql`update subtasks set intent_at = now() - interval '7 min' where id = ${hung!.id}`;
  assert.deepEqual((await releaseOrphans(rows.sql, 360_000)).map(({ id }) => id), [hung!.id]);
  const states = (await readSubtasks(rows.sql, task)).map(({ status }) => status);
  assert.deepEqual(states.sort(), ["pending", "processing"]);
});

Deno.test("releasing an unsent subtask uncounts its attempt", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  const task = await rows.submit(["p", "q"]);
  const claimed = await claimAll(rows, "a");
  assert.deepEqual(await releaseSubtasks(rows.sql, claimed, new Set([claimed[0]!.lease_id])), {
    released: 2,
    unsaved: 1,
  });
  const states = await readSubtasks(rows.sql, task);
  assert.deepEqual(states.map(({ status }) => status), ["pending", "pending"]);
  assert.deepEqual(states.map(({ attempt }) => attempt).sort(), [0, 1]);
});

Deno.test("a heartbeat does not revive a worker that was declared dead", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  await insertQueueSlots(rows.sql, [{ queue: "standard", slots: 10 }]);
  assert.equal(await saveHeartbeat(rows.sql, "a"), true);
  await rows.sql`update workers set heartbeat_at = now() - interval '7 s'`;
  await deleteDeadWorkers(rows.sql, 6000);
  assert.equal(await saveHeartbeat(rows.sql, "a"), false);
});

Deno.test("one worker leads at a time, and another only after the lease has expired", async () => {
  await using rows = await openRows();
  const terms = await Promise.all(
    ["a", "b", "c"].map((id) => acquireLeaderLease(rows.sql, "queue", id, 3000)),
  );
  assert.equal(terms.filter((term) => term !== undefined).length, 1);
  const leader = ["a", "b", "c"][terms.findIndex((term) => term !== undefined)]!;
  const other = leader === "a" ? "b" : "a";
  assert.equal(await acquireLeaderLease(rows.sql, "queue", leader, 3000), 1);
  assert.equal(await acquireLeaderLease(rows.sql, "queue", other, 3000), undefined);
  await rows.sql`update leaders set lease_until = now() - interval '1 ms'`;
  assert.equal(await acquireLeaderLease(rows.sql, "queue", other, 3000), 2);
  assert.equal(await acquireLeaderLease(rows.sql, "queue", leader, 3000), undefined);
});

Deno.test("cancelling ends the task: pending cells never start, and running ones lose their lease", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  const task = await rows.submit(["p", "q", "r"]);
  const [one, two] = await claimSubtasks(rows.sql, "a", await listDispatchable(rows.sql, "standard", 2));
  await settleSubtasks(rows.sql, [done(one!)]);
  const refs = await listDispatchable(rows.sql, "standard", 10);
  const deps = { sql: rows.sql, log: silentLog };
  assert.equal(await cancelTask(deps, { taskId: task, userId: rows.user.id }), "cancelled");
  assert.equal((await claimSubtasks(rows.sql, "a", refs)).length, 0);
  assert.equal((await settleSubtasks(rows.sql, [done(two!)])).leases.size, 0);
  assert.deepEqual(await readTask(rows.sql, task), {
    status: "cancelled",
    all_subtasks_completed: true,
    cancelling: false,
    subtasks_total: 3,
    subtasks_completed: 1,
    subtasks_failed: 0,
    subtasks_cancelled: 2,
    notices: ["submitted"],
  });
  assert.equal(await cancelTask(deps, { taskId: task, userId: rows.user.id }), "already_ended");
});

Deno.test("cancelling and deleting check the owner and accept any text as an id", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["p"]);
  const deps = { sql: rows.sql, log: silentLog };
  const stranger = crypto.randomUUID();
  const userId = rows.user.id;
  for (const move of [cancelTask, deleteTask]) {
    assert.equal(await move(deps, { taskId: task, userId: stranger }), "forbidden");
    for (const taskId of ["nope", "", "'", crypto.randomUUID(), `${task}0`, "\0"]) {
      assert.equal(await move(deps, { taskId, userId }), "not_found");
    }
  }
  assert.equal(await deleteTask(deps, { taskId: task, userId }), "deleted");
  assert.equal((await readTask(rows.sql, task)).status, "cancelled");
  assert.equal(await cancelTask(deps, { taskId: task, userId }), "already_ended");
  assert.equal(await deleteTask(deps, { taskId: task, userId }), "deleted");
  assert.equal((await listDispatchable(rows.sql, "standard", 10)).length, 0);
});

Deno.test("cancelling a large task returns before all cells are swept, and none of them can start", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  const many = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name}${i}`);
  const task = await rows.submit(many(90, "p"), Array.from({ length: 80 }, (_, i) => i + 1));
  const refs = await listDispatchable(rows.sql, "standard", 50);
  await cancelTask({ sql: rows.sql, log: silentLog }, { taskId: task, userId: rows.user.id });
  const state = await readTask(rows.sql, task);
  assert.deepEqual([state.status, state.cancelling], ["cancelled", true]);
  assert.equal((await claimSubtasks(rows.sql, "a", refs)).length, 0);
  assert.equal((await listDispatchable(rows.sql, "standard", 50)).length, 0);
  await waitFor("the end of the sweep", async () => !await sweepCancelled(rows.sql, task, 1000));
  const after = await readTask(rows.sql, task);
  assert.deepEqual([after.subtasks_cancelled, after.cancelling, after.all_subtasks_completed], [
    7200,
    false,
    true,
  ]);
});

Deno.test("during a concurrent claim and cancellation, every cell is claimed or cancelled", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  const other = connect(rows.url, { max: 1 });
  for (let round = 0; round < 10; round++) {
    const task = await rows.submit(Array.from({ length: 30 }, (_, i) => `p${i}`));
    const refs = await listDispatchable(rows.sql, "standard", 30);
    const [claimed] = await Promise.all([
      claimSubtasks(other, "a", refs),
      cancelTask({ sql: rows.sql, log: silentLog }, { taskId: task, userId: rows.user.id }),
    ]);
    const states = await readSubtasks(rows.sql, task);
    // Cells that were claimed before the cancellation lost their leases.
    assert.ok(states.every(({ status, lease_id }) => status === "cancelled" && lease_id === null));
    assert.equal((await settleSubtasks(rows.sql, claimed.map((subtask) => done(subtask)))).leases.size, 0);
    assert.equal((await readTask(rows.sql, task)).subtasks_cancelled, 30);
  }
  await other.end();
});

Deno.test("a held task is neither dispatched nor claimed", async () => {
  await using rows = await openRows();
  await joinAll(rows, "a");
  const task = await rows.submit(["p", "q"]);
  const refs = await listDispatchable(rows.sql, "standard", 10);
  await rows.sql`update tasks set hold = 'pause' where id = ${task}`;
  assert.equal((await listDispatchable(rows.sql, "standard", 10)).length, 0);
  assert.equal((await claimSubtasks(rows.sql, "a", refs)).length, 0);
  await rows.sql`update tasks set hold = null where id = ${task}`;
  assert.equal((await claimSubtasks(rows.sql, "a", refs)).length, 2);
});
