/** Leases under two leaders, late answers, silent and stopping workers: the cases that the model found (docs/queue-model.md). */
import assert from "node:assert/strict";
import { connect, type Pool, type Sql } from "../../db/pg/connect.ts";
import { listDispatchable, releaseOrphans } from "../../db/queue/dispatch.ts";
import {
  beginAttempts,
  type ClaimedSubtask,
  claimSubtasks,
  retrySubtasks,
  saveRemoteIds,
  settleSubtasks,
} from "../../db/queue/subtasks.ts";
import { deadAfterMs, takeOverAfterMs } from "../../db/queue/times.ts";
import { deleteDeadWorkers, insertWorker, saveHeartbeat } from "../../db/queue/workers.ts";
import { reconcile } from "../../jobs/lead/reconcile.ts";
import type { AttemptDeps } from "../../jobs/work/attempt.ts";
import { Claims } from "../../jobs/work/claims.ts";
import { Crew } from "../../jobs/work/crew.ts";
import { Member } from "../../jobs/work/member.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { claim, done } from "../support/cells.ts";
import { openRows, readSubtasks, type Rows, startRig } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const overdueMs = 360_000;

const register = (sql: Sql, id: string) => insertWorker(sql, { id, host: "h", pid: 1, queues: ["standard"] });

/** Waits until a session of this name waits for a lock. */
const waitForLock = (sql: Pool, name: string) =>
  waitFor(`${name} to wait for a lock`, async () => {
    const rows = await sql`
      select from pg_stat_activity where application_name = ${name} and wait_event_type = 'Lock'`;
    return rows.length > 0;
  });

for (
  const [description, registersLate] of [["that was registered before", false], [
    "that registers meanwhile",
    true,
  ]] as const
) {
  Deno.test(`a leader that waited for another leader's release keeps the lease of a worker ${description}`, async () => {
    await using rows = await openRows();
    await register(rows.sql, "dead");
    if (!registersLate) await register(rows.sql, "heir");
    const task = await rows.submit(["p"]);
    const refs = await listDispatchable(rows.sql, "standard", 1);
    assert.equal((await claimSubtasks(rows.sql, "dead", refs)).length, 1);
    await rows.sql`update workers set heartbeat_at = now() - interval '7 s' where id = 'dead'`;
    await deleteDeadWorkers(rows.sql, 6000);
    const second = connect(rows.url, { max: 1, name: "second leader" });
    let releasing: Promise<unknown[]> | undefined;
    await rows.sql.begin(async (sql) => {
      assert.equal((await releaseOrphans(sql, overdueMs)).length, 1);
      releasing = releaseOrphans(second, overdueMs);
      await waitForLock(rows.sql, "second leader");
      if (registersLate) await register(sql, "heir");
      assert.equal((await claimSubtasks(sql, "heir", refs)).length, 1);
    });
    assert.equal((await releasing)!.length, 0);
    await second.end();
    const [row] = await readSubtasks(rows.sql, task);
    assert.deepEqual([row!.status, row!.worker_id], ["processing", "heir"]);
  });
}

/** Registers a worker that can hold leases but starts no attempts. */
async function openMember(rows: Rows) {
  const metrics = createMetrics();
  const unused = {} as AttemptDeps;
  const crew = new Crew({ queues: ["standard"], attempt: unused, log: silentLog, metrics, onEnd() {} });
  const member = new Member({
    sql: rows.sql,
    log: silentLog,
    metrics,
    crew,
    queues: ["standard"],
    heartbeatMs: 3_600_000,
  });
  await member.join();
  return {
    crew,
    member,
    metrics,
    claim: async () =>
      await claimSubtasks(rows.sql, member.id, await listDispatchable(rows.sql, "standard", 9)),
    countUnsaved: async () => (await metrics.unsavedPosts.get()).values[0]!.value,
    [Symbol.asyncDispose]: () => member.leave(0),
  };
}

Deno.test("a worker without heartbeats stops starting, then stops its POSTs, before it counts as dead", async () => {
  await using rows = await openRows();
  await using worker = await openMember(rows);
  const findDead = async () =>
    await rows.sql`select from workers where heartbeat_at < now() - ${deadAfterMs}::int * interval '1 ms'`;
  assert.deepEqual([worker.member.mayStart, worker.member.mayPost], [true, true]);
  await waitFor("no starts", () => !worker.member.mayStart, deadAfterMs);
  assert.equal(worker.member.mayPost, true);
  await waitFor("no POSTs", () => !worker.member.mayPost, deadAfterMs);
  assert.deepEqual([...await findDead()], []);
  await worker.member.runOnce();
  assert.deepEqual([worker.member.mayStart, worker.member.mayPost], [true, true]);
});

