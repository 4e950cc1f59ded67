/** The rating queue: unrated images by strategy, different for each concurrent rater. */
import assert from "node:assert/strict";
import type { Candidate } from "../../../db/judging/rating_queue.ts";
import { orderCandidates, type Strategy } from "../../../routes/v2/judging/rating_order.ts";
import { drawNumbers } from "../../../routes/v2/judging/rating_queue.ts";
import { startApi } from "../../support/api.ts";
import { addMatrix, addPeople, type Answer, call } from "../support/api.ts";
import { addMigratedTask, addShare, redraw, rerun } from "../support/images.ts";

const pathOf = (task: string, query = "") => `/tasks/${task}/queue/next${query}`;
const cellsOf = ({ body }: Answer): number[] => body.items.map(({ cell }: { cell: number }) => cell);
const sorted = (cells: number[]) => cells.toSorted((a, b) => a - b);

Deno.test("the queue offers images that one has neither rated nor skipped until none remains", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { drawn: 5 });
  await call(api, user, "PUT", `/tasks/${task}/cells/0/rating`, { stars: 5 });
  await call(api, user, "PUT", `/tasks/${task}/cells/1/rating`, { skipped: "x" });
  for (const strategy of ["spread", "fewest", "decide"]) {
    const given = await call(api, user, "GET", pathOf(task, `?n=50&strategy=${strategy}`));
    assert.equal(given.status, 200, given.text);
    assert.deepEqual(sorted(cellsOf(given)), [2, 3, 4], strategy);
  }
  const [one] = (await call(api, user, "GET", pathOf(task))).body.items;
  assert.deepEqual(
    Object.keys(one).toSorted(),
    ["at", "cell", "image_url", "prompts", "ratio", "until", "version"],
  );
  assert.deepEqual(one.at, { v0: Math.floor(one.cell / 2), v1: one.cell % 2 });
  assert.equal(one.image_url, `https://images.example/${one.cell}.png`);
  const [blind] = (await call(api, user, "GET", pathOf(task, "?blind=true"))).body.items;
  assert.deepEqual(Object.keys(blind).toSorted(), ["cell", "image_url", "until", "version"]);
  await rerun(api, user, task, 0);
  assert.deepEqual(
    sorted(cellsOf(await call(api, user, "GET", pathOf(task, "?n=9")))),
    [2, 3, 4],
    "no image",
  );
  await redraw(api, task);
  const afterRerun = await call(api, user, "GET", pathOf(task, "?n=9"));
  assert.deepEqual(sorted(cellsOf(afterRerun)), [0, 2, 3, 4, 5], "the next image of a cell is unrated");
  for (const cell of cellsOf(afterRerun)) {
    await call(api, user, "PUT", `/tasks/${task}/cells/${cell}/rating`, { stars: 3 });
  }
  assert.deepEqual((await call(api, user, "GET", pathOf(task, "?n=9"))).body, { items: [] });
  assert.equal(cellsOf(await call(api, other, "GET", pathOf(task, "?n=9"))).length, 6);
  const old = await addMigratedTask(api, user);
  assert.deepEqual(sorted(cellsOf(await call(api, user, "GET", pathOf(old, "?n=9")))), [0, 1, 2]);
});

Deno.test("concurrent raters get different images while there are enough", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 4, ratios: 3 });
  const given = await Promise.all(
    [user, other, manager].map((who) => call(api, who, "GET", pathOf(task, "?n=4&strategy=fewest"))),
  );
  assert.deepEqual(sorted(given.flatMap(cellsOf)), Array.from({ length: 12 }, (_, i) => i));
  const share = await addShare(api, user, task);
  assert.equal(
    cellsOf(await call(api, share, "GET", pathOf(task, "?n=5"))).length,
    5,
    "reserved images are offered if there are no others",
  );
  await api.database.sql`update reservations set until = now() - interval '1 s' where rater_id <> ${user.id}`;
  const next = cellsOf(await call(api, other, "GET", pathOf(task, "?n=8")));
  const reserved = cellsOf(given[0]!);
  assert.deepEqual(next.filter((cell) => reserved.includes(cell)), [], "an expired reservation is released");
  assert.equal((await api.database.sql`select 1 from reservations where until < now()`).length, 0);
});

Deno.test("a large task is sampled, and the last unrated images are still found", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 30, ratios: 20 });
  assert.equal(new Set(cellsOf(await call(api, user, "GET", pathOf(task, "?n=50")))).size, 50);
  await api.database.sql`
    insert into ratings (task_id, subtask_id, version, rater_id, stars)
    select parent_task_id, id, attempt, ${user.id}, 3
    from subtasks where parent_task_id = ${task} and cell not in (3, 567)`;
  for (const strategy of ["spread", "fewest", "decide"]) {
    const last = await call(api, user, "GET", pathOf(task, `?n=5&strategy=${strategy}`));
    assert.deepEqual(sorted(cellsOf(last)), [3, 567], strategy);
  }
  assert.equal(cellsOf(await call(api, other, "GET", pathOf(task, "?n=3"))).length, 3);
});

