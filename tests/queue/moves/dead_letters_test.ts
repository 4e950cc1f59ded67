/** The history of failed attempts, and the listing and replay of dead letters. */
import assert from "node:assert/strict";
import { countCauses, listAttempts } from "../../../db/queue/attempts.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { releaseOrphans } from "../../../db/queue/dispatch.ts";
import { retrySubtasks, saveRemoteIds, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { cancelTask } from "../../../jobs/moves/cancel.ts";
import { pauseTask } from "../../../jobs/moves/control.ts";
import { inspectCell, readDeadLetters, replayDeadLetters } from "../../../jobs/moves/dead_letters.ts";
import { silentLog } from "../../../log.ts";
import { claim, done, failed, join } from "../../support/cells.ts";
import {
  openRows,
  readSubtasks,
  readTask,
  type Rows,
  startRig,
  waitForEnd,
} from "../../support/queue_rig.ts";

const short = async (sql: Pool, task: string, cell = 0) =>
  (await inspectCell(sql, task, cell))?.map(({ attempt, outcome, reason, worker_id, remote_id }) => ({
    attempt,
    outcome,
    reason,
    worker_id,
    remote_id,
  }));

Deno.test("the history of an attempt has its number, worker, times, remote job and reason", async () => {
  await using rig = await startRig();
  const worker = await rig.startWorker({ slots: 3, random: () => 0 });
  const task = await rig.submit(["a @@poll:TIMEOUT*2", "b @@create:451", "c"]);
  await waitForEnd(rig.sql, task);
  const [timeouts, illegal, once] = await Promise.all(
    [0, 1, 2].map(async (cell) => (await inspectCell(rig.sql, task, cell))!),
  );
  assert.deepEqual(timeouts!.map(({ attempt, outcome }) => [attempt, outcome]), [
    [1, "timeout"],
    [2, "timeout"],
    [3, "done"],
  ]);
  for (const { worker_id, started_at, ended_at, remote_id } of timeouts!) {
    assert.equal(worker_id, worker.id);
    assert.ok(remote_id !== null && started_at !== null && ended_at! >= started_at);
  }
  assert.equal(new Set(timeouts!.map(({ remote_id }) => remote_id)).size, 3);
  assert.match(timeouts![0]!.reason!, /TIMEOUT/);
  assert.deepEqual(illegal!.map(({ attempt, outcome, remote_id }) => [attempt, outcome, remote_id]), [
    [1, "illegal", null],
  ]);
  assert.deepEqual(once!.map(({ attempt, outcome }) => [attempt, outcome]), [[1, "done"]]);
  assert.match(once![0]!.image_url!, /^http/);
  const [{ count }] = await rig
    .sql`select count(*)::int as count from attempts where outcome = 'done'` as unknown as [
      { count: number },
    ];
  assert.equal(count, 1, "a success in the first attempt adds no row");
});

Deno.test("an attempt is recorded once, even if its end is written twice", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await rows.submit(["p"]);
  const [one] = await claim(rows.sql);
  await saveRemoteIds(rows.sql, [{ ...one!, remote_id: "job-1" }]);
  const retry = {
    ...one!,
    outcome: "timeout",
    reason: "slow",
    retry_count: 1,
    attempt: 2,
    error: "e",
    wait_ms: 0,
  } as const;
  for (let i = 0; i < 2; i++) assert.equal((await retrySubtasks(rows.sql, [retry])).size, 1);
  await saveRemoteIds(rows.sql, [{ ...one!, remote_id: "job-2" }]);
  for (let i = 0; i < 2; i++) await settleSubtasks(rows.sql, [failed(one!)]);
  assert.deepEqual(await short(rows.sql, task), [
    { attempt: 1, outcome: "timeout", reason: "slow", worker_id: "a", remote_id: "job-1" },
    { attempt: 2, outcome: "error", reason: "图像接口返回 HTTP 500", worker_id: "a", remote_id: "job-2" },
  ]);
});

Deno.test("a write under a stale lease records nothing in the history", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await rows.submit(["p"]);
  const [one] = await claim(rows.sql);
  await rows.sql`update subtasks set lease_id = nextval('lease_ids')`;
  await settleSubtasks(rows.sql, [failed(one!)]);
  await retrySubtasks(rows.sql, [{ ...one!, retry_count: 1, attempt: 2, error: "e", wait_ms: 0 }]);
  assert.deepEqual(await short(rows.sql, task), []);
});

Deno.test("an attempt whose worker died is recorded as lost, unless its remote job can be taken over", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await rows.submit(["p", "q"]);
  const claimed = await claim(rows.sql);
  const saved = claimed.find(({ cell }) => cell === 1)!;
  await saveRemoteIds(rows.sql, [{ ...saved, remote_id: "job-1" }]);
  await rows.sql`delete from workers`;
  assert.equal((await releaseOrphans(rows.sql, 360_000)).length, 2);
  assert.deepEqual(
    (await short(rows.sql, task, 0))!.map(({ attempt, outcome, worker_id }) => [attempt, outcome, worker_id]),
    [
      [1, "lost", "a"],
    ],
  );
  assert.deepEqual(await short(rows.sql, task, 1), []);
  const losses = await rows.sql<{ losses: number }[]>`select losses from subtasks`;
  assert.deepEqual(losses.map(({ losses }) => losses), [1, 1]);
});