Deno.test("a lease is not released while the answer of the claim that may own it is outstanding", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["p"]);
  await using worker = await openMember(rows);
  const { promise, resolve } = Promise.withResolvers<ClaimedSubtask[]>();
  const claiming = worker.crew.claims.run(() => promise, () => {});
  await worker.claim();
  const states = async () => (await readSubtasks(rows.sql, task)).map(({ status }) => status);
  for (let checks = 0; checks < 3; checks++) await worker.member.runOnce();
  assert.deepEqual(await states(), ["processing"]);
  resolve([]);
  await claiming;
  await worker.member.runOnce();
  assert.deepEqual(await states(), ["pending"]);
});

Deno.test("concurrent checks count as one: a lease is released only after two checks found it unknown", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["p"]);
  await using worker = await openMember(rows);
  await worker.claim();
  await Promise.all([1, 2, 3].map(() => worker.member.runOnce()));
  assert.equal((await readSubtasks(rows.sql, task))[0]!.status, "processing");
  await worker.member.runOnce();
  assert.equal((await readSubtasks(rows.sql, task))[0]!.status, "pending");
});

Deno.test("a claim that is answered too late starts nothing, and its answer is passed on for release", async () => {
  const claims = new Claims(20);
  const { promise, resolve } = Promise.withResolvers<string>();
  const late: string[] = [];
  await assert.rejects(claims.run(() => promise, (answer) => late.push(answer)), /took too long/);
  assert.equal(claims.hasPendingClaimBefore(Infinity), false);
  resolve("rows");
  await waitFor("the late answer", () => late.length === 1);
});

Deno.test("releasing a subtask counts its POST only if the POST's id may be lost", async () => {
  await using rows = await openRows();
  await rows.submit(["p", "q"]);
  const worker = await openMember(rows);
  const [sent, unsent] = await worker.claim();
  worker.crew.unsent.add(unsent!.lease_id);
  await rows.sql`update subtasks set remote_id = 'job' where id = ${sent!.id}`;
  await worker.member.leave(0);
  assert.equal(await worker.countUnsaved(), 0);
  await using other = await openMember(rows);
  await rows.sql`update subtasks set remote_id = null, intent_at = null`;
  assert.equal((await other.claim()).length, 2);
  for (let checks = 0; checks < 2; checks++) await other.member.runOnce();
  assert.equal(await other.countUnsaved(), 2);
});

Deno.test("a worker that stops during a POST counts it as possibly lost", async () => {
  await using rig = await startRig();
  const worker = await rig.startWorker({ slots: 1 });
  const task = await rig.submit(["@@create:hang"]);
  await waitFor("the POST", () => rig.api.posts.length === 1);
  await worker.stop();
  assert.equal((await worker.metrics.unsavedPosts.get()).values[0]!.value, 1);
  const [row] = await readSubtasks(rig.sql, task);
  assert.deepEqual([row!.status, row!.remote_id, row!.attempt], ["pending", null, 1]);
});

Deno.test("a claim that is answered while its worker stops starts nothing and uses no attempt", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["p"]);
  const worker = await openMember(rows);
  const slots = worker.crew.slots.get("standard")!;
  await worker.crew.handOverAll(0);
  const [claimed] = await worker.claim();
  assert.equal(worker.crew.start(claimed!, slots, performance.now()), false);
  assert.equal(worker.crew.size, 0);
  await worker.member.leave(0);
  const [row] = await readSubtasks(rows.sql, task);
  assert.deepEqual([row!.status, row!.attempt, row!.lease_id], ["pending", 0, null]);
  assert.equal(await worker.countUnsaved(), 0);
});

const silence = ({ sql }: Rows) =>
  sql`update workers set heartbeat_at = now() - interval '1 minute' where id = 'a'`;

/** A retry that waits for an hour. */
const retryOf = (subtask: ClaimedSubtask) => ({
  ...subtask,
  retry_count: 1,
  attempt: 2,
  error: "e",
  wait_ms: 3_600_000,
});

