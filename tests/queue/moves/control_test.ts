/** Pause, resume, retry and re-run: their effects, repeated calls, and concurrent work of the workers. */
import assert from "node:assert/strict";
import { connect, type Pool } from "../../../db/pg/connect.ts";
import { applyCanaryHolds } from "../../../db/queue/canary.ts";
import { retryFailedRows } from "../../../db/queue/control.ts";
import { listDispatchable } from "../../../db/queue/dispatch.ts";
import { claimSubtasks, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { cancelTask } from "../../../jobs/moves/cancel.ts";
import { operator, pauseTask, rerunCell, resumeTask, retryFailed } from "../../../jobs/moves/control.ts";
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
import { waitFor } from "../../support/wait.ts";

const asOwner = (rows: Rows, taskId: string) => ({ taskId, userId: rows.user.id });

/** Submits a task with one cell per prompt, all of which have failed. */
async function failedTask(rows: Rows, prompts: string[]): Promise<string> {
  const task = await rows.submit(prompts);
  await settleSubtasks(rows.sql, (await claim(rows.sql)).map((one) => failed(one)));
  return task;
}

Deno.test("only the owner and an operator may control a task, and any text is accepted as an id", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["p"]);
  const deps = { sql: rows.sql, log: silentLog };
  for (const move of [pauseTask, resumeTask, retryFailed]) {
    for (const userId of [crypto.randomUUID(), "", "x"]) {
      assert.equal(await move(deps, { taskId: task, userId }), "forbidden");
    }
    for (const taskId of ["", "nope", "\0", `${task}0`, crypto.randomUUID()]) {
      assert.equal(await move(deps, { taskId, userId: rows.user.id }), "not_found");
    }
  }
  assert.equal(await rerunCell(deps, { taskId: task, userId: crypto.randomUUID(), cell: 0 }), "forbidden");
  for (const cell of [-1, 1.5, NaN, 2 ** 31, 7, "x", crypto.randomUUID()]) {
    assert.equal(await rerunCell(deps, { ...asOwner(rows, task), cell }), "no_such_cell");
  }
  assert.equal(await pauseTask(deps, { taskId: task, userId: operator }), "paused");
  await rows.sql`update tasks set is_deleted = true`;
  assert.equal(await resumeTask(deps, asOwner(rows, task)), "not_found");
});

Deno.test("a paused task starts no cell, finishes running cells, and continues after resume", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const task = await rows.submit(["p", "q", "r"]);
  const [one] = await claim(rows.sql, 1);
  const refs = await listDispatchable(rows.sql, "standard", 10);
  assert.equal(await pauseTask(deps, asOwner(rows, task)), "paused");
  assert.equal(await pauseTask(deps, asOwner(rows, task)), "already_paused");
  assert.equal((await claimSubtasks(rows.sql, "a", refs)).length, 0);
  assert.equal((await listDispatchable(rows.sql, "standard", 10)).length, 0);
  assert.equal((await settleSubtasks(rows.sql, [done(one!)])).leases.size, 1);
  assert.equal(await resumeTask(deps, asOwner(rows, task)), "resumed");
  assert.equal(await resumeTask(deps, asOwner(rows, task)), "not_paused");
  assert.equal((await claimSubtasks(rows.sql, "a", refs)).length, 2);
});

Deno.test("a claim concurrent with a pause gets no cell after the pause has returned", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const other = connect(rows.url, { max: 1 });
  const deps = { sql: rows.sql, log: silentLog };
  for (let round = 0; round < 10; round++) {
    const task = await rows.submit(Array.from({ length: 20 }, (_, i) => `p${i}`));
    const refs = await listDispatchable(rows.sql, "standard", 20);
    const [claimed] = await Promise.all([
      claimSubtasks(other, "a", refs),
      pauseTask(deps, asOwner(rows, task)).then(async (answer) => {
        assert.equal(answer, "paused");
        const running = (await readSubtasks(rows.sql, task)).filter(({ status }) => status === "processing");
        assert.equal((await claimSubtasks(rows.sql, "a", refs)).length, 0);
        const later = (await readSubtasks(rows.sql, task)).filter(({ status }) => status === "processing");
        assert.equal(later.length, running.length, "a claim succeeded after the pause had returned");
      }),
    ]);
    assert.ok(claimed.length === 0 || claimed.length === 20);
    await cancelTask(deps, asOwner(rows, task));
  }
  await other.end();
});