Deno.test("a blind share gets no axes and prompts, and only raters may read the queue", async () => {
  await using api = await startApi();
  const { user, guest } = await addPeople(api);
  const task = await addMatrix(api, user);
  const blind = await addShare(api, user, task, { blind: true });
  const [item] = (await call(api, blind, "GET", pathOf(task, "?blind=false"))).body.items;
  assert.deepEqual(Object.keys(item).toSorted(), ["cell", "image_url", "until", "version"]);
  const reading = await addShare(api, user, task, { mode: "read" });
  for (const who of [guest, reading]) assert.equal((await call(api, who, "GET", pathOf(task))).status, 403);
  const cases: [string, string][] = [
    ["n=0", "query.n"],
    ["n=51", "query.n"],
    ["n=1.5", "query.n"],
    ["n=x", "query.n"],
    ["strategy=best", "query.strategy"],
    ["strategy=", "query.strategy"],
    ["blind=1", "query.blind"],
  ];
  for (const [query, field] of cases) {
    const { status, body } = await call(api, user, "GET", pathOf(task, `?${query}`));
    assert.deepEqual([status, body.errors?.[0].field], [422, field], query);
  }
});

const image = (cell: number, more: Partial<Candidate> = {}): Candidate => ({
  id: `${cell}`,
  cell,
  version: 1,
  rating_n: 0,
  rating_sum: 0,
  squares: 0,
  rated: false,
  reserved: false,
  ...more,
});
const levelsOf = (cell: number) => [Math.floor(cell / 4), cell % 4, -1];
const order = (sample: Candidate[], strategy: Strategy, count: number) =>
  orderCandidates(sample, { strategy, levelsOf, count }).map(({ cell }) => cell);

Deno.test("spread: every level of each axis comes before a repetition", () => {
  const sample = Array.from({ length: 12 }, (_, i) => image(i));
  const first = order(sample, "spread", 3).map(levelsOf);
  assert.equal(new Set(first.map(([slow]) => slow)).size, 3);
  assert.equal(new Set(first.map(([, quick]) => quick)).size, 3);
  const rated = sample.map((one) => ({ ...one, rated: one.cell < 8 }));
  assert.ok(order(rated, "spread", 2).every((cell) => cell >= 8));
  const uneven = sample.map((one) => ({ ...one, rated: [0, 1, 2].includes(one.cell) }));
  assert.ok([7, 11].includes(order(uneven, "spread", 1)[0]!), "row 0 and columns 0 to 2 are known");
});

Deno.test("fewest orders by the number of ratings, decide by uncertainty, and reserved images come last", () => {
  const stars = (...given: number[]): Partial<Candidate> => ({
    rating_n: given.length,
    rating_sum: given.reduce((sum, one) => sum + one, 0),
    squares: given.reduce((sum, one) => sum + one * one, 0),
  });
  const sample = [
    image(0, stars(5, 5, 5, 5, 5, 5)),
    image(1, stars(1, 5, 1, 5)),
    image(2, stars(3)),
    image(3),
    image(4, stars(3, 3, 3, 3, 3, 3)),
    image(5, { ...stars(3, 3), rated: true }),
  ];
  assert.deepEqual(order(sample, "fewest", 9), [3, 2, 1, 0, 4]);
  const byUncertainty = order(sample, "decide", 9);
  assert.equal(byUncertainty.length, 5);
  assert.ok(byUncertainty.indexOf(1) < byUncertainty.indexOf(4), "ratings disagree");
  assert.ok(byUncertainty.indexOf(3) < byUncertainty.indexOf(4), "no ratings");
  assert.equal(byUncertainty.at(-1), 0, "ratings agree and no other mean is close");
  const withReserved = sample.map((one) => ({ ...one, reserved: one.cell === 3 || one.cell === 2 }));
  for (const strategy of ["spread", "fewest", "decide"] as const) {
    assert.deepEqual(sorted(order(withReserved, strategy, 9).slice(3)), [2, 3], strategy);
    assert.ok(order(withReserved, strategy, 3).every((cell) => cell !== 2 && cell !== 3), strategy);
  }
  assert.deepEqual(order([], "decide", 3), []);
});

Deno.test("drawNumbers() returns distinct numbers, or all of them if there are no more", () => {
  for (const [total, count, size] of [[0, 5, 0], [5, 5, 5], [3, 9, 3], [100, 7, 7]] as const) {
    const numbers = drawNumbers(total, count);
    assert.equal(new Set(numbers).size, size);
    assert.ok(numbers.every((number) => number >= 0 && number < total));
  }
});
