/** Cells on v2: by number, as a slice of the matrix, and one with its history. */
import assert from "node:assert/strict";
import { retrySubtasks, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { startApi } from "../../support/api.ts";
import { claim, done, join } from "../../support/cells.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

const input = {
  name: "three axes",
  tags: [
    { type: "prompt", isVariable: true, name: "who" },
    { type: "ratio", isVariable: true, name: "shape" },
    { type: "steps", isVariable: true, name: "steps" },
    { type: "character", value: "lumina1", uuid: "u", header_img: "h" },
    { type: "batch", value: 2 },
  ],
  variables: {
    v0: { name: "who", values: [{ value: "a", weight: 1 }, { value: "b" }] },
    v2: { name: "shape", values: ["1:1", "2:1", "3:1"] },
    v3: { name: "steps", values: [{ value: 10 }, { value: 20 }] },
  },
  seed_policy: "pinned",
  seed: 9,
};

Deno.test("cells are returned by number in the requested order, with the visible ratings", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const id = await addMatrix(api, user, { prompts: 3, ratios: 2, drawn: 4 });
  await api.database.sql`update tasks set blind = true where id = ${id}`;
  await call(api, user, "PUT", `/tasks/${id}/cells/1/rating`, { stars: 5 });
  await call(api, other, "PUT", `/tasks/${id}/cells/1/rating`, { stars: 2 });
  await call(api, manager, "PUT", `/tasks/${id}/cells/1/rating`, { skipped: "no" });
  const read = async (who = user) => {
    const answer = await call(api, who, "GET", `/tasks/${id}/cells?ids=5,1,77,1`);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.body.items.map(({ cell }: { cell: number }) => cell), [5, 1]);
    return answer.body.items;
  };
  const [pending, drawn] = await read();
  assert.deepEqual([pending.status, pending.url, pending.thumbnail, pending.ratings], [
    "pending",
    null,
    null,
    { mean: null, n: 0, stars: null, skipped: null },
  ]);
  assert.deepEqual([drawn.url, drawn.thumbnail, drawn.version], [
    "https://images.example/1.png",
    "https://images.example/1.png",
    1,
  ]);
  assert.match(drawn.seed, /^\d+$/);
  assert.deepEqual(drawn.ratings, { mean: 3.5, n: 2, stars: 5, skipped: null });
  assert.deepEqual((await read(other))[1].ratings, { mean: 3.5, n: 2, stars: 2, skipped: null });
  const hidden = { mean: null, n: null, stars: null, skipped: "no" };
  assert.deepEqual((await read(manager))[1].ratings, hidden, "a skip is not a rating");
  for (const ids of ["", "a", "1,,2", "-1", Array(501).keys().toArray().join()]) {
    assert.equal(
      (await call(api, user, "GET", `/tasks/${id}/cells?ids=${ids}`)).status,
      422,
      ids.slice(0, 20),
    );
  }
  assert.equal((await call(api, user, "GET", `/tasks/${id}/cells`)).status, 422);
});

Deno.test("a slice has a row per index on y and a column per index on x, with fixed indices on other axes", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const { body: { id } } = await call(api, user, "POST", "/tasks", input);
  const read = async (query: string) => await call(api, user, "GET", `/tasks/${id}/slice?${query}`);
  const numbers = ({ body }: Awaited<ReturnType<typeof read>>) =>
    body.rows.map((row: { cell: number }[]) => row.map(({ cell }) => cell));
  const slice = await read("x=v2&y=v0&at=v3:1");
  assert.equal(slice.status, 200, slice.text);
  assert.deepEqual([slice.body.x, slice.body.y, slice.body.at], [
    ...[{ axis: "v2", length: 3 }, { axis: "v0", length: 2 }, { v3: 1, batch: 0 }],
  ]);
  assert.deepEqual(numbers(slice), [[2, 6, 10], [14, 18, 22]]);
  assert.deepEqual(numbers(await read("x=v0&y=v2&at=v3:1,batch:1")), [[3, 15], [7, 19], [11, 23]]);
  assert.deepEqual(numbers(await read("x=batch")), [[0, 1]]);
  const tag = slice.headers.get("etag")!;
  const again = await call(api, user, "GET", `/tasks/${id}/slice?x=v2&y=v0&at=v3:1`, undefined, {
    "if-none-match": tag,
  });
  assert.equal(again.status, 304);
  for (
    const query of [
      "",
      "x=v1",
      "x=v0&y=v0",
      "x=v0&at=v0:1",
      "x=v0&at=v2:3",
      "x=v0&at=v1:0",
      "x=v9",
      "x=v0&at=v2",
    ]
  ) {
    assert.equal((await read(query)).status, 422, query);
  }
});

