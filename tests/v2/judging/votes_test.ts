/** Votes: choice of pairs, validation, visibility and withdrawal. */
import assert from "node:assert/strict";
import { choosePairs, orderPairs, type Pair } from "../../../routes/v2/judging/pair_choice.ts";
import { startApi } from "../../support/api.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";
import { addMigratedTask, addShare, redraw, rerun } from "../support/images.ts";

interface ImageVersion {
  cell: number;
  version: number;
}
const voteOn = (left: number, right: number, outcome = "left", more: Record<string, unknown> = {}) => ({
  left: { cell: left, version: 1 },
  right: { cell: right, version: 1 },
  outcome,
  ...more,
});
const toImageVersion = ({ cell, version }: ImageVersion): ImageVersion => ({ cell, version });

Deno.test("pairs differ only on the axis, have random sides, and do not repeat until all are judged", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 3, ratios: 3, drawn: 8 });
  const path = `/tasks/${task}/pairs/next`;
  const seen = new Set<string>();
  for (;;) {
    const { status, body, text } = await call(api, user, "GET", path);
    assert.equal(status, 200, text);
    assert.equal(body.axis, "v1", "the first treatment axis");
    const [pair] = body.items;
    if (!pair) break;
    const { left, right } = pair;
    assert.deepEqual(Object.keys(left).toSorted(), [
      "at",
      "cell",
      "image_url",
      "prompts",
      "ratio",
      "version",
    ]);
    assert.equal(left.at.v0, right.at.v0);
    assert.notEqual(left.at.v1, right.at.v1);
    const key = [left.cell, right.cell].toSorted().join();
    assert.ok(!seen.has(key), `${key} again`);
    seen.add(key);
    const vote = { left: toImageVersion(left), right: toImageVersion(right), outcome: "tie" };
    assert.equal((await call(api, user, "POST", `/tasks/${task}/votes`, vote)).status, 201);
  }
  assert.equal(seen.size, 3 + 3 + 1, "the last cell has no image");
  const sides = new Set<boolean>();
  for (let i = 0; i < 60 && sides.size < 2; i++) {
    const [{ left, right }] = (await call(api, other, "GET", `${path}?axis=v0`)).body.items;
    assert.equal(left.at.v1, right.at.v1);
    sides.add(left.cell < right.cell);
  }
  assert.equal(sides.size, 2, "both sides occur");
  const few = (await call(api, other, "GET", `${path}?n=20`)).body.items;
  assert.equal(few.length, 7);
});

Deno.test("pairs with few votes come first, and a blind pair has no axes", async () => {
  await using api = await startApi();
  const { user, other, guest } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 2, ratios: 3 });
  for (const [a, b] of [[0, 1], [1, 2], [3, 4], [3, 5], [4, 5]] as const) {
    assert.equal((await call(api, user, "POST", `/tasks/${task}/votes`, voteOn(b, a))).status, 201);
  }
  const [first] = (await call(api, other, "GET", `/tasks/${task}/pairs/next?blind=true`)).body.items;
  assert.deepEqual([first.left.cell, first.right.cell].toSorted(), [0, 2]);
  assert.deepEqual(Object.keys(first.left).toSorted(), ["cell", "image_url", "version"]);
  const blind = await addShare(api, user, task, { blind: true });
  const [hidden] = (await call(api, blind, "GET", `/tasks/${task}/pairs/next`)).body.items;
  assert.equal(hidden.left.at, undefined);
  assert.equal((await call(api, blind, "POST", `/tasks/${task}/votes`, voteOn(0, 1))).body.blind, true);
  const reading = await addShare(api, user, task, { mode: "read" });
  for (const who of [guest, reading]) {
    assert.equal((await call(api, who, "GET", `/tasks/${task}/pairs/next`)).status, 403);
    assert.equal((await call(api, who, "POST", `/tasks/${task}/votes`, voteOn(0, 1))).status, 403);
  }
  for (
    const [query, field] of [["axis=v2", "query.axis"], ["axis=x", "query.axis"], ["n=0", "query.n"], [
      "n=21",
      "query.n",
    ]]
  ) {
    const { status, body } = await call(api, user, "GET", `/tasks/${task}/pairs/next?${query}`);
    assert.deepEqual([status, body.errors?.[0].field], [422, field], query);
  }
  const single = await addMatrix(api, user, { prompts: 1, ratios: 1 });
  assert.deepEqual((await call(api, user, "GET", `/tasks/${single}/pairs/next`)).body, {
    axis: null,
    items: [],
  });
  const old = await addMigratedTask(api, user);
  assert.equal((await call(api, user, "GET", `/tasks/${old}/pairs/next`)).status, 200);
});

