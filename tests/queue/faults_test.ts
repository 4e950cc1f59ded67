/** Faults of workers, Redis and PostgreSQL: nothing is lost, repeated or paid for twice. */
import assert from "node:assert/strict";
import { startRedis } from "../../dev/servers/redis.ts";
import { openRedis } from "../../redis/connect.ts";
import { readSubtasks, readTask, type Rig, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const project = new URL("../../", import.meta.url);
const workerRun = ["run", "--quiet", "--no-prompt", "-P=worker", new URL("jobs/main.ts", project).pathname];

interface WorkerProcess {
  child: Deno.ChildProcess;
  output: () => string;
}

/** Starts a worker process with the permissions of the task `worker`. */
async function spawnWorker(rig: Rig, args: string[] = []): Promise<WorkerProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...workerRun, ...args],
    cwd: project,
    env: { ...rig.env, LOG_LEVEL: "INFO" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let output = "";
  const piped = child.stderr.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({ write: (text) => void (output += text) }),
  );
  void piped.catch(() => {});
  try {
    await waitFor("the worker process to start", () => output.includes("worker started"));
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`the worker process did not start: ${output}`, { cause: error });
  }
  return { child, output: () => output };
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `prompt ${i}`);

async function countStatus(rig: Rig, task: string, status: string): Promise<number> {
  return (await readSubtasks(rig.sql, task)).filter((subtask) => subtask.status === status).length;
}

/** Draws a task of four cells without delay. @returns its id */
async function waitForQuick(rig: Rig): Promise<string> {
  const task = await rig.submit(names(4).map((name) => `quick ${name}`));
  await waitForEnd(rig.sql, task);
  return task;
}

/** Checks that each cell had one POST. Bodies differ by prompt and seed. */
function assertPaidOnce(rig: Rig, cells: number): void {
  const bodies = rig.api.posts.map(({ body }) => body);
  assert.equal(new Set(bodies).size, cells);
  assert.equal(bodies.length, cells);
}

/** Checks that all cells are completed and the task has its notices. */
async function assertAllDone(rig: Rig, task: string, cells: number): Promise<void> {
  const state = await readTask(rig.sql, task);
  assert.deepEqual(
    [state.status, state.subtasks_completed, state.subtasks_failed, state.subtasks_cancelled],
    ["completed", cells, 0, 0],
  );
  assert.deepEqual(state.notices, ["submitted", "completed"]);
  for (const { status, lease_id, worker_id } of await readSubtasks(rig.sql, task)) {
    assert.deepEqual([status, lease_id, worker_id], ["completed", null, null]);
  }
}

Deno.test("after kill -9 of a worker, another one polls its jobs and nothing is paid for twice", async () => {
  await using rig = await startRig({ delayMs: 1_500 });
  const victim = await spawnWorker(rig, ["--slots", "6"]);
  const task = await rig.submit(names(12));
  await waitFor("six remote jobs to be saved", async () => {
    return (await readSubtasks(rig.sql, task)).filter(({ remote_id }) => remote_id !== null).length === 6;
  });
  victim.child.kill("SIGKILL");
  await victim.child.status;
  await rig.startWorker({ slots: 6 });
  await waitFor("the killed worker's subtasks to be claimed again", async () => {
    const subtasks = await readSubtasks(rig.sql, task);
    return subtasks.every(({ worker_id }) =>
      worker_id === null || !worker_id.includes(`-${victim.child.pid}-`)
    );
  });
  await waitForEnd(rig.sql, task);
  await assertAllDone(rig, task, 12);
  assertPaidOnce(rig, 12);
});

Deno.test("a worker that was frozen for too long changes nothing after its work was taken over", async () => {
  await using rig = await startRig({ delayMs: 800 });
  const frozen = await spawnWorker(rig, ["--slots", "4"]);
  const task = await rig.submit(names(8));
  await waitFor("four remote jobs to be saved", async () => {
    return (await readSubtasks(rig.sql, task)).filter(({ remote_id }) => remote_id !== null).length === 4;
  });
  frozen.child.kill("SIGSTOP");
  await rig.startWorker({ slots: 4 });
  await waitForEnd(rig.sql, task);
  const ended = await readTask(rig.sql, task);
  await waitFor("the worker to count as dead", async () => {
    return (await rig.sql`select from workers where pid = ${frozen.child.pid}`).length === 0;
  });
  frozen.child.kill("SIGCONT");
  await waitFor("the worker to notice", () => frozen.output().includes("declared dead"));
  frozen.child.kill("SIGTERM");
  assert.equal((await frozen.child.status).code, 0);
  assert.deepEqual(await readTask(rig.sql, task), ended);
  await assertAllDone(rig, task, 8);
  assertPaidOnce(rig, 8);
});

