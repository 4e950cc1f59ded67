/** Rating: one a rater and image, kept with its history, shown as a mean. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "./support/api.ts";
import { addMatrix, addPeople, call } from "./support/v2.ts";

async function readCellRow({ database: { sql } }: TestApi, task: string, cell: number) {
  const [row] = await sql`
    select rating, rating_n, rating_sum from subtasks where parent_task_id = ${task} and cell = ${cell}`;
  return { ...row };
}

Deno.test("several raters: each has one rating, the cell shows their mean", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user);
  const path = `/tasks/${task}/cells/4/rating`;
  const first = await call(api, user, "PUT", path, { stars: 5 });
  assert.equal(first.status, 200, first.text);
  assert.deepEqual(first.body, { cell: 4, version: 1, stars: 5, skipped: null, mean: 5, n: 1 });
  await call(api, other, "PUT", path, { stars: 2, took_ms: 900 });
  const third = await call(api, manager, "PUT", path, { stars: 4 });
  assert.deepEqual([third.body.mean, third.body.n], [11 / 3, 3]);
  assert.deepEqual(await readCellRow(api, task, 4), { rating: 4, rating_n: 3, rating_sum: 11 });
  const changed = await call(api, other, "PUT", path, { skipped: "cannot judge" });
  assert.deepEqual([changed.body.mean, changed.body.n, changed.body.skipped], [4.5, 2, "cannot judge"]);
  const cleared = await call(api, user, "DELETE", path);
  assert.deepEqual(cleared.body, { cell: 4, version: 1, stars: null, skipped: null, mean: 4, n: 1 });
  await call(api, manager, "DELETE", path);
  assert.deepEqual(await readCellRow(api, task, 4), { rating: null, rating_n: 0, rating_sum: 0 });
  const history = await call(api, user, "GET", `/tasks/${task}/cells/4/ratings`);
  assert.deepEqual(
    history.body.items.map(({ rater, action, stars }: Record<string, unknown>) => [rater, action, stars]),
    [
      ["user@example.com", "rated", 5],
      ["other@example.com", "rated", 2],
      ["manager@example.com", "rated", 4],
      ["other@example.com", "changed", null],
      ["user@example.com", "cleared", null],
      ["manager@example.com", "cleared", null],
    ],
  );
});