Deno.test("a vote is for the current images, once per rater and pair", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { drawn: 5 });
  const path = `/tasks/${task}/votes`;
  const key = { "idempotency-key": "v" };
  const [a, b] = await Promise.all(
    [1, 2].map(() => call(api, user, "POST", path, voteOn(0, 1, "left", { took_ms: 5 }), key)),
  );
  assert.deepEqual([a!.status, b!.status, a!.text], [201, 201, b!.text]);
  const { id, created_at, ...rest } = a!.body;
  assert.match(id, /^\d+$/);
  assert.ok(Date.parse(created_at) > 0);
  assert.deepEqual(rest, {
    ...voteOn(0, 1),
    rater_id: user.id,
    rater: "user@example.com",
    blind: false,
    took_ms: 5,
  });
  const cases: [string, unknown, number][] = [
    ["again", voteOn(0, 1), 409],
    ["again, the other way", voteOn(1, 0, "tie"), 409],
    ["no image", voteOn(0, 5), 409],
    ["another version", { ...voteOn(0, 2), right: { cell: 2, version: 2 } }, 409],
    ["no cell", voteOn(0, 6), 404],
    ["another pair", voteOn(0, 2, "skip"), 201],
  ];
  for (const [what, body, expected] of cases) {
    const answer = await call(api, user, "POST", path, body);
    assert.equal(answer.status, expected, `${what}: ${answer.text}`);
  }
  await rerun(api, user, task, 0);
  assert.equal((await call(api, other, "POST", path, voteOn(0, 1))).status, 409);
  await redraw(api, task);
  assert.equal((await call(api, other, "POST", path, voteOn(0, 1))).status, 409);
  const now = { ...voteOn(0, 1), left: { cell: 0, version: 2 } };
  assert.equal((await call(api, user, "POST", path, now)).status, 201, "a new image forms a new pair");
  const many = await Promise.all(
    Array.from({ length: 10 }, (_, i) => call(api, other, "POST", path, i % 2 ? voteOn(1, 2) : voteOn(2, 1))),
  );
  assert.deepEqual(many.map(({ status }) => status).toSorted(), [201, ...Array(9).fill(409)]);
});

Deno.test("the owner and admins see all votes, others their own, and only the last one can be withdrawn", async () => {
  await using api = await startApi();
  const { user, other, admin, manager } = await addPeople(api);
  const task = await addMatrix(api, user);
  const path = `/tasks/${task}/votes`;
  const share = await addShare(api, user, task);
  const ids: string[] = [];
  for (const [who, right] of [[other, 1], [user, 1], [other, 2], [share, 1]] as const) {
    ids.push((await call(api, who, "POST", path, voteOn(0, right))).body.id);
  }
  const readIds = async (who: Parameters<typeof call>[1], query = "") =>
    (await call(api, who, "GET", path + query)).body.items.map(({ id }: { id: string }) => id);
  assert.deepEqual(await readIds(user), ids);
  assert.deepEqual(await readIds(admin), ids);
  assert.deepEqual(await readIds(other), [ids[0], ids[2]]);
  assert.deepEqual(await readIds(manager), []);
  assert.deepEqual(await readIds(share), [ids[3]]);
  assert.equal((await call(api, share, "GET", path)).body.items[0].rater, null);
  const page = await call(api, user, "GET", `${path}?limit=3`);
  assert.equal(page.body.items.length, 3);
  assert.deepEqual(await readIds(user, `?limit=3&cursor=${page.body.next}`), [ids[3]]);
  const cases: [string, Parameters<typeof call>[1], string, number][] = [
    ["not the last", other, ids[0]!, 409],
    ["the owner, another's", user, ids[2]!, 403],
    ["another's, which is hidden", manager, ids[2]!, 404],
    ["the last", other, ids[2]!, 204],
    ["again", other, ids[2]!, 404],
    ["the one before it", other, ids[0]!, 204],
    ["by a share", share, ids[3]!, 204],
    ...["0", "x", "-1", "9".repeat(18), "9".repeat(40), "%00", "1.5"].map(
      (id): [string, Parameters<typeof call>[1], string, number] => [id, user, id, 404],
    ),
  ];
  for (const [what, who, id, expected] of cases) {
    const { status, text } = await call(api, who, "DELETE", `${path}/${id}`);
    assert.equal(status, expected, `${what}: ${text}`);
  }
  assert.deepEqual(await readIds(user), [ids[1]]);
});