Deno.test("the detail of a cell contains its request, all attempts, and all images with their ratings", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const { sql } = api.database;
  const { body: { id } } = await call(api, user, "POST", "/tasks", input);
  await sql`update tasks set blind = true where id = ${id}`;
  await join(sql);
  await sql`update subtasks set queue = 'standard' where parent_task_id = ${id}`;
  const drawOne = async (fails: boolean) => {
    const claimed = (await claim(sql, 24)).find(({ cell }) => cell === 15)!;
    if (fails) {
      await retrySubtasks(sql, [
        {
          ...claimed,
          retry_count: 1,
          attempt: claimed.attempt + 1,
          error: "HTTP 500",
          wait_ms: 0,
          outcome: "error",
          reason: "HTTP 500",
        },
      ]);
    }
    await settleSubtasks(sql, [{ ...done(claimed), ...(fails ? { retry_count: 1 } : {}) }]);
  };
  await drawOne(true);
  const path = `/tasks/${id}/cells/15`;
  await call(api, user, "PUT", `${path}/rating`, { stars: 4 });
  await call(api, other, "PUT", `${path}/rating`, { stars: 1 });
  await call(api, user, "POST", `${path}/evaluations`, { text: "good" });
  assert.equal((await call(api, user, "POST", `${path}/rerun`)).status, 200);
  await drawOne(false);
  const { status, body, text } = await call(api, user, "GET", path);
  assert.equal(status, 200, text);
  assert.deepEqual(body.places, [
    ...[{ axis: "v0", place: 1, value: { value: "b" } }, { axis: "v2", place: 0, value: "1:1" }],
    ...[{ axis: "v3", place: 1, value: { value: 20 } }, { axis: "batch", place: 1, value: null }],
  ]);
  const { prompts, seed, ratio, client_args } = body.request;
  assert.deepEqual([prompts.length, seed, ratio, client_args], [2, "10", "1:1", { steps: 20 }]);
  assert.ok(text.includes('"weight":1.0'), "client JSON is unchanged");
  assert.deepEqual(
    body.attempts.map(({ attempt, outcome, reason }: Record<string, unknown>) => [attempt, outcome, reason]),
    [[1, "error", "HTTP 500"], [2, "done", null], [3, "done", null]],
  );
  const [old, now] = body.versions;
  assert.deepEqual([old.version, old.current, old.evaluations, old.ratings], [
    ...[2, false, 1, { mean: 2.5, n: 2, stars: 4, skipped: null }],
  ]);
  assert.deepEqual([now.version, now.current, now.evaluations, now.ratings.n], [3, true, 0, 0]);
  assert.equal(body.ratings.n, 0);
  const { body: theirs } = await call(api, other, "GET", path);
  assert.deepEqual(
    [theirs.versions[0].ratings.n, theirs.versions[0].evaluations],
    [2, 1],
    "the viewer has rated this image",
  );
  assert.deepEqual(
    [theirs.versions[1].ratings.n, theirs.versions[1].evaluations],
    [null, null],
    "and not this one",
  );
  for (const cell of ["24", "007", "x", "99999"]) {
    assert.equal((await call(api, user, "GET", `/tasks/${id}/cells/${cell}`)).status, 404, cell);
  }
});