Deno.test("a paused task can be cancelled, and then not be resumed, retried or re-run", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const task = await rows.submit(["p", "q", "r"]);
  const [one] = await claim(rows.sql, 1);
  await settleSubtasks(rows.sql, [failed(one!)]);
  await pauseTask(deps, asOwner(rows, task));
  assert.equal(await cancelTask(deps, asOwner(rows, task)), "cancelled");
  assert.equal(await resumeTask(deps, asOwner(rows, task)), "already_ended");
  assert.equal(await pauseTask(deps, asOwner(rows, task)), "already_ended");
  assert.equal(await retryFailed(deps, asOwner(rows, task)), "cancelled");
  assert.equal(await rerunCell(deps, { ...asOwner(rows, task), cell: 0 }), "cancelled");
  const { status, subtasks_failed, subtasks_cancelled } = await readTask(rows.sql, task);
  assert.deepEqual([status, subtasks_failed, subtasks_cancelled], ["cancelled", 1, 2]);
});

Deno.test("retry reopens an ended task, which sends a notice for its second end", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const task = await failedTask(rows, ["p", "q"]);
  assert.deepEqual((await readTask(rows.sql, task)).notices, ["submitted", "failed"]);
  assert.deepEqual(await retryFailed(deps, asOwner(rows, task)), { cells: 2, hold: null });
  assert.deepEqual(await readTask(rows.sql, task), {
    status: "processing",
    all_subtasks_completed: false,
    cancelling: false,
    subtasks_total: 2,
    subtasks_completed: 0,
    subtasks_failed: 0,
    subtasks_cancelled: 0,
    notices: ["submitted"],
  });
  for (const { status, retry_count, remote_id, attempt } of await readSubtasks(rows.sql, task)) {
    assert.deepEqual([status, retry_count, remote_id, attempt], ["pending", 0, null, 1]);
  }
  const [one, two] = await claim(rows.sql);
  assert.deepEqual([one!.attempt, one!.retry_count], [2, 0]);
  await settleSubtasks(rows.sql, [failed(one!), failed(two!)]);
  const { status, notices } = await readTask(rows.sql, task);
  assert.deepEqual([status, notices], ["failed", ["submitted", "failed"]]);
});

Deno.test("concurrent retries draw each cell once", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const task = await failedTask(rows, ["p", "q", "r"]);
  const answers = await Promise.all(Array.from({ length: 4 }, () => retryFailed(deps, asOwner(rows, task))));
  const cells = answers.map((answer) => typeof answer === "string" ? answer : answer.cells);
  assert.deepEqual(cells.sort(), [0, 0, 0, 3]);
  assert.equal((await readTask(rows.sql, task)).subtasks_failed, 0);
});

Deno.test("a retry concurrent with the last settlement: the task ends after the retried cell and counts each cell once", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const other = connect(rows.url, { max: 1 });
  const deps = { sql: rows.sql, log: silentLog };
  for (let round = 0; round < 12; round++) {
    const task = await rows.submit(["p", "q"]);
    const [one, two] = await claim(rows.sql);
    await settleSubtasks(rows.sql, [failed(one!)]);
    const [, retried] = await Promise.all([
      settleSubtasks(other, [done(two!)]),
      retryFailed(deps, asOwner(rows, task)),
    ]);
    assert.deepEqual(retried, { cells: 1, hold: null });
    const open = await readTask(rows.sql, task);
    assert.deepEqual([open.status, open.subtasks_completed, open.subtasks_failed], ["processing", 1, 0]);
    assert.deepEqual(open.notices, ["submitted"]);
    const [again] = await claim(rows.sql);
    assert.equal(again!.id, one!.id);
    await settleSubtasks(rows.sql, [done(again!)]);
    const ended = await readTask(rows.sql, task);
    assert.deepEqual([ended.status, ended.subtasks_completed], ["completed", 2]);
    assert.deepEqual(ended.notices, ["submitted", "completed"]);
  }
  await other.end();
});

Deno.test("retry in several transactions, called twice concurrently, draws each cell once", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await failedTask(rows, Array.from({ length: 23 }, (_, i) => `p${i}`));
  const ref = { id: task, actor: { userId: rows.user.id } };
  const answers = await Promise.all([1, 2].map(() => retryFailedRows(rows.sql, ref, {}, 5)));
  assert.equal(
    answers.reduce((sum, answer) => sum + (typeof answer === "string" ? NaN : answer.cells), 0),
    23,
  );
  const { status, subtasks_failed, notices } = await readTask(rows.sql, task);
  assert.deepEqual([status, subtasks_failed, notices], ["processing", 0, ["submitted"]]);
});

