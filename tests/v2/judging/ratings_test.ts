/** Ratings: one per rater and image, with history and mean. */
import assert from "node:assert/strict";
import { createBatcher } from "../../../batch.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";
import { addMigratedTask, addShare, redraw, rerun } from "../support/images.ts";

async function readCellRow({ database: { sql } }: Pick<TestApi, "database">, task: string, cell: number) {
  const [row] = await sql`
    select rating, rating_n, rating_sum from subtasks where parent_task_id = ${task} and cell = ${cell}`;
  return { ...row };
}

const pathOf = (task: string, cell: number | string) => `/tasks/${task}/cells/${cell}/rating`;

Deno.test("each rater has one rating, and the cell holds the mean", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user);
  const path = pathOf(task, 4);
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
  assert.deepEqual((await call(api, user, "DELETE", path)).body, cleared.body, "repetition returns the same");
  assert.deepEqual((await call(api, user, "GET", path)).body, cleared.body);
  assert.equal((await call(api, manager, "GET", path)).body.stars, 4);
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
  const seen: unknown[] = [];
  for (let cursor = ""; cursor !== "end";) {
    const page = await call(api, user, "GET", `/tasks/${task}/cells/4/ratings?limit=4${cursor}`);
    seen.push(...page.body.items);
    cursor = page.body.next === null ? "end" : `&cursor=${page.body.next}`;
  }
  assert.deepEqual(seen, history.body.items, "page by page");
});

Deno.test("a rating raises the revision of its cell and task, and does not change v1's responses", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user);
  const v1 = async () => {
    const texts = [];
    for (const path of [`/tasks/${task}`, `/tasks/${task}/matrix`, "/tasks"]) {
      const response = await fetch(`${api.origin}/api/v1${path}`, {
        headers: { authorization: `Bearer ${user.token}` },
      });
      assert.equal(response.status, 200);
      texts.push(await response.text());
    }
    return texts;
  };
  const revisions = async () => {
    const [row] = await api.database.sql`
      select t.revision::int, s.revision::int as cell_revision
      from tasks t join subtasks s on s.parent_task_id = t.id and s.cell = 2 where t.id = ${task}`;
    return { ...row };
  };
  const before = await v1();
  const { revision } = await revisions();
  await call(api, user, "PUT", pathOf(task, 2), { stars: 5 });
  assert.deepEqual(await revisions(), { revision: revision + 1, cell_revision: revision + 1 });
  await call(api, other, "PUT", pathOf(task, 2), { skipped: "no" });
  await call(api, user, "DELETE", pathOf(task, 2));
  await call(api, other, "POST", `/tasks/${task}/cells/1/evaluations`, { text: "fine", tags: ["a"] });
  await call(api, user, "PUT", `/tasks/${task}/cells/3/rating`, { stars: 1 });
  assert.deepEqual(await v1(), before);
});

Deno.test("in a bulk request refused cells do not affect others, and the last rating of a cell counts", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { drawn: 4 });
  await call(api, other, "PUT", pathOf(task, 0), { stars: 1 });
  const ratings = [
    { cell: 0, stars: 5 },
    { cell: 5, stars: 5 },
    { cell: 0, stars: 3 },
    { cell: 700, stars: 2 },
    { cell: 1, skipped: "blurred" },
    { cell: 0, stars: 4, blind: true },
  ];
  const { status, body, text } = await call(api, user, "POST", `/tasks/${task}/ratings`, { ratings });
  assert.equal(status, 200, text);
  const of = (cell: number, stars: number | null, mean: number | null, n: number) => ({
    cell,
    version: 1,
    stars,
    skipped: stars === null ? "blurred" : null,
    mean,
    n,
  });
  assert.deepEqual(body, {
    rated: 4,
    ratings: [of(0, 5, 3, 2), of(0, 3, 2, 2), of(1, null, null, 0), of(0, 4, 2.5, 2)],
    refused: [{ index: 1, cell: 5, reason: "no_image" }, { index: 3, cell: 700, reason: "no_cell" }],
  });
  assert.deepEqual(await readCellRow(api, task, 0), { rating: 3, rating_n: 2, rating_sum: 5 });
  const history = await call(api, user, "GET", `/tasks/${task}/cells/0/ratings`);
  assert.deepEqual(
    history.body.items.slice(1).map(({ action, stars }: Record<string, unknown>) => [action, stars]),
    [["rated", 5], ["changed", 3], ["changed", 4]],
  );
});

