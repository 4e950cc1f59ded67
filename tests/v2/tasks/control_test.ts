/** Control of tasks on v2: permissions, effects and repetition of each call. */
import assert from "node:assert/strict";
import { settleSubtasks } from "../../../db/queue/subtasks.ts";
import { extendAxis, operator } from "../../../jobs/moves/control.ts";
import { silentLog } from "../../../log.ts";
import { createMatrix } from "../../../routes/v2/tasks/matrix.ts";
import { readShape } from "../../../db/views/task_detail.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { claim, done, join } from "../../support/cells.ts";
import { readTask } from "../../support/queue_rig.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

/** Asserts that the counters of a task agree with its rows. */
async function checkCounts({ database: { sql } }: TestApi, id: string): Promise<void> {
  const [row] = await sql`
    select subtasks_total = count(*) and subtasks_completed = count(*) filter (where s.status = 'completed')
      and subtasks_failed = count(*) filter (where s.status = 'failed')
      and subtasks_cancelled = count(*) filter (where s.status = 'cancelled') as right
    from tasks t join subtasks s on s.parent_task_id = t.id
    where t.id = ${id}
    group by t.id`;
  assert.ok(row!.right, "counters agree with rows");
}

/** Marks cells as failed. */
async function fail(
  { database: { sql } }: TestApi,
  id: string,
  cells: number[],
  error: string,
): Promise<void> {
  await sql`
    update subtasks set status = 'failed', completed_at = now(), error = ${error}
    where parent_task_id = ${id} and cell = any(${cells}::int[])`;
  await sql`
    update tasks set subtasks_failed = subtasks_failed + ${cells.length}, status = 'processing', started_at = now()
    where id = ${id}`;
}

Deno.test("cancel reports the cells without an image and those being drawn, and repeating it changes nothing", async () => {
  await using api = await startApi();
  const { user, admin } = await addPeople(api);
  const { sql } = api.database;
  const id = await addMatrix(api, user, { prompts: 3, ratios: 3, drawn: 2 });
  await join(sql);
  assert.equal((await claim(sql, 3)).length, 3);
  const first = await call(api, admin, "POST", `/tasks/${id}/cancel`);
  assert.deepEqual([first.status, first.body], [200, {
    status: "cancelled",
    hold: null,
    cancelled: 7,
    finishing: 3,
  }]);
  const second = await call(api, user, "POST", `/tasks/${id}/cancel`);
  assert.deepEqual(second.body, { status: "cancelled", hold: null, cancelled: 7, finishing: 0 });
  await checkCounts(api, id);
  const whole = await addMatrix(api, user, { prompts: 1, ratios: 1 });
  const late = await call(api, user, "POST", `/tasks/${whole}/cancel`);
  assert.deepEqual(late.body, { status: "completed", hold: null, cancelled: 0, finishing: 0 });
});

Deno.test("pause and resume report whether they changed anything, and are refused for an ended task", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const id = await addMatrix(api, user, { drawn: 1 });
  const post = async (what: string) => (await call(api, user, "POST", `/tasks/${id}/${what}`));
  assert.deepEqual((await post("pause")).body, { status: "processing", hold: "pause", changed: true });
  assert.deepEqual((await post("pause")).body, { status: "processing", hold: "pause", changed: false });
  assert.deepEqual((await post("resume")).body, { status: "processing", hold: null, changed: true });
  assert.deepEqual((await post("resume")).body, { status: "processing", hold: null, changed: false });
  await post("cancel");
  assert.deepEqual([(await post("pause")).status, (await post("resume")).status], [409, 409]);
});