/** Claims three cells: one whose job is saved, one that waits to be repeated, one whose POST may be under way. */
async function claimThree(rows: Rows) {
  await register(rows.sql, "a");
  await register(rows.sql, "b");
  const task = await rows.submit(["p", "q", "r"]);
  const [saved, waiting, sent] = await claim(rows.sql);
  await saveRemoteIds(rows.sql, [{ ...saved!, remote_id: "job-1" }]);
  await retrySubtasks(rows.sql, [retryOf(waiting!)]);
  return { task, saved: saved!, waiting: waiting!, sent: sent! };
}

const release = async ({ sql }: Rows) =>
  (await releaseOrphans(sql, overdueMs, takeOverAfterMs)).map(({ id }) => id).sort();

Deno.test("others take over what costs nothing from a silent worker, and nothing from a current one", async () => {
  await using rows = await openRows();
  const { task, saved, waiting, sent } = await claimThree(rows);
  assert.deepEqual(await release(rows), []);
  await silence(rows);
  assert.deepEqual((await releaseOrphans(rows.sql, overdueMs)).length, 0);
  assert.deepEqual(await release(rows), [saved.id, waiting.id].sort());
  // The worker lives: it can save the id of its POST, and it has lost the other two.
  assert.equal((await saveRemoteIds(rows.sql, [{ ...sent, remote_id: "job-3" }])).size, 1);
  assert.equal((await beginAttempts(rows.sql, [waiting])).size, 0);
  assert.equal((await settleSubtasks(rows.sql, [done(saved)])).leases.size, 0);
  const [next] = await claim(rows.sql, 100, "b");
  assert.deepEqual([next!.id, next!.remote_id, next!.attempt], [saved.id, "job-1", 1]);
  assert.equal(await saveHeartbeat(rows.sql, "a"), true);
  assert.equal((await settleSubtasks(rows.sql, [done(sent)])).leases.size, 1);
  assert.equal((await readSubtasks(rows.sql, task)).filter(({ status }) => status === "completed").length, 1);
});

Deno.test("an attempt that begins while a leader takes it over keeps its lease", async () => {
  await using rows = await openRows();
  const { saved, waiting } = await claimThree(rows);
  await silence(rows);
  const leader = connect(rows.url, { max: 1, name: "leader" });
  let releasing: Promise<{ id: string }[]> | undefined;
  await rows.sql.begin(async (sql) => {
    assert.equal((await beginAttempts(sql, [waiting])).size, 1);
    releasing = releaseOrphans(leader, overdueMs, takeOverAfterMs);
    await waitForLock(rows.sql, "leader");
  });
  assert.deepEqual((await releasing)!.map(({ id }) => id), [saved.id]);
  await leader.end();
});

Deno.test("a leader judges silence only as far as its own heartbeats reach back", async () => {
  await using rows = await openRows();
  const { task } = await claimThree(rows);
  const deps = { sql: rows.sql, log: silentLog, metrics: createMetrics() };
  const states = async () => (await readSubtasks(rows.sql, task)).map(({ status }) => status).sort();
  const listWorkers = async () => (await rows.sql`select id from workers order by id`).map(({ id }) => id);
  await silence(rows);
  assert.equal(await reconcile(deps, takeOverAfterMs - 1), 0);
  assert.equal(await reconcile(deps, takeOverAfterMs + 1), 2);
  assert.deepEqual([await states(), await listWorkers()], [["pending", "pending", "processing"], ["a", "b"]]);
  assert.equal((await deps.metrics.unsavedPosts.get()).values[0]!.value, 0);
  assert.equal(await reconcile(deps, deadAfterMs + 1), 1);
  assert.deepEqual([await states(), await listWorkers()], [["pending", "pending", "pending"], ["b"]]);
  assert.equal((await deps.metrics.unsavedPosts.get()).values[0]!.value, 1);
});

Deno.test("a crew whose slots were withdrawn starts nothing from a claim of before", async () => {
  await using rows = await openRows();
  const { sent } = await claimThree(rows);
  const unused = {} as AttemptDeps;
  const metrics = createMetrics();
  const crew = new Crew({ queues: ["standard"], attempt: unused, log: silentLog, metrics, onEnd() {} });
  crew.setSlots("standard", 3);
  const slots = crew.slots.get("standard")!;
  const claimedAt = performance.now();
  crew.withdrawSlots();
  assert.deepEqual([slots.max, crew.start(sent, slots, claimedAt), crew.size], [0, false, 0]);
});
