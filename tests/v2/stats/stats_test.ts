/** Statistics of an axis' levels by ratings, votes and failures. */
import assert from "node:assert/strict";
import { statsOut } from "../../../routes/v2/stats/shapes.ts";
import { extendAxis } from "../../../jobs/moves/control.ts";
import { parseJson } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { startApi } from "../../support/api.ts";
import { failCells, rateAll, vote } from "../support/stats.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

const codesOf = ({ warnings }: { warnings: { code: string }[] }) => warnings.map(({ code }) => code);

Deno.test("means are taken over raters, then images, then units, as in a calculation by hand", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 8, ratios: 2 });
  // Level 0 alternates between 1 and 3 stars. Level 1 has one more, and in the first unit a second rater
  // gives 4.
  await rateAll(api, task, user.id, (cell) => 1 + 2 * (Math.floor(cell / 2) % 2) + cell % 2);
  await rateAll(api, task, other.id, (cell) => cell === 1 ? 4 : null);
  const path = `/tasks/${task}/stats?axis=v1&measure=mean,top2`;
  const { status, body, text, headers } = await call(api, user, "GET", path);
  assert.equal(status, 200, text);
  const [base, level] = body.levels;
  assert.deepEqual(base.n, { raters: 1, ratings: 8, images: 8, units: 8 });
  assert.deepEqual(level.n, { raters: 2, ratings: 9, images: 8, units: 8 });
  assert.equal(base.mean.value, 2);
  // 3 in the first unit, 2 in three of them, 4 in four.
  assert.equal(level.mean.value, (3 + 2 * 3 + 4 * 4) / 8);
  assert.deepEqual(level.distribution, [0, 3.5 / 8, 0, 4.5 / 8, 0]);
  assert.equal(level.top2.value, 4.5 / 8);
  assert.equal(base.top2.value, 0);
  assert.equal(level.against.difference.value, 9 / 8);
  assert.equal(level.against.p_sign_flip, 2 / 2 ** 8);
  const { p, p_holm, q, better } = level.against;
  assert.ok(p < 1e-4 && p_holm === p && q === p && better === 1);
  assert.equal(base.against, null);
  assert.equal(level.against.images_to_decide, null, "it is decided");
  assert.equal(base.best + level.best, 1);
  assert.ok(level.best > 0.99);
  assert.ok(Math.abs(level.adjusted - base.adjusted - 1) < 1e-9, "the second rater's bias is removed");
  assert.deepEqual(body.unit, { basis: "content", axes: ["v0"], units: 8 });
  assert.deepEqual(codesOf(body), ["seeds_confounded", "unbalanced"]);
  assert.match(body.method, /Raters are averaged in an image/);
  assert.deepEqual([base.level, base.label, level.label, body.baseline], [0, "1:1", "2:1", 0]);
  assert.equal("fail" in base || "bt" in base, false);
  const notModified = await call(api, user, "GET", path, undefined, {
    "if-none-match": headers.get("etag")!,
  });
  assert.equal(notModified.status, 304);
  const turned = await call(api, user, "GET", `${path}&baseline=1`);
  assert.equal(turned.body.levels[0].against.difference.value, -9 / 8);
});

Deno.test("ratings of an image do not count for the image of a re-run", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 2, ratios: 2 });
  await rateAll(api, task, user.id, () => 4);
  await api.database.sql`update subtasks set attempt = 2 where parent_task_id = ${task} and cell = 0`;
  const { body } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1`);
  assert.deepEqual(body.levels.map(({ n }: { n: { ratings: number } }) => n.ratings), [1, 2]);
  assert.ok(codesOf(body).includes("unbalanced"));
});

Deno.test("refusals and timeouts are shares of ended cells, as recorded by the queue or the old backend", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 30, ratios: 2, drawn: 58 });
  const odd = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + 2 * i);
  await failCells(api, task, odd(1, 6), { error: "内容不合规 (HTTP 451)" });
  await failCells(api, task, odd(13, 6), { error: "?", outcome: "illegal" });
  await failCells(api, task, [25], { error: "超时" });
  await failCells(api, task, [0], { error: "boom" });
  const { body, text } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1&measure=fail`);
  const [first, second] = body.levels.map(({ fail }: { fail: unknown }) => fail);
  assert.deepEqual([first.ended, first.refused.n, first.timed_out.n, first.failed.n], [29, 0, 0, 1], text);
  assert.deepEqual([second.ended, second.refused.n, second.timed_out.n, second.failed.n], [29, 12, 1, 0]);
  assert.deepEqual(second.attempts, { refused: 6, timed_out: 0, failed: 0 });
  assert.equal(second.refused.rate, 12 / 29);
  assert.ok(second.refused.low > 0.25 && second.refused.high < 0.6);
  assert.deepEqual(codesOf(body), ["seeds_confounded", "unequal_refused"]);
  assert.equal("mean" in body.levels[0], false);
});