Deno.test("a re-run creates a new version of the cell, and ratings stay with their image", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user);
  const path = pathOf(task, 2);
  await call(api, user, "PUT", path, { stars: 2 });
  await call(api, other, "PUT", path, { stars: 3 });
  await rerun(api, user, task, 2);
  for (const [method, body] of [["PUT", { stars: 4 }], ["DELETE", undefined], ["GET", undefined]] as const) {
    const refused = await call(api, user, method, path, body);
    assert.deepEqual([refused.status, refused.body.detail], [409, "rating cell 2: it has no image now"]);
  }
  await redraw(api, task);
  const own = await call(api, user, "GET", path);
  assert.deepEqual(own.body, { cell: 2, version: 2, stars: null, skipped: null, mean: null, n: 0 });
  const rated = await call(api, user, "PUT", path, { stars: 5 });
  assert.deepEqual([rated.body.version, rated.body.mean, rated.body.n], [2, 5, 1]);
  assert.deepEqual(await readCellRow(api, task, 2), { rating: 5, rating_n: 1, rating_sum: 5 });
  const { body } = await call(api, user, "GET", `/tasks/${task}/cells/2/ratings`);
  assert.deepEqual(
    body.items.map(({ version, stars }: Record<string, unknown>) => [version, stars]),
    [[1, 2], [1, 3], [2, 5]],
  );
});

Deno.test("cells of a migrated task are numbered, and one without an image cannot be rated", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMigratedTask(api, user);
  const rated = await call(api, other, "PUT", pathOf(task, 1), { stars: 4 });
  assert.deepEqual(rated.body, { cell: 1, version: 0, stars: 4, skipped: null, mean: 4, n: 1 });
  assert.equal((await call(api, other, "PUT", pathOf(task, 3), { stars: 4 })).status, 409);
  assert.equal((await call(api, other, "PUT", pathOf(task, 4), { stars: 4 })).status, 404);
  await rerun(api, user, task, 1);
  await redraw(api, task);
  const again = await call(api, other, "PUT", pathOf(task, 1), { stars: 1 });
  assert.deepEqual([again.body.version, again.body.n], [1, 1]);
});

Deno.test("in a blind task, others' ratings are hidden until one has given the image stars", async () => {
  await using api = await startApi();
  const { user, other, manager, admin } = await addPeople(api);
  const task = await addMatrix(api, user);
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  const path = pathOf(task, 0);
  const historyOf = async (who: Parameters<typeof call>[1]) =>
    (await call(api, who, "GET", `/tasks/${task}/cells/0/ratings`)).body.items.length;
  await call(api, other, "PUT", path, { stars: 2 });
  assert.deepEqual((await call(api, manager, "GET", path)).body.n, null);
  const skipped = await call(api, manager, "PUT", path, { skipped: "later" });
  assert.deepEqual([skipped.body.mean, skipped.body.n], [null, null], "a skip reveals nothing");
  assert.equal(await historyOf(manager), 1, "only one's own");
  assert.equal(await historyOf(user), 2, "the owner sees all");
  assert.equal(await historyOf(admin), 2);
  const rated = await call(api, manager, "PUT", path, { stars: 4 });
  assert.deepEqual([rated.body.mean, rated.body.n], [3, 2]);
  assert.equal(await historyOf(manager), 3);
  const cleared = await call(api, manager, "DELETE", path);
  assert.deepEqual([cleared.body.mean, cleared.body.n], [null, null]);
  assert.equal(await historyOf(manager), 3, "only one's own of four again");
  await call(api, manager, "PUT", path, { stars: 4 });
  await rerun(api, user, task, 0);
  await redraw(api, task);
  await call(api, other, "PUT", path, { stars: 5 });
  assert.equal((await call(api, manager, "GET", path)).body.n, null, "the next image is hidden again");
  assert.equal(await historyOf(manager), 5, "all ratings of the rated image, none of the new one");
  const many = await call(api, manager, "POST", `/tasks/${task}/ratings`, {
    ratings: [{ cell: 0, skipped: "x" }, { cell: 0, stars: 1 }],
  });
  assert.deepEqual(many.body.ratings.map(({ n }: { n: number | null }) => n), [null, 2]);
});

Deno.test("a share is a rater of its own, blind if the share is, and sees no e-mail addresses", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const open = await addShare(api, user, task);
  const blind = await addShare(api, user, task, { blind: true });
  await call(api, user, "PUT", pathOf(task, 0), { stars: 1 });
  const rated = await call(api, open, "PUT", pathOf(task, 0), { stars: 3 });
  assert.deepEqual([rated.status, rated.body.mean], [200, 2]);
  const history = await call(api, open, "GET", `/tasks/${task}/cells/0/ratings`);
  assert.deepEqual(history.body.items.map(({ rater }: { rater: unknown }) => rater), [null, null]);
  assert.equal((await call(api, blind, "GET", pathOf(task, 0))).body.n, null);
  assert.deepEqual((await call(api, blind, "GET", `/tasks/${task}/cells/0/ratings`)).body.items, []);
  assert.equal((await call(api, blind, "PUT", pathOf(task, 0), { stars: 5 })).body.n, 3);
  const flags = await api.database
    .sql`select stars, blind from ratings where task_id = ${task} order by stars`;
  assert.deepEqual(flags.map((row) => [row.stars, row.blind]), [[1, false], [3, false], [5, true]]);
});