Deno.test("retry selects failed cells by cause, number, time or index on an axis, and repeating it retries nothing", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const id = await addMatrix(api, user, { prompts: 3, ratios: 4, drawn: 2 });
  await fail(api, id, [4, 5, 6, 7], "已尝试 3 次: HTTP 500");
  await fail(api, id, [8, 9, 10, 11], "已尝试 3 次: timeout");
  const retry = async (body: unknown) => (await call(api, user, "POST", `/tasks/${id}/retry`, body)).body;
  assert.equal((await retry({ cause: "TIME", where: { v1: [0] } })).cells, 1);
  assert.equal((await retry({ cells: [4, 9, 0, 49_999] })).cells, 2);
  assert.equal((await retry({ where: { v0: [1], v1: [1, 2] }, cells: [5] })).cells, 1);
  assert.equal((await retry({ since: "2100-01-01T00:00:00Z" })).cells, 0);
  assert.equal((await retry({ cause: "500" })).cells, 2);
  assert.deepEqual(await retry({}), { status: "processing", hold: null, cells: 2 });
  assert.equal((await retry({})).cells, 0);
  await checkCounts(api, id);
  for (
    const [body, field] of [
      [{ where: { v5: [0] } }, "body.where.v5"],
      [{ where: { v0: [3] } }, "body.where.v0"],
      [{ where: { batch: [0] } }, "body.where.batch"],
      [{ cells: [] }, "body.cells"],
      [{ cells: [-1] }, "body.cells.0"],
      [{ cause: "" }, "body.cause"],
      [{ failed: true }, "body.failed"],
    ] as const
  ) {
    const answer = await call(api, user, "POST", `/tasks/${id}/retry`, body);
    assert.deepEqual([answer.status, answer.body.errors?.[0]?.field], [422, field], answer.text);
  }
  await call(api, user, "POST", `/tasks/${id}/cancel`);
  assert.equal((await call(api, user, "POST", `/tasks/${id}/retry`, {})).status, 409);
});

Deno.test("prune cancels only pending cells, is idempotent, and ends a task without remaining cells", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const { sql } = api.database;
  const id = await addMatrix(api, user, { prompts: 4, ratios: 3, drawn: 4 });
  await join(sql);
  const claimed = await claim(sql, 2);
  const prune = async (body: unknown) => (await call(api, user, "POST", `/tasks/${id}/prune`, body)).body;
  const pending = (await sql<{ cell: number }[]>`
    select cell from subtasks where parent_task_id = ${id} and status = 'pending'`).map(({ cell }) => cell);
  const ofLast = pending.filter((cell) => cell >= 9).length;
  assert.deepEqual(await prune({ where: { v0: [3] } }), { status: "processing", hold: null, cells: ofLast });
  assert.equal((await prune({ where: { v0: [3] } })).cells, 0);
  assert.equal((await prune({ cells: [...Array(12).keys()] })).cells, pending.length - ofLast);
  await checkCounts(api, id);
  assert.equal((await readTask(sql, id)).status, "processing", "two cells are being drawn");
  await settleSubtasks(sql, claimed.map(done));
  const ended = await readTask(sql, id);
  assert.deepEqual([ended.status, ended.subtasks_completed, ended.subtasks_cancelled], ["completed", 6, 6]);
  const revisions = await sql`
    select 1 from subtasks s join tasks t on t.id = s.parent_task_id
    where t.id = ${id} and s.status = 'cancelled' and s.revision between 1 and t.revision`;
  assert.equal(revisions.length, 6, "each has a revision for its event");
  const fresh = await addMatrix(api, user, { prompts: 2, ratios: 2, drawn: 0 });
  const all = await call(api, user, "POST", `/tasks/${fresh}/prune`, { cells: [0, 1, 2, 3] });
  assert.deepEqual(all.body, { status: "cancelled", hold: null, cells: 4 });
  assert.equal((await call(api, user, "POST", `/tasks/${fresh}/prune`, { cells: [0] })).body.cells, 0);
  for (const body of [{}, { where: {} }]) {
    assert.equal((await call(api, user, "POST", `/tasks/${id}/prune`, body)).status, 422);
  }
});

Deno.test("with concurrent prune and claims each cell is either drawn or cancelled", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const { sql } = api.database;
  const id = await addMatrix(api, user, { prompts: 20, ratios: 10, drawn: 0 });
  await join(sql);
  const [answer, ...claims] = await Promise.all([
    call(api, user, "POST", `/tasks/${id}/prune`, { where: { v0: [...Array(15).keys()] } }),
    claim(sql, 60),
    claim(sql, 60),
    claim(sql, 60),
  ]);
  const claimed = claims.flat();
  await settleSubtasks(sql, claimed.map(done));
  await checkCounts(api, id);
  const [row] = await sql`
    select count(*) filter (where status = 'completed')::int as drawn,
      count(*) filter (where status = 'cancelled')::int as cancelled
    from subtasks where parent_task_id = ${id}`;
  assert.deepEqual([row!.drawn, row!.cancelled], [claimed.length, answer!.body.cells]);
});

