/** Many ratings in one request: once per Idempotency-Key, for the images that were judged, and with deletions. */
import assert from "node:assert/strict";
import { startApi } from "../../support/api.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";
import { redraw, rerun } from "../support/images.ts";

Deno.test("a repeated request with its Idempotency-Key rates once, also when the first answer was lost", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const send = (ratings: unknown) =>
    call(api, user, "POST", `/tasks/${task}/ratings`, { ratings }, { "idempotency-key": "a" });
  const ratings = [{ cell: 0, stars: 5 }, { cell: 1, skipped: "blurred" }, { cell: 0, stars: 3 }];
  const answers = await Promise.all([send(ratings), send(ratings), send(ratings)]);
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  const other = await send([{ cell: 0, stars: 1 }]);
  assert.equal(other.status, 409, other.text);
  const history = await call(api, user, "GET", `/tasks/${task}/cells/0/ratings`);
  assert.deepEqual(history.body.items.map(({ stars }: { stars: number }) => stars), [5, 3]);
});

Deno.test("a rating or a text for an image that was replaced is refused, and names its place in the request", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  await rerun(api, user, task, 2);
  await redraw(api, task);
  const { body, status } = await call(api, user, "POST", `/tasks/${task}/ratings`, {
    ratings: [
      { cell: 1, stars: 4, version: 1 },
      { cell: 2, stars: 4, version: 1 },
      { cell: 2, stars: 2, version: 2 },
      { cell: 900, stars: 2, version: 1 },
    ],
  });
  assert.equal(status, 200);
  assert.deepEqual(body.refused, [
    { index: 1, cell: 2, reason: "changed" },
    { index: 3, cell: 900, reason: "no_cell" },
  ]);
  assert.deepEqual(
    body.ratings.map(({ cell, stars, n }: Record<string, number>) => [cell, stars, n]),
    [[1, 4, 1], [2, 2, 1]],
  );
  const single = await call(api, user, "PUT", `/tasks/${task}/cells/2/rating`, { stars: 5, version: 1 });
  assert.deepEqual([single.status, single.body.detail], [409, "rating cell 2: its image is another now"]);
  const text = { text: "fine", version: 1 };
  const evaluated = await call(api, user, "POST", `/tasks/${task}/cells/2/evaluations`, text);
  assert.deepEqual([evaluated.status, evaluated.body.detail], [
    409,
    "evaluating cell 2: its image is another now",
  ]);
});

Deno.test("a request rates and deletes in its order; an entry with two actions is refused", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const ratings = [{ cell: 0, stars: 5 }, { cell: 0, cleared: true }, { cell: 1, cleared: true }];
  const { body } = await call(api, user, "POST", `/tasks/${task}/ratings`, { ratings });
  assert.deepEqual(body.ratings.map(({ n }: { n: number }) => n), [1, 0, 0]);
  const history = await call(api, user, "GET", `/tasks/${task}/cells/0/ratings`);
  assert.deepEqual(history.body.items.map(({ action }: { action: string }) => action), ["rated", "cleared"]);
  for (const entry of [{ cell: 0 }, { cell: 0, stars: 5, cleared: true }]) {
    const { status } = await call(api, user, "POST", `/tasks/${task}/ratings`, { ratings: [entry] });
    assert.equal(status, 422);
  }
});
