/** The rules of `jobs/image/retry.ts`, checked in the rows and by the POSTs to the image API. */
import assert from "node:assert/strict";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { claimSubtasks } from "../../db/queue/subtasks.ts";
import { insertWorker } from "../../db/queue/workers.ts";
import { runAttempt } from "../../jobs/work/attempt.ts";
import { callHttp } from "../../http.ts";
import { createWrites } from "../../jobs/work/settle.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { readSubtasks, readTask, startRig, waitForEnd } from "../support/queue_rig.ts";

/** A script of the fake image API and its effect. */
interface Case {
  script: string;
  status: "completed" | "failed";
  retry_count: number;
  /** Number of attempts, with one POST each. */
  posts: number;
  error: RegExp | null;
}

const pollLimit = "4 polls per job";
const cases: Case[] = [
  { script: "a cat", status: "completed", retry_count: 0, posts: 1, error: null },
  { script: "@@poll:TIMEOUT", status: "failed", retry_count: 5, posts: 5, error: /TIMEOUT/ },
  { script: "@@poll:TIMEOUT*2", status: "completed", retry_count: 2, posts: 3, error: /TIMEOUT/ },
  { script: "@@create:451", status: "failed", retry_count: 1, posts: 1, error: /451/ },
  { script: "@@poll:ILLEGAL_IMAGE", status: "failed", retry_count: 1, posts: 1, error: /ILLEGAL_IMAGE/ },
  { script: "@@poll:FAILURE", status: "failed", retry_count: 2, posts: 2, error: /FAILURE/ },
  { script: "@@poll:FAILURE*1", status: "completed", retry_count: 1, posts: 2, error: /FAILURE/ },
  { script: "@@poll:WEIRD", status: "failed", retry_count: 2, posts: 2, error: /FAILURE/ },
  { script: "@@create:500", status: "failed", retry_count: 2, posts: 2, error: /500/ },
  { script: "@@create:500*1", status: "completed", retry_count: 1, posts: 2, error: /500/ },
  { script: "@@create:nouuid", status: "failed", retry_count: 2, posts: 2, error: /./ },
  { script: "@@create:text", status: "failed", retry_count: 2, posts: 2, error: /JSON/ },
  { script: "@@poll:EMPTY", status: "failed", retry_count: 2, posts: 2, error: /./ },
  { script: "@@poll:404", status: "failed", retry_count: 2, posts: 2, error: /./ },
  { script: "@@poll:text", status: "failed", retry_count: 2, posts: 2, error: /./ },
  { script: "@@poll:PENDING", status: "failed", retry_count: 2, posts: 2, error: /./ },
];

Deno.test(`every row of the retry table has its count, reason and POSTs (${pollLimit})`, async () => {
  await using rig = await startRig({ env: { IMAGE_MAX_POLLING_ATTEMPTS: "4" } });
  await rig.startWorker({ slots: cases.length, random: () => 0 });
  const started = performance.now();
  const tasks = await Promise.all(cases.map(({ script }) => rig.submit([script])));
  for (const [i, task] of tasks.entries()) {
    const { script, status, retry_count, posts, error } = cases[i]!;
    const ended = await waitForEnd(rig.sql, task);
    assert.equal(ended.status, status, script);
    const [subtask] = await readSubtasks(rig.sql, task);
    assert.deepEqual([subtask!.status, subtask!.retry_count], [status, retry_count], script);
    if (error === null) assert.equal(subtask!.error, null, script);
    else assert.match(subtask!.error ?? "", error, script);
    const value = JSON.stringify(script);
    assert.equal(rig.api.posts.filter(({ body }) => body.includes(value)).length, posts, script);
    assert.equal(subtask!.attempt, posts, script);
    assert.equal((await readTask(rig.sql, task)).notices.at(-1), status, script);
  }
  // All errors wait three seconds in their slots at the same time. No wait is longer.
  const tookMs = performance.now() - started;
  assert.ok(tookMs > 3_000 && tookMs < 60_000, `took ${tookMs} ms`);
});

Deno.test("all attempts of a subtask use the same random seed", async () => {
  await using rig = await startRig();
  await rig.startWorker();
  const task = await rig.submit(["@@poll:TIMEOUT*3"], []);
  assert.equal((await waitForEnd(rig.sql, task)).status, "completed");
  const seeds = rig.api.posts.map(({ body }) => JSON.parse(body).seed);
  assert.equal(seeds.length, 4);
  assert.equal(new Set(seeds).size, 1);
});

Deno.test("an attempt beyond its time limit is a timeout, and five timeouts are a failure", async () => {
  await using rig = await startRig();
  await rig.startWorker({ attemptMs: 150 });
  const task = await rig.submit(["@@poll:PENDING"]);
  assert.equal((await waitForEnd(rig.sql, task)).status, "failed");
  const [subtask] = await readSubtasks(rig.sql, task);
  assert.equal(subtask!.retry_count, 5);
  assert.equal(rig.api.posts.length, 5);
});

Deno.test("a task with completed and failed subtasks is partially completed", async () => {
  await using rig = await startRig();
  await rig.startWorker({ random: () => 0 });
  const task = await rig.submit(["ok", "@@poll:ILLEGAL_IMAGE", "@@create:500*1"]);
  const { status, subtasks_completed, subtasks_failed, notices } = await waitForEnd(rig.sql, task);
  assert.deepEqual({ status, subtasks_completed, subtasks_failed, notices }, {
    status: "completed",
    subtasks_completed: 2,
    subtasks_failed: 1,
    notices: ["submitted", "partial"],
  });
});

Deno.test("no POST follows an old claim or an old heartbeat, since another worker may own the subtask", async () => {
  await using rig = await startRig();
  const task = await rig.submit(["p"]);
  await insertWorker(rig.sql, { id: "late", host: "h", pid: 1, queues: ["standard"] });
  const [claimed] = await claimSubtasks(rig.sql, "late", await listDispatchable(rig.sql, "standard", 1));
  const never = new AbortController().signal;
  let mayPost = true;
  const deps = {
    backendOf: () => ({ http: callHttp, baseUrl: rig.api.url, token: "t", pollMs: 10, pollsMax: 10 }),
    writes: createWrites({ sql: rig.sql, log: silentLog, signal: never }),
    mayPost: () => mayPost,
    log: silentLog,
    metrics: createMetrics(),
    attemptMs: 1_000,
    random: () => 0,
  };
  const stops = { drop: never, handOver: never };
  const fiveSecondsAgo = performance.now() - 5_000;
  assert.deepEqual(await runAttempt(claimed!, deps, stops, fiveSecondsAgo), { kind: "lost" });
  mayPost = false;
  assert.deepEqual(await runAttempt(claimed!, deps, stops), { kind: "lost" });
  assert.equal(rig.api.posts.length, 0);
  mayPost = true;
  assert.deepEqual(await runAttempt(claimed!, deps, stops), { kind: "completed" });
  assert.equal((await readTask(rig.sql, task)).status, "completed");
});
