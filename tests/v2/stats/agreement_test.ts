/** Agreement of raters. */
import assert from "node:assert/strict";
import { startApi } from "../../support/api.ts";
import { raiseCells, rateAll } from "../support/stats.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

Deno.test("agreement reports alpha and each rater's bias and inconsistency for the current images", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 8, ratios: 2, drawn: 15 });
  await rateAll(api, task, user.id, (cell) => 1 + cell % 4);
  await rateAll(api, task, other.id, (cell) => 2 + cell % 4);
  await rateAll(api, task, manager.id, (cell) => cell === 3 ? 1 : null);
  const { status, body, text, headers } = await call(api, user, "GET", `/tasks/${task}/agreement`);
  assert.equal(status, 200, text);
  assert.deepEqual([body.ratings, body.images, body.shared_images, body.units], [31, 15, 15, 8]);
  assert.ok(body.alpha.value > 0.3 && body.alpha.value < 0.9);
  assert.ok(body.alpha.low < body.alpha.value && body.alpha.value < body.alpha.high);
  const rater = (email: string) => body.raters.find((one: { rater: string }) => one.rater === email);
  // In 14 images the raters are one star apart. The last image has 4, 5 and 1 stars, with a mean of 10/3.
  assert.ok(Math.abs(rater(user.email).bias - (14 * -0.5 + 4 - 10 / 3) / 15) < 1e-12);
  assert.deepEqual([rater(other.email).n, rater(manager.email).n, rater(manager.email).inconsistency], [
    15,
    1,
    0,
  ]);
  assert.deepEqual(body.warnings, []);
  assert.match(body.method, /P\.913/);
  const notModified = await call(api, user, "GET", `/tasks/${task}/agreement`, undefined, {
    "if-none-match": headers.get("etag")!,
  });
  assert.equal(notModified.status, 304);
  await api.database.sql`update subtasks set attempt = 2 where parent_task_id = ${task} and cell = 3`;
  await raiseCells(api, task, [3]);
  const afterRerun = await call(api, user, "GET", `/tasks/${task}/agreement`);
  assert.deepEqual(
    [afterRerun.body.ratings, afterRerun.body.raters.length, afterRerun.body.alpha.value < 1],
    [28, 2, true],
  );
});

Deno.test("a warning replaces the number if no image has two raters, stars are equal or units are few", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 3, ratios: 2 });
  const ask = async () => (await call(api, user, "GET", `/tasks/${task}/agreement`)).body;
  const codes = (body: { warnings: { code: string }[] }) => body.warnings.map(({ code }) => code);
  const empty = await ask();
  assert.deepEqual([empty.alpha, empty.raters, codes(empty)], [null, [], ["no_shared_images"]]);
  await rateAll(api, task, user.id, () => 4);
  const single = await ask();
  assert.deepEqual([single.alpha, single.raters[0].bias, codes(single)], [null, null, ["no_shared_images"]]);
  await rateAll(api, task, other.id, () => 4);
  assert.deepEqual(codes(await ask()), ["all_equal"]);
  await rateAll(api, task, manager.id, (cell) => 1 + cell % 3);
  const few = await ask();
  assert.deepEqual([typeof few.alpha.value, few.alpha.low, codes(few)], ["number", null, ["few_units"]]);
});

Deno.test("only the owner and admins read the agreement on a blind task, where a deleted rater has no name", async () => {
  await using api = await startApi();
  const { user, other, admin, guest, deleted } = await addPeople(api);
  const task = await addMatrix(api, user);
  await rateAll(api, task, deleted.id, () => 2);
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  const path = `/tasks/${task}/agreement`;
  assert.deepEqual(
    await Promise.all(
      [user, admin, other, guest, undefined].map(async (who) => (await call(api, who, "GET", path)).status),
    ),
    [200, 200, 403, 403, 401],
  );
  const { body } = await call(api, user, "GET", path);
  assert.deepEqual([body.raters[0].rater, body.raters[0].rater_id], [null, deleted.id]);
  assert.equal((await call(api, user, "GET", "/tasks/none/agreement")).status, 404);
});