Deno.test("the owner reruns a cell unless it is being drawn or was cancelled", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const { sql } = api.database;
  const id = await addMatrix(api, user, { prompts: 2, ratios: 2, drawn: 3 });
  const rerun = async (cell: number | string, who = user) =>
    await call(api, who, "POST", `/tasks/${id}/cells/${cell}/rerun`);
  assert.equal((await rerun(0, other)).status, 403);
  assert.deepEqual((await rerun(0)).body, { cell: 0, status: "pending" });
  assert.deepEqual((await rerun(0)).body, { cell: 0, status: "pending" });
  for (const cell of [4, "01", "x", -1]) assert.equal((await rerun(cell)).status, 404, String(cell));
  await join(sql);
  await claim(sql);
  assert.equal((await rerun(0)).status, 409);
  await call(api, user, "POST", `/tasks/${id}/cancel`);
  assert.equal((await rerun(1)).status, 409);
});

Deno.test("only the owner and admins move a task", async () => {
  await using api = await startApi();
  const { user, other, manager, guest } = await addPeople(api);
  const id = await addMatrix(api, user, { drawn: 1 });
  for (
    const [what, body] of [["cancel"], ["pause"], ["resume"], ["retry", {}], ["prune", {
      cells: [5],
    }]] as const
  ) {
    for (const who of [other, manager, guest]) {
      assert.equal((await call(api, who, "POST", `/tasks/${id}/${what}`, body)).status, 403, what);
    }
    assert.equal(
      (await call(api, user, "POST", `/tasks/${crypto.randomUUID()}/${what}`, body)).status,
      404,
      what,
    );
  }
});

Deno.test("after axes are extended, each cell has unique indices and filters find the cells of new values", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const { sql } = api.database;
  const { body: { id } } = await call(api, user, "POST", "/tasks", {
    name: "grows",
    tags: [
      { type: "prompt", isVariable: true, name: "p" },
      { type: "ratio", isVariable: true, name: "r" },
      { type: "batch", value: 2 },
    ],
    variables: {
      v1: { name: "p", values: [{ value: "p0" }, { value: "p1" }] },
      v3: { name: "r", values: [{ value: "1:1" }, { value: "2:1" }, { value: "3:1" }] },
    },
  });
  for (const [slot, value] of [[3, "4:1"], [1, "p2"], [3, "5:1"]] as const) {
    const values = [new Map([["value", value]])];
    const answer = await extendAxis({ sql, log: silentLog }, { taskId: id, userId: operator, slot, values });
    assert.ok(typeof answer === "object" && answer.cells > 0);
  }
  const matrix = createMatrix(await readShape(sql, id))!;
  assert.deepEqual([matrix.axes, matrix.lengths], [["v1", "v3", "batch"], [3, 5, 2]]);
  const rows = await sql<{ cell: number; prompt: string; ratio: string }[]>`
    select cell, prompts -> 0 ->> 'value' as prompt, ratio from subtasks where parent_task_id = ${id} order by cell`;
  assert.equal(rows.length, 30);
  const seen = new Set<string>();
  for (const { cell, prompt, ratio } of rows) {
    const indices = matrix.indicesOf(cell);
    assert.deepEqual([`p${indices[0]}`, `${indices[1]! + 1}:1`], [prompt, ratio], `cell ${cell}`);
    assert.equal(matrix.cellAt(indices), cell);
    seen.add(indices.join());
  }
  assert.equal(seen.size, 30);
  const pruned = await call(api, user, "POST", `/tasks/${id}/prune`, { where: { v1: [2], v3: [4] } });
  assert.equal(pruned.body.cells, 2, pruned.text);
});