Deno.test("a changed rating is blind only if both the old and the new one are", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const isBlind = async () => (await api.database.sql`select blind from ratings`)[0]!.blind;
  for (
    const [body, expected] of [
      [{ stars: 1, blind: true }, true],
      [{ stars: 2, blind: true }, true],
      [{ stars: 2 }, false],
      [{ stars: 3, blind: true }, false],
    ] as const
  ) {
    assert.equal((await call(api, user, "PUT", pathOf(task, 0), body)).status, 200);
    assert.equal(await isBlind(), expected);
  }
});

Deno.test("rating requires permission and an existing cell", async () => {
  await using api = await startApi();
  const { user, other, guest, disabled, deleted } = await addPeople(api);
  const task = await addMatrix(api, user);
  const gone = await addMatrix(api, user);
  await api.database.sql`update tasks set is_deleted = true where id = ${gone}`;
  const elsewhere = await addShare(api, other, await addMatrix(api, other));
  const reading = await addShare(api, user, task, { mode: "read" });
  const cases: [string, Parameters<typeof call>[1], string, number][] = [
    ["nobody", undefined, pathOf(task, 0), 401],
    ["disabled", disabled, pathOf(task, 0), 401],
    ["deleted", deleted, pathOf(task, 0), 401],
    ["v1's token", user.token, pathOf(task, 0), 401],
    ["a guest", guest, pathOf(task, 0), 403],
    ["a share with mode read", reading, pathOf(task, 0), 403],
    ["a share of another task", elsewhere, pathOf(task, 0), 403],
    ["a deleted task", user, pathOf(gone, 0), 404],
    ["an unknown task", user, pathOf("00000000-0000-4000-8000-000000000000", 0), 404],
    ["no id", user, pathOf("x", 0), 404],
    ["an upper-case id", user, pathOf(task.toUpperCase(), 0), 404],
    ["past the last cell", user, pathOf(task, 6), 404],
    ...["-1", "01", "1.5", "x", "99999", "100000", "1e2", "%00", "0x1"].map(
      (cell): [string, Parameters<typeof call>[1], string, number] => [cell, user, pathOf(task, cell), 404],
    ),
  ];
  for (const [what, who, path, expected] of cases) {
    for (const method of ["PUT", "DELETE"]) {
      const { status, text } = await call(
        api,
        who,
        method,
        path,
        method === "PUT" ? { stars: 3 } : undefined,
      );
      assert.equal(status, expected, `${method} ${what}: ${text}`);
    }
  }
  assert.equal(
    (await call(api, user, "POST", `/tasks/${gone}/ratings`, { ratings: [{ cell: 0, stars: 1 }] })).status,
    404,
  );
  assert.equal((await api.database.sql`select 1 from rating_history`).length, 0);
});

Deno.test("an invalid rating is refused with the name of the field", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const either = "^either stars or skipped$";
  const cases: [unknown, string, RegExp?][] = [
    [{}, "body.stars", new RegExp(either)],
    [{ stars: 3, skipped: "x" }, "body.stars", new RegExp(either)],
    ...[0, 6, -1, 1.5, "5", null, true, [], 1e300].map((
      stars,
    ): [unknown, string] => [{ stars }, "body.stars"]),
    ['{"stars":1e400}', "body.stars"],
    [{ skipped: "" }, "body.skipped"],
    [{ skipped: "a\0b" }, "body.skipped", /NUL/],
    ['{"skipped":"\\ud800"}', "body.skipped", /half/],
    [{ skipped: "x".repeat(501) }, "body.skipped"],
    [{ skipped: 5 }, "body.skipped"],
    [{ stars: 3, blind: "yes" }, "body.blind"],
    ...[-1, 86_400_001, 0.5, "9"].map((
      took_ms,
    ): [unknown, string] => [{ stars: 3, took_ms }, "body.took_ms"]),
    [{ stars: 3, rater_id: user.id }, "body.rater_id"],
    [[], "body"],
    ["null", "body"],
  ];
  for (const [body, field, wanted = /./] of cases) {
    const answer = await call(api, user, "PUT", pathOf(task, 0), body);
    const what = `${JSON.stringify(body)?.slice(0, 60)}: ${answer.text}`;
    assert.equal(answer.status, 422, what);
    assert.equal(answer.body.errors[0].field, field, what);
    assert.match(answer.body.errors[0].wanted, wanted, what);
  }
  assert.equal((await call(api, user, "PUT", pathOf(task, 0), { skipped: "😀".repeat(500) })).status, 200);
  const bulk: [unknown, string][] = [
    [{ ratings: [] }, "body.ratings"],
    [{ ratings: Array.from({ length: 1001 }, () => ({ cell: 0, stars: 1 })) }, "body.ratings"],
    [{ ratings: [{ cell: 0, stars: 1 }, { cell: 1 }] }, "body.ratings.1.stars"],
    [{ ratings: [{ cell: 100_000, stars: 1 }] }, "body.ratings.0.cell"],
    [{ ratings: [{ cell: "0", stars: 1 }] }, "body.ratings.0.cell"],
    [{ ratings: { 0: { cell: 0, stars: 1 } } }, "body.ratings"],
  ];
  for (const [body, field] of bulk) {
    const answer = await call(api, user, "POST", `/tasks/${task}/ratings`, body);
    assert.equal(answer.status, 422, answer.text);
    assert.equal(answer.body.errors[0].field, field, answer.text);
  }
  const cursor = await call(api, user, "GET", `/tasks/${task}/cells/0/ratings?cursor=WyJhIl0`);
  assert.deepEqual([cursor.status, cursor.body.errors[0].field], [422, "query.cursor"]);
});