Deno.test("a cell fails after it has lost twenty workers, but not because of a high attempt number", async () => {
  await using rig = await startRig();
  const task = await rig.submit(["p", "q"]);
  await rig.sql`update subtasks set losses = 20 where cell = 0`;
  await rig.sql`update subtasks set attempt = 300 where cell = 1`;
  await rig.startWorker({ slots: 2 });
  await waitForEnd(rig.sql, task);
  const [poison, stubborn] = await readSubtasks(rig.sql, task);
  assert.deepEqual([poison!.status, stubborn!.status], ["failed", "completed"]);
  assert.match(poison!.error!, /已开始 20 次，工作进程每次都中断/);
  assert.equal(rig.api.posts.length, 1);
});

const causes: [string | null, string][] = [
  ["已尝试 5 次: 图像接口返回 TIMEOUT", "图像接口返回 TIMEOUT"],
  ["第 1 次尝试失败: 图像接口返回 HTTP 500", "图像接口返回 HTTP 500"],
  ["内容不合规 (HTTP 451)", "内容不合规 (HTTP 451)"],
  ["job 2f1c8a3e-0000-4000-8000-00000000abcd is gone", "job … is gone"],
  ["GET http://10.0.0.1:80/a?b=c: 502", "GET … 502"],
  ["at 1732329600 in 12 s", "at … in 12 s"],
  ["已尝试 2 次: ", "unknown"],
  ["", "unknown"],
  [null, "unknown"],
];
Deno.test("errors that differ only in details have the same cause", async () => {
  await using rows = await openRows();
  for (const [error, cause] of causes) {
    const [row] = await rows.sql<{ cause: string }[]>`select failure_cause(${error}::text) as cause`;
    assert.equal(row!.cause, cause, String(error));
  }
});

/** Creates two tasks: one with failures 451 and 500, one with a failure 500. */
async function twoTasks(rows: Rows): Promise<[string, string]> {
  await join(rows.sql);
  const one = await rows.submit(["p", "q"]);
  const [p, q] = await claim(rows.sql);
  await settleSubtasks(rows.sql, [failed(p!, "内容不合规 (HTTP 451)"), failed(q!)]);
  const two = await rows.submit(["r", "s"]);
  const [r, s] = await claim(rows.sql);
  await settleSubtasks(rows.sql, [failed(r!), done(s!)]);
  return [one, two];
}

Deno.test("dead letters are listed newest first, filtered by task, cause and time, with counted causes", async () => {
  await using rows = await openRows();
  const [one, two] = await twoTasks(rows);
  const all = await readDeadLetters(rows.sql, {});
  assert.deepEqual(all.letters.map(({ task_id }) => task_id), [two, one, one]);
  assert.deepEqual([...all.causes], [
    { cause: "图像接口返回 HTTP 500", cells: 2 },
    { cause: "内容不合规 (HTTP 451)", cells: 1 },
  ]);
  const count = async (filter: Parameters<typeof countCauses>[1]) =>
    (await readDeadLetters(rows.sql, filter)).letters.length;
  assert.equal(await count({ taskId: one }), 2);
  assert.equal(await count({ cause: "http 4" }), 1);
  assert.equal(await count({ taskId: two, cause: "451" }), 0);
  assert.equal(await count({ since: new Date(Date.now() + 60_000) }), 0);
  assert.equal(await count({ since: new Date(Date.now() - 60_000) }), 3);
  assert.equal((await readDeadLetters(rows.sql, {}, 1)).letters.length, 1);
  await rows.sql`update tasks set is_deleted = true where id = ${two}`;
  assert.equal(await count({}), 2);
});

Deno.test("replay draws matching dead letters of all tasks, but not of cancelled ones", async () => {
  await using rows = await openRows();
  const [one, two] = await twoTasks(rows);
  const deps = { sql: rows.sql, log: silentLog };
  const cancelled = await rows.submit(["t", "u"]);
  const [t] = await claim(rows.sql, 1);
  await settleSubtasks(rows.sql, [failed(t!)]);
  await cancelTask(deps, { taskId: cancelled, userId: rows.user.id });
  const held = await rows.submit(["v", "w"]);
  const [v] = await claim(rows.sql, 1);
  await settleSubtasks(rows.sql, [failed(v!)]);
  await pauseTask(deps, { taskId: held, userId: rows.user.id });
  assert.deepEqual(await replayDeadLetters(deps, { cause: "http 500" }), { tasks: 3, cells: 3, held: 1 });
  assert.deepEqual(await replayDeadLetters(deps, { cause: "http 500" }), { tasks: 0, cells: 0, held: 0 });
  const failures = await Promise.all([one, two, cancelled, held].map((task) => readTask(rows.sql, task)));
  assert.deepEqual(failures.map(({ status, subtasks_failed }) => [status, subtasks_failed]), [
    ["processing", 1],
    ["processing", 0],
    ["cancelled", 1],
    ["processing", 0],
  ]);
});

Deno.test("the history of a cell survives its replay and continues", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const task = await rows.submit(["p"]);
  await settleSubtasks(rows.sql, (await claim(rows.sql)).map((one) => failed(one, "first")));
  await replayDeadLetters(deps, { taskId: task });
  const [again] = await claim(rows.sql);
  await settleSubtasks(rows.sql, [{ ...done(again!), retry_count: 0 }]);
  assert.deepEqual(
    (await listAttempts(rows.sql, task, again!.id)).map((
      { attempt, outcome, reason },
    ) => [attempt, outcome, reason]),
    [
      [1, "error", "first"],
      [2, "done", null],
    ],
  );
  assert.equal(await inspectCell(rows.sql, task, 7), undefined);
});