Deno.test("votes yield a set of possible ranks for each level", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 8, ratios: 4 });
  const votes: [number, number, string][] = [];
  for (let unit = 0; unit < 8; unit++) {
    // Levels 0 and 1 mostly beat level 2 and tie with each other. Level 3 has no votes.
    for (const level of [0, 1]) {
      for (let i = 0; i < 4; i++) {
        votes.push([4 * unit + level, 4 * unit + 2, i === 3 && unit % 4 === level ? "right" : "left"]);
      }
    }
    votes.push([4 * unit, 4 * unit + 1, "tie"], [4 * unit + 1, 4 * unit, "skip"]);
  }
  await vote(api, task, user.id, [...votes, [0, 4 + 2, "left"], [0, 4, "left"]]);
  const { body, text } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1&measure=bt`);
  const [a, b, c, none] = body.levels.map(({ bt }: { bt: unknown }) => bt);
  assert.equal(none, null);
  assert.deepEqual(a.ranks, { best: 1, worst: 2 }, text);
  assert.deepEqual(b.ranks, { best: 1, worst: 2 });
  assert.deepEqual(c.ranks, { best: 3, worst: 3 });
  assert.equal(c.votes, 65);
  assert.ok(Math.abs(a.strength + b.strength + c.strength) < 1e-9);
  assert.ok(a.low < a.strength && a.strength < a.high && c.high < 0);
  assert.ok(codesOf(body).includes("votes_across_units"));
  assert.match(body.method, /8 units/);
});

Deno.test("`by` repeats the statistics within each level of another axis and lists interactions", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 8, ratios: 3 });
  await rateAll(api, task, user.id, (cell) => 2 + cell % 3 % 2);
  await rateAll(api, task, other.id, (cell) => 1 + cell % 3);
  const { body, text } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1&by=v0`);
  assert.deepEqual(statsOut.parse(body), body);
  assert.equal(body.by.groups.length, 8, text);
  assert.equal(body.by.axis.role, "content");
  const [group] = body.by.groups;
  assert.deepEqual([group.level, group.label, group.levels.length], [0, "prompt 0", 3]);
  assert.equal(group.levels[2].mean.value, 2.5);
  assert.deepEqual(group.levels[2].mean, { value: 2.5, low: null, high: null });
  assert.equal(group.levels[2].best, null);
  assert.ok(codesOf(group).includes("few_units"));
  assert.deepEqual(body.by.interactions, []);
  // Prompts are the only content axis, so ratios become the units of prompts.
  const turned = await call(api, user, "GET", `/tasks/${task}/stats?axis=v0&by=v1`);
  assert.deepEqual(turned.body.unit, { basis: "axes", axes: ["v1"], units: 3 });
  assert.ok(codesOf(turned.body).includes("units_not_content"));
});

Deno.test("the roles of a task's axes determine the units", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 4, ratios: 6 });
  await rateAll(api, task, user.id, (cell) => 1 + cell % 5);
  await api.database.sql`
    update tasks set axis_roles = '{"v0":"treatment","v1":"content"}', seed_policy = 'shared' where id = ${task}`;
  const { body } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v0&measure=mean`);
  assert.deepEqual(body.unit, { basis: "content", axes: ["v1"], units: 6 });
  assert.deepEqual(codesOf(body), []);
});

Deno.test("equal values form one level, and repeats of a combination are averaged within the unit", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 2, ratios: 6 });
  const { sql } = api.database;
  await sql`
    update tasks set variables = '{"v0":{"name":"prompt","values":[{"value":"a","id":"1"},{"value":"b"},{"value":"a"}]}}'
    where id = ${task}`;
  await sql`update subtasks set variable_types_map = '{"v0":"element"}' where parent_task_id = ${task}`;
  await rateAll(api, task, user.id, (cell) => 1 + cell % 4);
  const { body, text } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v0&measure=mean&baseline=2`);
  assert.deepEqual(
    body.levels.map(({ level, n }: { level: number; n: { images: number } }) => [level, n.images]),
    [
      [0, 8],
      [1, 4],
    ],
    text,
  );
  assert.deepEqual([body.baseline, body.unit.basis, body.unit.units], [0, "repeats", 4]);
});