Deno.test("retry by cause draws only cells that failed for this cause", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const task = await rows.submit(["p", "q", "r"]);
  const claimed = await claim(rows.sql);
  const reasons = ["内容不合规 (HTTP 451)", "图像接口返回 HTTP 500", "图像接口返回 HTTP 500"];
  await settleSubtasks(rows.sql, claimed.map((one, i) => failed(one, reasons[i])));
  const retry = (cause: string) => retryFailed(deps, { ...asOwner(rows, task), cause });
  assert.deepEqual(await retry("http 503"), { cells: 0, hold: null });
  assert.deepEqual(await retry("\0"), { cells: 0, hold: null });
  assert.equal((await readTask(rows.sql, task)).status, "failed");
  assert.deepEqual(await retry("http 500"), { cells: 2, hold: null });
  const { status, subtasks_failed } = await readTask(rows.sql, task);
  assert.deepEqual([status, subtasks_failed], ["processing", 1]);
  assert.deepEqual(await retry("内容不合规"), { cells: 1, hold: null });
});

Deno.test("retry deletes all but the last 50 attempts", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await failedTask(rows, ["p"]);
  await rows.sql`update subtasks set attempt = 60`;
  await rows.sql`
    insert into attempts (task_id, subtask_id, attempt, outcome)
    select parent_task_id, id, n, 'error' from subtasks, generate_series(2, 60) n`;
  await retryFailed({ sql: rows.sql, log: silentLog }, asOwner(rows, task));
  const kept = await rows.sql<{ attempt: number }[]>`select attempt from attempts order by attempt`;
  assert.deepEqual([kept.length, kept[0]!.attempt], [50, 11]);
});

Deno.test("re-run of a cell with an image keeps the image in its history", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const task = await rows.submit(["p", "q"]);
  const claimed = await claim(rows.sql);
  const request = { ...asOwner(rows, task), cell: 1 };
  assert.equal(await rerunCell(deps, request), "running");
  await settleSubtasks(rows.sql, claimed.map((one) => done(one)));
  await rows.sql`update subtasks set rating = 4, evaluate = '{good}' where cell = 1`;
  assert.equal(await rerunCell(deps, request), "rerun");
  assert.equal(await rerunCell(deps, request), "already_pending");
  const open = await readTask(rows.sql, task);
  assert.deepEqual([open.status, open.subtasks_completed, open.notices], ["processing", 1, ["submitted"]]);
  const [cell] = await rows.sql`select status, result, image_url, rating from subtasks where cell = 1`;
  assert.deepEqual({ ...cell }, { status: "pending", result: null, image_url: null, rating: null });
  const [kept] = await rows.sql`select attempt, outcome, image_url, rating, evaluate from attempts`;
  assert.deepEqual({ ...kept }, {
    attempt: 1,
    outcome: "done",
    image_url: "http://i/1.png",
    rating: 4,
    evaluate: ["good"],
  });
  const [again] = await claim(rows.sql);
  await settleSubtasks(rows.sql, [done(again!)]);
  const ended = await readTask(rows.sql, task);
  assert.deepEqual([ended.status, ended.subtasks_completed], ["completed", 2]);
});

Deno.test("a resumed migrated task continues cells that the old backend had started, or ends if none is open", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const deps = { sql: rows.sql, log: silentLog };
  const begun = await rows.submit(["p", "q"]);
  await rows.sql`update tasks set hold = 'import' where id = ${begun}`;
  await rows.sql`update subtasks set status = 'processing' where parent_task_id = ${begun} and cell = 0`;
  const finished = await rows.submit(["r"]);
  await rows.sql`update tasks set hold = 'import', status = 'processing' where id = ${finished}`;
  await rows.sql`
    update subtasks set status = 'completed', completed_at = now() where parent_task_id = ${finished}`;
  for (const task of [begun, finished]) assert.equal(await resumeTask(deps, asOwner(rows, task)), "resumed");
  assert.deepEqual((await claim(rows.sql)).map(({ cell }) => cell).sort(), [0, 1]);
  const { status, subtasks_completed, notices } = await readTask(rows.sql, finished);
  assert.deepEqual([status, subtasks_completed, notices], ["completed", 1, ["submitted", "completed"]]);
});

