/** Judging cells of migrated tasks, whose numbers exceed those of new tasks. */
import assert from "node:assert/strict";
import { startApi } from "../../support/api.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

Deno.test("a cell with the largest number can be rated, evaluated and compared as any other, singly and in bulk", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const { sql } = api.database;
  // A migrated task can have 100,000 cells. Only its last two are needed here.
  await sql`update subtasks set cell = 99999 - cell where parent_task_id = ${task} and cell < 2`;
  const path = `/tasks/${task}`;
  const single = await call(api, user, "PUT", `${path}/cells/99999/rating`, { stars: 2 });
  assert.deepEqual([single.status, single.body.stars], [200, 2], single.text);
  const ratings = [{ cell: 99_998, stars: 4 }, { cell: 99_999, stars: 5 }, { cell: 50_000, stars: 1 }];
  const bulk = await call(api, user, "POST", `${path}/ratings`, { ratings });
  assert.equal(bulk.status, 200, bulk.text);
  assert.deepEqual(bulk.body.ratings.map(({ cell }: { cell: number }) => cell), [99_998, 99_999]);
  assert.deepEqual(bulk.body.refused, [{ index: 2, cell: 50_000, reason: "no_cell" }]);
  const image = (cell: number) => ({ cell, version: 1 });
  const vote = { left: image(99_999), right: image(99_998), outcome: "left" };
  const voted = await call(api, user, "POST", `${path}/votes`, vote);
  assert.deepEqual(
    [voted.status, voted.body.left, voted.body.right],
    [201, vote.left, vote.right],
    voted.text,
  );
  const text = { text: "the last one" };
  assert.equal((await call(api, user, "POST", `${path}/cells/99999/evaluations`, text)).status, 201);
  const missing = await call(api, user, "POST", `${path}/votes`, { ...vote, left: image(50_000) });
  assert.equal(missing.status, 404, missing.text);
  for (const number of [100_000, 2 ** 31]) {
    const refused = await call(api, user, "POST", `${path}/ratings`, {
      ratings: [{ cell: number, stars: 1 }],
    });
    assert.deepEqual([refused.status, refused.body.errors?.[0].field], [422, "body.ratings.0.cell"]);
  }
});