Deno.test("a worker that was frozen during a POST saves its id and goes on; its other jobs are polled elsewhere", async () => {
  const gate = Promise.withResolvers<void>();
  let creates = 0;
  await using rig = await startRig({
    delayMs: 500,
    disturb: async (call) => void (call === "create" && ++creates === 4 && await gate.promise),
  });
  const frozen = await spawnWorker(rig, ["--slots", "4"]);
  const { pid } = frozen.child;
  const task = await rig.submit(names(4));
  await waitFor("three remote jobs to be saved during the fourth POST", async () => {
    const saved = (await readSubtasks(rig.sql, task)).filter(({ remote_id }) => remote_id !== null);
    return saved.length === 3 && creates === 4;
  });
  frozen.child.kill("SIGSTOP");
  // Silent for as long as this test takes, and never dead.
  const silence = setInterval(() =>
    void rig.sql`
      update workers set heartbeat_at = now() - interval '4 s'
      where pid = ${pid} and heartbeat_at < now() - interval '4 s'`.catch(() => {}), 100);
  using _cleanup = { [Symbol.dispose]: () => clearInterval(silence) };
  gate.resolve();
  await rig.startWorker({ slots: 4 });
  await waitFor("three cells to end elsewhere", async () => await countStatus(rig, task, "completed") === 3);
  const [kept] = (await readSubtasks(rig.sql, task)).filter(({ status }) => status !== "completed");
  assert.deepEqual([kept!.status, kept!.remote_id], ["processing", null]);
  assert.ok(kept!.worker_id!.includes(`-${pid}-`));
  const [row] = await rig.sql`select slots ->> 'standard' as slots from workers where pid = ${pid}`;
  assert.equal(row!.slots, "1");
  frozen.child.kill("SIGCONT");
  await waitForEnd(rig.sql, task);
  frozen.child.kill("SIGTERM");
  assert.equal((await frozen.child.status).code, 0);
  assert.ok(!frozen.output().includes("declared dead"), frozen.output());
  await assertAllDone(rig, task, 4);
  assertPaidOnce(rig, 4);
});

Deno.test("SIGTERM hands remote jobs over by their ids without waiting for them and without a new attempt", async () => {
  await using rig = await startRig({ delayMs: 6_000 });
  const first = await spawnWorker(rig, ["--slots", "5"]);
  const task = await rig.submit(names(10));
  await waitFor("five remote jobs to be saved", async () => {
    return (await readSubtasks(rig.sql, task)).filter(({ remote_id }) => remote_id !== null).length === 5;
  });
  const signalledAt = performance.now();
  first.child.kill("SIGTERM");
  const { code } = await first.child.status;
  const tookMs = performance.now() - signalledAt;
  assert.equal(code, 0, first.output());
  // Ten times the limit for a graceful end.
  assert.ok(tookMs < 30_000, `took ${tookMs} ms`);
  const afterwards = await readSubtasks(rig.sql, task);
  assert.ok(afterwards.every(({ status }) => status === "pending" || status === "completed"));
  assert.ok(
    afterwards.filter(({ remote_id, status }) => status === "pending" && remote_id !== null).length > 0,
  );
  assert.ok(afterwards.every(({ retry_count }) => retry_count === 0));
  const second = await spawnWorker(rig, ["--slots", "10", "--once"]);
  assert.equal((await second.child.status).code, 0, second.output());
  await assertAllDone(rig, task, 10);
  assertPaidOnce(rig, 10);
  assert.ok((await readSubtasks(rig.sql, task)).every(({ attempt }) => attempt === 1));
  assert.equal((await rig.sql`select from workers`).length, 0);
});

Deno.test("a worker process with its normal permissions draws over REST", async () => {
  await using rig = await startRig({ transport: "rest" });
  const task = await rig.submit(names(5));
  const worker = await spawnWorker(rig, ["--once"]);
  assert.equal((await worker.child.status).code, 0, worker.output());
  await assertAllDone(rig, task, 5);
  assert.ok(rig.gateway!.commands > 0);
});

