/** What two leaders, late answers and leaving workers may do to a lease: the cases the model found. */
import assert from "node:assert/strict";
import { connect, type Pool, type Sql } from "../../db/pg/connect.ts";
import { listDispatchable, releaseOrphans } from "../../db/queue/dispatch.ts";
import { type ClaimedSubtask, claimSubtasks } from "../../db/queue/subtasks.ts";
import { deleteDeadWorkers, insertWorker } from "../../db/queue/workers.ts";
import type { AttemptDeps } from "../../jobs/work/attempt.ts";
import { Claims } from "../../jobs/work/claims.ts";
import { Crew } from "../../jobs/work/crew.ts";
import { Member } from "../../jobs/work/member.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { openRows, readSubtasks, type Rows, startRig } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const overdueMs = 360_000;

const join = (sql: Sql, id: string) => insertWorker(sql, { id, host: "h", pid: 1, queues: ["standard"] });

/** Waits until a session of this name waits for a lock. */
const waitForLock = (sql: Pool, name: string) =>
  waitFor(`${name} to wait for a lock`, async () => {
    const rows = await sql`
      select from pg_stat_activity where application_name = ${name} and wait_event_type = 'Lock'`;
    return rows.length > 0;
  });

for (
  const [who, joinsLate] of [["that was there before", false], ["that signs in meanwhile", true]] as const
) {
  Deno.test(`a leader that waited for another leader's release leaves the lease of a worker ${who}`, async () => {
    await using rows = await openRows();
    await join(rows.sql, "dead");
    if (!joinsLate) await join(rows.sql, "heir");
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
      if (joinsLate) await join(sql, "heir");
      assert.equal((await claimSubtasks(sql, "heir", refs)).length, 1);
    });
    assert.equal((await releasing)!.length, 0);
    await second.end();
    const [row] = await readSubtasks(rows.sql, task);
    assert.deepEqual([row!.status, row!.worker_id], ["processing", "heir"]);
  });
}

/** A worker that has signed in and may hold leases, with nothing that would begin an attempt. */
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

Deno.test("a lease is not given back while the claim that may have brought it is unanswered", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["p"]);
  await using worker = await openMember(rows);
  const { promise, resolve } = Promise.withResolvers<ClaimedSubtask[]>();
  const claiming = worker.crew.claims.run(() => promise, () => {});
  await worker.claim();
  const states = async () => (await readSubtasks(rows.sql, task)).map(({ status }) => status);
  for (let looks = 0; looks < 3; looks++) await worker.member.runOnce();
  assert.deepEqual(await states(), ["processing"]);
  resolve([]);
  await claiming;
  await worker.member.runOnce();
  assert.deepEqual(await states(), ["pending"]);
});

Deno.test("two looks at once count as one: a lease is strange twice only when two looks saw it", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["p"]);
  await using worker = await openMember(rows);
  await worker.claim();
  await Promise.all([1, 2, 3].map(() => worker.member.runOnce()));
  assert.equal((await readSubtasks(rows.sql, task))[0]!.status, "processing");
  await worker.member.runOnce();
  assert.equal((await readSubtasks(rows.sql, task))[0]!.status, "pending");
});

Deno.test("a claim answered too late begins nothing, and its answer is handed on to be given back", async () => {
  const claims = new Claims(20);
  const { promise, resolve } = Promise.withResolvers<string>();
  const late: string[] = [];
  await assert.rejects(claims.run(() => promise, (answer) => late.push(answer)), /took too long/);
  assert.equal(claims.hasPendingClaimBefore(Infinity), false);
  resolve("rows");
  await waitFor("the late answer", () => late.length === 1);
});

Deno.test("a POST whose id may be lost is counted when its subtask is given back, and only then", async () => {
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
  for (let looks = 0; looks < 2; looks++) await other.member.runOnce();
  assert.equal(await other.countUnsaved(), 2);
});

Deno.test("a worker that leaves while its POST hangs counts it as one that may be lost", async () => {
  await using rig = await startRig();
  const worker = await rig.startWorker({ slots: 1 });
  const task = await rig.submit(["@@create:hang"]);
  await waitFor("the POST", () => rig.api.posts.length === 1);
  await worker.stop();
  assert.equal((await worker.metrics.unsavedPosts.get()).values[0]!.value, 1);
  const [row] = await readSubtasks(rig.sql, task);
  assert.deepEqual([row!.status, row!.remote_id, row!.attempt], ["pending", null, 1]);
});

Deno.test("a claim that is answered while its worker leaves begins nothing and burns no attempt", async () => {
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
