/** The kept dataset of a task equals the one that is read anew, after every kind of change. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { settleSubtasks } from "../../../db/queue/subtasks.ts";
import { repairOpenCells } from "../../../db/queue/doctor.ts";
import { DatasetCache } from "../../../routes/v2/stats/dataset_cache.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { claim, done, failed, join } from "../../support/cells.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";

/** Draws a waiting cell again: completed, or failed. */
async function drawPending({ database: { sql } }: TestApi, settle: typeof done): Promise<void> {
  await settleSubtasks(sql, (await claim(sql, 1)).map((subtask) => settle(subtask)));
}

interface Rig {
  api: TestApi;
  task: string;
  owner: V2Person;
  raters: V2Person[];
  cells: number;
}

type Move = [name: string, a: number, b: number];

const moves: Record<string, (rig: Rig, a: number, b: number) => Promise<unknown>> = {
  rate: ({ api, task, raters, cells }, a, b) =>
    call(api, raters[b % raters.length], "PUT", `/tasks/${task}/cells/${a % cells}/rating`, {
      stars: 1 + b % 5,
    }),
  clear: ({ api, task, raters, cells }, a, b) =>
    call(api, raters[b % raters.length], "DELETE", `/tasks/${task}/cells/${a % cells}/rating`),
  rerun: ({ api, task, owner, cells }, a) =>
    call(api, owner, "POST", `/tasks/${task}/cells/${a % cells}/rerun`),
  draw: ({ api }) => drawPending(api, done),
  fail: ({ api }) => drawPending(api, failed),
  refuse: ({ api }) => drawPending(api, (subtask) => ({ ...failed(subtask), outcome: "illegal" })),
  claim: ({ api: { database: { sql } } }) => claim(sql, 1),
  vote: ({ api, task, raters, cells }, a, b) =>
    call(api, raters[b % raters.length], "POST", `/tasks/${task}/votes`, {
      left: { cell: a % cells, version: 1 },
      right: { cell: (a + 1 + b) % cells, version: 1 },
      outcome: "left",
    }),
  unvote: async ({ api, task, raters }, _, b) => {
    const rater = raters[b % raters.length]!;
    const [row] = await api.database.sql<{ id: string }[]>`
      select max(id)::text as id from votes where task_id = ${task} and rater_id = ${rater.id}`;
    if (row?.id) await call(api, rater, "DELETE", `/tasks/${task}/votes/${row.id}`);
  },
  behind: ({ api: { database: { sql } }, task }) =>
    sql`update tasks set revision = greatest(0, revision - 3) where id = ${task}`,
};

/** Reads the dataset from a cache and anew, and compares both. */
async function compare(rig: Rig, cache: DatasetCache, after: string): Promise<void> {
  const { api: { database: { sql } }, task } = rig;
  const read = async (from: DatasetCache) => {
    const countCells = Promise.resolve(rig.cells);
    const snapshot = await from.read(sql, task, { ratings: true, countCells });
    const { revision, table: { states, attempts, stars } } = snapshot!;
    const given = [...stars].map(([rater, list]) => [rater, [...list]] as const)
      .filter(([, list]) => list.some((one) => one > 0)).sort();
    const images = [...attempts].map((attempt, cell) => states[cell] === 1 ? attempt : 0);
    const votes = await from.readVotes(sql, task, snapshot!);
    const sorted = votes.toSorted((a, b) => a.left - b.left || a.right - b.right);
    return { revision, states: [...states], images, given, votes: sorted };
  };
  assert.deepEqual(await read(cache), await read(new DatasetCache()), `after ${after}`);
}

async function startRig(): Promise<AsyncDisposable & Rig> {
  const api = await startApi();
  const { user, other, manager } = await addPeople(api);
  await join(api.database.sql);
  const task = await addMatrix(api, user, { prompts: 3, ratios: 2 });
  return {
    api,
    task,
    owner: user,
    raters: [user, other, manager],
    cells: 6,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

const moveOf: fc.Arbitrary<Move> = fc.tuple(fc.constantFrom(...Object.keys(moves)), fc.nat(50), fc.nat(50));

Deno.test("after any moves, the kept dataset equals the one that is read anew", async () => {
  await using rig = await startRig();
  const cache = new DatasetCache();
  let applied = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(moveOf, { minLength: 5, maxLength: 25 }), async (list) => {
      for (const [name, a, b] of list) {
        await moves[name]!(rig, a, b);
        await compare(rig, cache, name);
        applied++;
      }
    }),
    { numRuns: 12, endOnFailure: true },
  );
  assert.ok(applied > 60);
});

Deno.test("cells of a cancelled task that the doctor cancels are read anew", async () => {
  await using rig = await startRig();
  const { sql } = rig.api.database;
  const cache = new DatasetCache();
  await moves.rerun!(rig, 2, 0);
  await moves.claim!(rig, 0, 0);
  await compare(rig, cache, "a claim");
  await sql`
    update tasks set status = 'cancelled', completed_at = now(), all_subtasks_completed = true where id = ${rig.task}`;
  await repairOpenCells(sql, rig.task);
  await compare(rig, cache, "the repair");
});

Deno.test("only datasets that fit are kept, the least recently used are forgotten first", async () => {
  await using rig = await startRig();
  const { api: { database: { sql } }, owner } = rig;
  const [a, b] = [rig.task, await addMatrix(rig.api, owner)];
  // Each has 6 cells of 5 bytes.
  const cache = new DatasetCache(30);
  const readFrom = async (id: string) =>
    (await cache.read(sql, id, { ratings: true, countCells: Promise.resolve(6) }))!.table;
  const first = await readFrom(a);
  assert.equal(await readFrom(a), first);
  await readFrom(b);
  assert.notEqual(await readFrom(a), first);
  const small = new DatasetCache(10);
  const read = () => small.read(sql, rig.task, { ratings: true, countCells: Promise.resolve(6) });
  assert.notEqual((await read())!.table, (await read())!.table);
});
