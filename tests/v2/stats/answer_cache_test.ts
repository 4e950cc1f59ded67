/** Statistics are computed once for each version of a task, and never answered from an older one. */
import assert from "node:assert/strict";
import { AnswerCache } from "../../../routes/v2/stats/answer_cache.ts";
import { startApi } from "../../support/api.ts";
import { rateAll } from "../support/stats.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

Deno.test("every change that statistics depend on gives another answer", async () => {
  await using api = await startApi();
  const { user, other, guest } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 4, ratios: 2 });
  await rateAll(api, task, user.id, (cell) => 1 + cell % 5);
  const path = `/tasks/${task}/stats?axis=v1&by=v0`;
  const cell = `/tasks/${task}/cells`;
  let vote = "";
  const changes: [what: string, change: () => Promise<{ status: number; text: string }>][] = [
    ["a rating", () => call(api, other, "PUT", `${cell}/0/rating`, { stars: 5 })],
    ["the same rater's other rating", () => call(api, other, "PUT", `${cell}/0/rating`, { stars: 2 })],
    ["a rating taken back", () => call(api, other, "DELETE", `${cell}/0/rating`)],
    ["a vote", async () => {
      const answer = await call(api, other, "POST", `/tasks/${task}/votes`, {
        left: { cell: 0, version: 1 },
        right: { cell: 1, version: 1 },
        outcome: "left",
      });
      vote = answer.body.id;
      return answer;
    }],
    ["a vote taken back", () => call(api, other, "DELETE", `/tasks/${task}/votes/${vote}`)],
    ["a re-run", () => call(api, user, "POST", `${cell}/3/rerun`)],
    [
      "another role of an axis",
      () => call(api, user, "PATCH", `/tasks/${task}`, { axis_roles: { v0: "treatment" } }),
    ],
  ];
  let before = (await call(api, user, "GET", path)).text;
  for (const [what, change] of changes) {
    assert.equal((await call(api, user, "GET", path)).text, before, `before ${what}`);
    const { status, text } = await change();
    assert.ok(status < 300, `${what}: ${status} ${text}`);
    const after = await call(api, user, "GET", path);
    assert.equal(after.status, 200);
    assert.notEqual(after.text, before, what);
    before = after.text;
  }
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  assert.equal((await call(api, guest, "GET", path)).status, 403, "a kept answer needs the same rights");
  await api.database.sql`update tasks set is_deleted = true where id = ${task}`;
  assert.equal((await call(api, user, "GET", path)).status, 404, "a kept answer of a deleted task");
});

Deno.test("requests for the same answer share a computation; a failed one is computed again", async () => {
  const cache = new AnswerCache();
  let computed = 0;
  const compute = async () => {
    await Promise.resolve();
    computed++;
    return "text";
  };
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => cache.get("a", "1", compute))), [
    "text",
    "text",
    "text",
  ]);
  assert.equal(computed, 1);
  await cache.get("a", "2", compute);
  assert.equal(computed, 2);
  await assert.rejects(cache.get("b", "1", () => Promise.reject(new Error("no"))), /no/);
  assert.equal(await cache.get("b", "1", compute), "text");
});

Deno.test("the least recently used answers are forgotten first", async () => {
  const cache = new AnswerCache(10);
  const computed: string[] = [];
  const get = (key: string) =>
    cache.get(key, "1", () => {
      computed.push(key);
      return Promise.resolve("1234");
    });
  for (const key of ["a", "b", "a", "c", "a", "b"]) await get(key);
  assert.deepEqual(computed, ["a", "b", "c", "b"]);
});