Deno.test("an invalid vote is refused with the name of the field", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const cases: [unknown, string][] = [
    [{}, "body.left"],
    [voteOn(0, 0), "body.right.cell"],
    [voteOn(0, 1, "both"), "body.outcome"],
    [voteOn(0, 1, ""), "body.outcome"],
    [voteOn(-1, 1), "body.left.cell"],
    [voteOn(0, 100_000), "body.right.cell"],
    [voteOn(0, 1.5), "body.right.cell"],
    [{ ...voteOn(0, 1), left: { cell: 0 } }, "body.left.version"],
    [{ ...voteOn(0, 1), left: { cell: 0, version: 2_147_483_648 } }, "body.left.version"],
    [{ ...voteOn(0, 1), left: { cell: 0, version: 1, url: "x" } }, "body.left.url"],
    [voteOn(0, 1, "left", { took_ms: -1 }), "body.took_ms"],
    [voteOn(0, 1, "left", { rater_id: user.id }), "body.rater_id"],
  ];
  for (const [body, field] of cases) {
    const answer = await call(api, user, "POST", `/tasks/${task}/votes`, body);
    assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, field], answer.text);
  }
  assert.equal((await api.database.sql`select 1 from votes`).length, 0);
});

const levelsOf = (cell: number) => [Math.floor(cell / 3), cell % 3];
const cells = (count: number) => Array.from({ length: count }, (_, i) => i);

Deno.test("choosePairs() returns pairs of equal content, or of any content if there are none, and samples many", () => {
  const names = (pairs: Pair[]) => pairs.map((pair) => pair.join()).toSorted();
  assert.deepEqual(names(choosePairs(cells(6), levelsOf, 1)), ["0,1", "0,2", "1,2", "3,4", "3,5", "4,5"]);
  assert.deepEqual(names(choosePairs(cells(6), levelsOf, 0)), ["0,3", "1,4", "2,5"]);
  assert.deepEqual(
    names(choosePairs([0, 4], levelsOf, 1)),
    ["0,4"],
    "contents differ, but there are no other pairs",
  );
  assert.deepEqual(choosePairs([0, 3], levelsOf, 1), []);
  assert.deepEqual(choosePairs([], levelsOf, 1), []);
  const manyLevelsOf = (cell: number) => [cell % 2, Math.floor(cell / 2) % 500];
  const many = choosePairs(cells(50_000), manyLevelsOf, 0);
  assert.ok(many.length > 100 && many.length <= 400);
  for (const [a, b] of many) {
    assert.ok(
      a < b && manyLevelsOf(a)[0] !== manyLevelsOf(b)[0] && manyLevelsOf(a)[1] === manyLevelsOf(b)[1],
    );
  }
});

Deno.test("orderPairs() orders by votes, then by differences, then by votes on the cells", () => {
  const pairs: Pair[] = [[0, 1], [0, 2], [3, 4], [0, 4], [1, 2]];
  const counts = [
    { a: 0, b: 1, votes: 2, mine: false },
    { a: 0, b: 2, votes: 1, mine: true },
  ];
  assert.deepEqual(orderPairs(pairs, counts, levelsOf), [[3, 4], [1, 2], [0, 4], [0, 1]]);
});