Deno.test("the levels of a migrated task with missing cells come from its cells' indices", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 3, ratios: 2 });
  const { sql } = api.database;
  await sql`
    update subtasks set variable_indices = array[cell / 2, cell % 2, null, null, null, null] where parent_task_id = ${task}`;
  await sql`delete from subtasks where parent_task_id = ${task} and cell = 0`;
  await sql`update subtasks set cell = cell - 1 where parent_task_id = ${task} and cell = 1`;
  await sql`update subtasks set cell = cell - 1 where parent_task_id = ${task} and cell = 2`;
  await sql`update tasks set subtasks_total = 5, subtasks_completed = 5 where id = ${task}`;
  await rateAll(api, task, user.id, () => 3);
  const { body } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1&measure=mean`);
  assert.deepEqual(body.levels.map(({ n }: { n: { images: number } }) => n.images), [2, 3]);
});

Deno.test("statistics are null, without an error, for no ratings, equal stars, a single level or no images", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const empty = await addMatrix(api, user, { prompts: 7, ratios: 2 });
  const none = await call(api, user, "GET", `/tasks/${empty}/stats?axis=v1&by=v0`);
  assert.equal(none.status, 200);
  assert.deepEqual(statsOut.parse(none.body), none.body);
  const [level] = none.body.levels;
  assert.deepEqual(level.n, { raters: 0, ratings: 0, images: 0, units: 0 });
  assert.deepEqual([level.mean, level.adjusted, level.best, level.distribution, level.top2, level.bt], [
    null,
    null,
    null,
    null,
    null,
    null,
  ]);
  await rateAll(api, empty, user.id, () => 3);
  const equal = await call(api, user, "GET", `/tasks/${empty}/stats?axis=v1`);
  assert.deepEqual(equal.body.levels[1].mean, { value: 3, low: null, high: null });
  assert.deepEqual([equal.body.levels[1].against.p, equal.body.levels[1].best], [null, 0.5]);
  assert.ok(codesOf(equal.body).includes("no_spread"));
  const single = await addMatrix(api, user, { prompts: 7, ratios: 1 });
  await rateAll(api, single, user.id, (cell) => 1 + cell % 5);
  const one = await call(api, user, "GET", `/tasks/${single}/stats?axis=v1`);
  assert.equal(one.body.levels.length, 1);
  assert.equal(one.body.levels[0].best, 1);
  assert.equal(one.body.levels[0].against, null);
  const withoutImages = await addMatrix(api, user, { prompts: 2, ratios: 2, drawn: 0 });
  const unfinished = await call(api, user, "GET", `/tasks/${withoutImages}/stats?axis=v1&measure=fail`);
  assert.equal(unfinished.body.levels[0].fail.refused.rate, null);
});

Deno.test("few units cause a warning, and a level that raters confound has no adjusted mean", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 4, ratios: 2 });
  // Each level has its own rater, so that the effects of level and rater cannot be separated.
  await rateAll(api, task, user.id, (cell) => cell % 2 === 0 ? 2 : null);
  await rateAll(api, task, other.id, (cell) => cell % 2 === 1 ? 5 : null);
  const { body } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1&measure=mean`);
  assert.deepEqual(body.levels.map(({ adjusted }: { adjusted: unknown }) => adjusted), [null, null]);
  assert.deepEqual(codesOf(body), ["seeds_confounded", "few_units", "not_separable"]);
  assert.deepEqual(body.warnings[1].levels, [0, 1]);
  await rateAll(api, await addMatrix(api, user, { prompts: 2, ratios: 2 }), user.id, () => null);
});