const many = (count: number, script: string) =>
  Array.from({ length: count }, (_, i) => i % 3 === 2 ? `p${i}` : `p${i} ${script}`);

const readHold = async (sql: Pool, task: string) => {
  const [row] = await sql<{ hold: string | null; hold_reason: string | null; open: number }[]>`
    select hold, hold_reason, subtasks_total - subtasks_completed - subtasks_failed as open
    from tasks where id = ${task}`;
  return row!;
};

Deno.test("a task whose first cells mostly fail for one cause is held with a reason, and continues after resume", async () => {
  const texts: string[] = [];
  await using hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    texts.push((await request.json()).content.text);
    return new Response("{}");
  });
  await using rig = await startRig({ env: { NOTIFY_URLS: `http://127.0.0.1:${hook.addr.port}/` } });
  await rig.startWorker({ slots: 4 });
  const task = await rig.submit(many(90, "@@create:451"));
  const held = await waitFor("the hold", async () => {
    const state = await readHold(rig.sql, task);
    return state.hold === null ? undefined : state;
  });
  assert.equal(held.hold, "canary");
  assert.match(
    held.hold_reason!,
    /^已结束的 2\d 个子任务中有 1\d 个因同一原因失败: 内容不合规 \(HTTP 451\)$/,
  );
  await waitFor(
    "the notice",
    () => texts.some((text) => text.startsWith("⏸️ 任务已自动暂停") && text.includes("451")),
  );
  const { open } = await readHold(rig.sql, task);
  assert.ok(open > 90 - 30, `${90 - open} cells were drawn before the hold`);
  const deps = { sql: rig.sql, log: silentLog };
  const request = { taskId: task, userId: rig.user.id };
  assert.deepEqual(await retryFailed(deps, { ...request, cause: "500" }), { cells: 0, hold: "canary" });
  assert.equal(await resumeTask(deps, request), "resumed");
  const { status, subtasks_failed, notices } = await waitForEnd(rig.sql, task);
  assert.deepEqual([status, subtasks_failed], ["completed", 60]);
  assert.deepEqual(notices, ["submitted", "held", "partial"]);
});

const harmless: [string, (i: number) => string | null][] = [
  ["half of its cells fail", (i) => i % 2 === 0 ? "same" : null],
  ["all its cells fail, one half for another cause than the other", (i) => i % 2 === 0 ? "one" : "other"],
];
for (const [condition, reasonOf] of harmless) {
  Deno.test(`a task is not held if ${condition}`, async () => {
    await using rows = await openRows();
    await join(rows.sql);
    const task = await rows.submit(Array.from({ length: 60 }, (_, i) => `p${i}`));
    const claimed = await claim(rows.sql, 24);
    const ends = claimed.map((one, i) => reasonOf(i) === null ? done(one) : failed(one, reasonOf(i)!));
    const { canaryTasks } = await settleSubtasks(rows.sql, ends);
    assert.equal((await applyCanaryHolds(rows.sql, canaryTasks)).length, 0);
    assert.equal((await readHold(rows.sql, task)).hold, null);
  });
}

Deno.test("a task with at most 20 cells is never held, because no cell would be left", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await rows.submit(Array.from({ length: 20 }, (_, i) => `p${i}`));
  const { canaryTasks } = await settleSubtasks(rows.sql, (await claim(rows.sql)).map((one) => failed(one)));
  assert.deepEqual(canaryTasks, []);
  assert.equal((await readTask(rows.sql, task)).status, "failed");
});

Deno.test("the canary treats causes that differ only in ids and numbers as equal", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await rows.submit(Array.from({ length: 60 }, (_, i) => `p${i}`));
  const claimed = await claim(rows.sql, 25);
  const ends = claimed.map((one) =>
    failed(one, `job ${crypto.randomUUID()} of 17${Math.floor(1e6 * Math.random() + 1e6)}: no model`)
  );
  const { canaryTasks } = await settleSubtasks(rows.sql, ends);
  const [held] = await applyCanaryHolds(rows.sql, canaryTasks);
  assert.deepEqual(held, {
    task_id: task,
    reason: "已结束的 25 个子任务中有 25 个因同一原因失败: job … of …: no model",
  });
});
