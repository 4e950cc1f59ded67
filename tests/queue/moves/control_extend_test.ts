/** Extension of an axis of an existing task: its cells, their requests, and the counters of the task. */
import assert from "node:assert/strict";
import type { Pool } from "../../../db/pg/connect.ts";
import { listDispatchable } from "../../../db/queue/dispatch.ts";
import { claimSubtasks, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { cancelTask } from "../../../jobs/moves/cancel.ts";
import { extendAxis, operator, pauseTask } from "../../../jobs/moves/control.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
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

const value = (text: string | number): Json => parseJson(JSON.stringify({ id: `id-${text}`, value: text }));

/** Returns the body of a task: prompts × ratios × seeds, with two repeats of each combination. */
function makeBody(axes: (string | number)[][]): { tags: Json[]; variables: JsonObject } {
  const types = ["prompt", "ratio", "seed"];
  const tags = types.map((type, i) => ({
    id: String(i),
    type,
    isVariable: true,
    value: "",
    name: `axis ${i}`,
  }));
  const fixed = [{ type: "prompt", value: "for all" }, { type: "batch", value: 2 }];
  const variables = new Map<string, Json>(axes.map((values, i) => [
    `v${i}`,
    new Map<string, Json>([["name", `axis ${i}`], ["values", values.map(value)]]),
  ]));
  return { tags: parseJson(JSON.stringify([...tags, ...fixed])) as Json[], variables };
}

async function submit(rows: Rows, axes: (string | number)[][]): Promise<string> {
  const task = await submitTask({ sql: rows.sql, log: silentLog }, {
    user: rows.user,
    taskName: "t",
    settings: new Map(),
    ...makeBody(axes),
  });
  return task.id;
}

interface CellRow {
  cell: number;
  indices: string;
  request: string;
  legacy_id: string;
  revision: string;
}

const readCells = async (sql: Pool, task: string): Promise<CellRow[]> => [
  ...await sql<CellRow[]>`
    select cell, variable_indices::text as indices, legacy_id, revision::text,
      concat_ws(' ', prompts, ratio, seed, use_polish, queue, variable_types_map, type_to_variable) as request
    from subtasks where parent_task_id = ${task} order by cell`,
];

const axes = [["a", "b", "c"], ["1:1", "3:5"], [7, 8]];
const newLevels = [["d", "e"], ["2:3"], [9, 10, 11]];

for (const slot of [0, 1, 2]) {
  Deno.test(`an axis extended later has the same cells as one created with all levels (v${slot})`, async () => {
    await using rows = await openRows();
    const task = await submit(rows, axes);
    const before = await readCells(rows.sql, task);
    const whole = axes.map((values, i) => i === slot ? [...values, ...newLevels[i]!] : values);
    const request = { taskId: task, userId: rows.user.id, slot, values: newLevels[slot]!.map(value) };
    const answer = await extendAxis({ sql: rows.sql, log: silentLog }, request);
    const after = await readCells(rows.sql, task);
    const twin = await readCells(rows.sql, await submit(rows, whole));
    assert.deepEqual(answer, { cells: twin.length - before.length, total: twin.length, hold: null });
    const requests = (cells: CellRow[]) => cells.map((cell) => `${cell.indices} ${cell.request}`).sort();
    assert.deepEqual(requests(after), requests(twin));
    // Existing cells keep their numbers; new cells follow in the order of the whole matrix.
    assert.deepEqual(after.slice(0, before.length), before);
    assert.deepEqual(after.map(({ cell }) => cell), after.map((_, i) => i));
    const order = twin.map(({ indices }) => indices);
    const added = after.slice(before.length).map(({ indices }) => order.indexOf(indices));
    assert.deepEqual(added, added.toSorted((a, b) => a - b));
    const ids = after.map(({ legacy_id }) => legacy_id);
    assert.deepEqual(ids, ids.toSorted());
    const [row] = await rows.sql<
      { total_images: number; revision: string; values_count: number; stored: number }[]
    >`
      select total_images, revision::text, (variables -> ${`v${slot}`} ->> 'values_count')::int as values_count,
        json_array_length(variables -> ${`v${slot}`} -> 'values') as stored
      from tasks where id = ${task}`;
    const { revision, ...counts } = row!;
    // A viewer who asks for changes since the previous revision receives the new cells.
    assert.ok(after.slice(before.length).every((cell) => cell.revision === revision));
    assert.deepEqual(counts, {
      total_images: twin.length,
      values_count: whole[slot]!.length,
      stored: whole[slot]!.length,
    });
  });
}

Deno.test("an ended task reopens for its new cells, ends again, and sends a second notice", async () => {
  await using rows = await openRows();
  await join(rows.sql);
  const task = await rows.submit(["p"], [1]);
  await settleSubtasks(rows.sql, (await claim(rows.sql)).map((one) => done(one)));
  assert.deepEqual((await readTask(rows.sql, task)).notices, ["submitted", "completed"]);
  const request = { taskId: task, userId: operator, slot: 1, values: [value(2)] } as const;
  const extended = await extendAxis({ sql: rows.sql, log: silentLog }, { ...request, values: [value(2)] });
  assert.deepEqual(extended, { cells: 1, total: 2, hold: null });
  assert.deepEqual(await readTask(rows.sql, task), {
    status: "processing",
    all_subtasks_completed: false,
    cancelling: false,
    subtasks_total: 2,
    subtasks_completed: 1,
    subtasks_failed: 0,
    subtasks_cancelled: 0,
    notices: ["submitted"],
  });
  const refs = await listDispatchable(rows.sql, "standard", 10);
  const claimed = await claimSubtasks(rows.sql, "a", refs);
  await settleSubtasks(rows.sql, claimed.map((one) => failed(one)));
  const ended = await readTask(rows.sql, task);
  assert.deepEqual([ended.status, ended.notices], ["completed", ["submitted", "partial"]]);
});

Deno.test("repeated and concurrent extensions add each level once", async () => {
  await using rows = await openRows();
  const task = await submit(rows, axes);
  const deps = { sql: rows.sql, log: silentLog };
  const request = (slot: number, ...texts: string[]) => ({
    taskId: task,
    userId: rows.user.id,
    slot,
    values: texts.map(value),
  });
  assert.equal((await extendAxis(deps, request(0, "d", "d", "a")) as { cells: number }).cells, 8);
  assert.deepEqual(await extendAxis(deps, request(0, "d", "a")), { cells: 0 });
  await Promise.all([
    ...["e", "f", "e"].map((text) => extendAxis(deps, request(0, text))),
    extendAxis(deps, request(1, "2:3")),
  ]);
  const cells = await readCells(rows.sql, task);
  // 6 prompts × 3 ratios × 2 seeds × 2 repeats
  assert.equal(cells.length, 72);
  assert.equal(new Set(cells.map(({ indices }) => indices)).size, 72);
  assert.equal((await readTask(rows.sql, task)).subtasks_total, 72);
});

Deno.test("an impossible extension is refused and changes nothing", async () => {
  await using rows = await openRows();
  const deps = { sql: rows.sql, log: silentLog };
  const task = await submit(rows, axes);
  const request = { taskId: task, userId: rows.user.id, slot: 0, values: [value("d")] };
  for (const slot of [3, 5, 6, -1, 0.5, NaN]) {
    assert.equal(await extendAxis(deps, { ...request, slot }), "no_such_axis");
  }
  for (const taskId of ["", "nope", crypto.randomUUID()]) {
    assert.equal(await extendAxis(deps, { ...request, taskId }), "not_found");
  }
  assert.equal(await extendAxis(deps, { ...request, userId: crypto.randomUUID() }), "forbidden");
  const many = Array.from({ length: 6_248 }, (_, i) => value(`more ${i}`));
  await assert.rejects(() => extendAxis(deps, { ...request, values: many }), /50008 subtasks, at most 50000/);
  assert.equal((await readCells(rows.sql, task)).length, 24);
  assert.equal(await pauseTask(deps, request), "paused");
  assert.deepEqual(await extendAxis(deps, request), { cells: 8, total: 32, hold: "pause" });
  assert.equal((await listDispatchable(rows.sql, "standard", 50)).length, 0);
  await cancelTask(deps, request);
  assert.equal(await extendAxis(deps, { ...request, values: [value("e")] }), "cancelled");
});

const policies: [string, number][] = [["shared", 1], ["per_combination", 4], ["per_cell", 8]];
for (const [policy, seeds] of policies) {
  Deno.test(`new cells get their seeds by the policy of the task: ${policy}`, async () => {
    await using rows = await openRows();
    const { tags, variables } = makeBody([["a", "b"], ["1:1", "3:5"], [1]]);
    const task = await submitTask({ sql: rows.sql, log: silentLog }, {
      user: rows.user,
      taskName: "t",
      settings: new Map(),
      variables,
      tags: tags.filter((tag) => (tag as JsonObject).get("type") !== "seed"),
    });
    await rows.sql`update tasks set seed_policy = ${policy} where id = ${task.id}`;
    await rows.sql`update subtasks set seed = 5 where parent_task_id = ${task.id}`;
    const request = { taskId: task.id, userId: rows.user.id, slot: 0, values: [value("c"), value("d")] };
    await extendAxis({ sql: rows.sql, log: silentLog }, request);
    const drawn = await rows.sql<{ seed: string }[]>`
      select seed::text from subtasks where parent_task_id = ${task.id} and cell >= 8`;
    assert.equal(drawn.length, 8);
    assert.equal(new Set(drawn.map(({ seed }) => seed)).size, seeds);
    if (policy === "shared") assert.equal(drawn[0]!.seed, "5");
  });
}

Deno.test("a running task is extended, and each cell is drawn once", async () => {
  await using rig = await startRig({ delayMs: 20 });
  await rig.startWorker({ slots: 4 });
  const task = await rig.submit(Array.from({ length: 20 }, (_, i) => `p${i}`), [1]);
  const request = { taskId: task, userId: rig.user.id, slot: 1 };
  const deps = { sql: rig.sql, log: silentLog };
  await extendAxis(deps, { ...request, values: [value(2)] });
  await waitForEnd(rig.sql, task);
  await extendAxis(deps, { ...request, values: [value(3)] });
  await waitForEnd(rig.sql, task);
  const state = await readTask(rig.sql, task);
  assert.deepEqual([state.status, state.subtasks_completed, state.subtasks_total], ["completed", 60, 60]);
  assert.ok(
    (await readSubtasks(rig.sql, task)).every(({ status, attempt }) =>
      status === "completed" && attempt === 1
    ),
  );
  assert.equal(new Set(rig.api.posts.map(({ body }) => body)).size, 60);
  assert.equal(rig.api.posts.length, 60);
});