for (const transport of ["tcp", "rest"] as const) {
  Deno.test(`after FLUSHALL over ${transport}, every cell is drawn once`, async () => {
    await using rig = await startRig({ transport, delayMs: 30 });
    await rig.startWorker({ slots: 4 });
    const task = await rig.submit(names(60));
    const connection = openRedis(rig.redisAddress);
    for (const share of [10, 25, 40]) {
      await waitFor(`${share} images`, async () => await countStatus(rig, task, "completed") >= share);
      await connection.redis.flushall();
    }
    await connection.close();
    await waitForEnd(rig.sql, task);
    await assertAllDone(rig, task, 60);
    assertPaidOnce(rig, 60);
  });
}

Deno.test("while Redis is down, work continues from PostgreSQL; afterwards it uses Redis again", async () => {
  await using rig = await startRig({ delayMs: 30 });
  await rig.startWorker({ slots: 4 });
  const first = await rig.submit(names(40));
  await waitFor("some images", async () => await countStatus(rig, first, "completed") >= 8);
  await rig.redis.stop();
  const second = await rig.submit(names(12).map((name) => `while away, ${name}`));
  await waitForEnd(rig.sql, first);
  await waitForEnd(rig.sql, second);
  await using back = await startRedis({ port: Number(new URL(rig.redis.url).port) });
  const third = await rig.submit(names(12).map((name) => `back again, ${name}`));
  await waitForEnd(rig.sql, third);
  await using connection = openRedis({ url: back.url });
  await waitFor("the streams to exist again", async () => {
    return (await connection.redis.keys("*stream*")).length === 3;
  });
  await assertAllDone(rig, first, 40);
  await assertAllDone(rig, second, 12);
  await assertAllDone(rig, third, 12);
  assertPaidOnce(rig, 64);
});

Deno.test("a worker that was declared dead drops its work and registers again", async () => {
  await using rig = await startRig({ delayMs: 4_000 });
  await rig.startWorker({ slots: 3 });
  const task = await rig.submit(names(3));
  await waitFor("three remote jobs", async () => {
    return (await readSubtasks(rig.sql, task)).every(({ remote_id }) => remote_id !== null);
  });
  const before = await rig.sql<{ id: string }[]>`delete from workers returning id`;
  await waitFor("a new registration", async () => {
    const now = await rig.sql<{ id: string }[]>`select id from workers`;
    return now.length === 1 && now[0]!.id !== before[0]!.id;
  });
  await waitForEnd(rig.sql, task);
  await assertAllDone(rig, task, 3);
  assertPaidOnce(rig, 3);
});

Deno.test("nothing is lost when PostgreSQL terminates connections", async () => {
  await using rig = await startRig({ delayMs: 20 });
  await rig.startWorker({ slots: 4 });
  const task = await rig.submit(names(80));
  for (const share of [10, 30, 50]) {
    await waitFor(`${share} images`, async () => await countStatus(rig, task, "completed") >= share);
    await rig.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;
  }
  await waitForEnd(rig.sql, task);
  const state = await readTask(rig.sql, task);
  assert.deepEqual([state.status, state.subtasks_completed], ["completed", 80]);
  assert.deepEqual(state.notices, ["submitted", "completed"]);
  assert.equal(new Set(rig.api.posts.map(({ body }) => body)).size, 80);
});

Deno.test("cancelling a running task aborts its attempts and frees their slots at once", async () => {
  await using rig = await startRig({ delayMs: (body) => body.includes("quick") ? 0 : 300_000 });
  const worker = await rig.startWorker({ slots: 4 });
  const long = await rig.submit(names(20));
  await waitFor("four running attempts", async () => await countStatus(rig, long, "processing") === 4);
  const { cancelTask } = await import("../../jobs/moves/cancel.ts");
  const { silentLog } = await import("../../log.ts");
  await cancelTask({ sql: rig.sql, log: silentLog }, { taskId: long, userId: rig.user.id });
  await waitFor("free slots", async () => {
    const { values } = await worker.metrics.slotsBusy.get();
    return values.every(({ value }) => value === 0);
  });
  assert.equal((await readTask(rig.sql, long)).subtasks_cancelled, 20);
  const posts = rig.api.posts.length;
  const polls = rig.api.countPolls();
  await assertAllDone(rig, await waitForQuick(rig), 4);
  assert.ok(posts <= 4);
  assert.equal(rig.api.posts.length, posts + 4);
  // One poll per job, and the polls that were running when their jobs were aborted.
  assert.ok(rig.api.countPolls() - polls <= 4 + 4);
});