Deno.test("a mean that conflicts with the order of single ratings causes a warning", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 5, ratios: 2 });
  // Level 1 is better by one star in three units and worse by four in one.
  await rateAll(api, task, user.id, (cell) => [4, 5, 4, 5, 4, 5, 5, 1, 3, 3][cell]!);
  const { body } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1&measure=mean`);
  assert.ok(body.levels[1].against.difference.value < 0 && body.levels[1].against.better > 0.5);
  assert.ok(codesOf(body).includes("order_disagrees"));
});

Deno.test("only the owner and admins see statistics of a blind task's ratings and votes; anyone sees failures", async () => {
  await using api = await startApi();
  const { user, other, admin, guest } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 2, ratios: 2 });
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  await rateAll(api, task, other.id, () => 3);
  const path = `/tasks/${task}/stats?axis=v1`;
  for (const person of [user, admin]) assert.equal((await call(api, person, "GET", path)).status, 200);
  for (const person of [other, guest]) {
    for (const measure of ["mean", "top2", "bt", "fail,bt"]) {
      const refused = await call(api, person, "GET", `${path}&measure=${measure}`);
      assert.equal(refused.status, 403, measure);
      assert.match(refused.body.detail, /blind/);
    }
    const failures = await call(api, person, "GET", `${path}&measure=fail`);
    assert.equal(failures.status, 200);
    assert.doesNotMatch(JSON.stringify(failures.body.levels), /"n":\{|ratings|mean/);
  }
});

Deno.test("an invalid query is refused with the name of the parameter", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 2, ratios: 2 });
  const cases: [query: string, field: string][] = [
    ["", "query.axis"],
    ["axis=v6", "query.axis"],
    ["axis=v2", "query.axis"],
    ["axis=V0", "query.axis"],
    ["axis=v0&by=v0", "query.by"],
    ["axis=v0&by=v3", "query.by"],
    ["axis=v0&by=ratio", "query.by"],
    ["axis=v0&measure=", "query.measure"],
    ["axis=v0&measure=elo", "query.measure"],
    ["axis=v0&measure=mean,,bt", "query.measure"],
    ["axis=v0&baseline=2", "query.baseline"],
    ["axis=v0&baseline=-1", "query.baseline"],
    ["axis=v0&baseline=1.5", "query.baseline"],
    ["axis=v0&baseline=100000", "query.baseline"],
  ];
  for (const [query, field] of cases) {
    const { status, body } = await call(api, user, "GET", `/tasks/${task}/stats?${query}`);
    assert.equal(status, 422, query);
    assert.deepEqual(body.errors.map((error: { field: string }) => error.field), [field], query);
  }
  for (const id of ["x", crypto.randomUUID()]) {
    assert.equal((await call(api, user, "GET", `/tasks/${id}/stats?axis=v0`)).status, 404);
  }
});

Deno.test("cells that were added later count for their own values", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const { sql } = api.database;
  const task = await addMatrix(api, user, { prompts: 6, ratios: 2 });
  const input = { taskId: task, userId: user.id, slot: 1, values: [parseJson('"3:1"')] };
  const extended = await extendAxis({ sql, log: silentLog }, input);
  assert.equal((extended as { cells: number }).cells, 6);
  await sql`
    update subtasks set status = 'completed', completed_at = now(), attempt = 1, image_url = 'https://images.example/x'
    where parent_task_id = ${task} and status = 'pending'`;
  // The first twelve cells are in row-major order; the next six all have the new ratio.
  await rateAll(api, task, user.id, (cell) => cell < 12 ? 1 + 2 * (cell % 2) : 5);
  const { body } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1`);
  assert.deepEqual(
    body.levels.map(({ mean }: { mean: { value: number } }) => mean.value),
    [1, 3, 5],
    JSON.stringify(body),
  );
});

Deno.test("an undecided difference tells how many more images decide it, by the width of its interval", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 8, ratios: 2 });
  // The second level is one star better in five prompts and one worse in three.
  await rateAll(api, task, user.id, (cell) => 3 + (cell % 2 === 0 ? 0 : Math.floor(cell / 2) < 5 ? 1 : -1));
  const { body } = await call(api, user, "GET", `/tasks/${task}/stats?axis=v1&measure=mean`);
  const [base, level] = body.levels;
  const { difference: { value, low, high }, images_to_decide } = level.against;
  assert.ok(low < 0 && high > 0);
  const images = base.n.images + level.n.images;
  // An interval that is half as wide needs four times the images.
  assert.equal(images_to_decide, Math.ceil(images * (((high - low) / 2 / value) ** 2 - 1)));
  assert.ok(images_to_decide > images);
});