Deno.test("count, sum and mean are exact for 20 concurrent raters of a cell and for 20 concurrent ratings by one", async () => {
  await using api = await startApi({ env: { RATE_LIMIT: "1000000" } });
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const shares = await Promise.all(Array.from({ length: 20 }, () => addShare(api, user, task)));
  const answers = await Promise.all(
    shares.map((share, i) => call(api, share, "PUT", pathOf(task, 3), { stars: 1 + i % 5 })),
  );
  assert.deepEqual(
    answers.map(({ body }) => body.n).toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i + 1),
    "each response counts one more",
  );
  assert.deepEqual(await readCellRow(api, task, 3), { rating: 3, rating_n: 20, rating_sum: 60 });
  const bodies = Array.from({ length: 20 }, (_, i) => ({ stars: 1 + i % 5 }));
  const one = await Promise.all(bodies.map((body) => call(api, user, "PUT", pathOf(task, 3), body)));
  assert.ok(one.every(({ body }) => body.n === 21));
  const [{ stars } = { stars: 0 }] = await api.database.sql<{ stars: number }[]>`
    select stars from ratings where rater_id = ${user.id}`;
  assert.deepEqual(await readCellRow(api, task, 3), { rating: 3, rating_n: 21, rating_sum: 60 + stars });
  const history = await call(api, user, "GET", `/tasks/${task}/cells/3/ratings?limit=200`);
  assert.equal(history.body.items.length, 40);
  assert.equal(history.body.items.at(-1).stars, stars, "the last entry of the history is current");
});

Deno.test("no rating is lost over two processes with concurrent evaluations and tags", async () => {
  const env = { RATE_LIMIT: "1000000" };
  await using api = await startApi({ env });
  await using second = await startApi({ env, database: api.database });
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const shares = await Promise.all(Array.from({ length: 12 }, () => addShare(api, user, task)));
  const answers = await Promise.all(shares.flatMap((share, i) => [
    ...[0, 1, 2].map((cell) =>
      call((i + cell) % 2 ? api : second, share, "PUT", pathOf(task, cell), { stars: 1 + i % 3 })
    ),
    call(i % 2 ? second : api, share, "POST", `/tasks/${task}/cells/0/evaluations`, { text: `${i}` }),
    call(i % 2 ? second : api, share, "PUT", `/tasks/${task}/cells/1/tags/t${i}`),
  ]));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))].toSorted(), [200, 201, 204]);
  for (const cell of [0, 1, 2]) {
    assert.deepEqual(await readCellRow(api, task, cell), { rating: 2, rating_n: 12, rating_sum: 24 });
  }
});

Deno.test("createBatcher() rejects a whole batch for a transient failure, and isolates an invalid item", async () => {
  let calls = 0;
  const connectionLost = Object.assign(new Error("away"), { code: "CONNECTION_CLOSED" });
  const failing = createBatcher<number, number>(() => {
    calls++;
    return Promise.reject(connectionLost);
  });
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map(failing));
  assert.ok(outcomes.every(({ status }) => status === "rejected"));
  assert.equal(calls, 1);
  const rejecting3 = createBatcher<number, number>((items) =>
    items.includes(3) ? Promise.reject(new Error("no 3")) : Promise.resolve(items)
  );
  const [a, b, c] = await Promise.allSettled([1, 3, 4].map(rejecting3));
  assert.deepEqual([a!.status, b!.status, c!.status], ["fulfilled", "rejected", "fulfilled"]);
});
