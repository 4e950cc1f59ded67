/** Invalid fields in problems: the value as JSON, and what is wanted instead. */
import assert from "node:assert/strict";
import { silentLog } from "../../log.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { parseJson } from "../../json.ts";
import { type Json } from "../../json.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addMatrix, addPeople, call, type V2Person } from "./support/api.ts";
import { checkProblem } from "./support/problems.ts";

/** Adds a task of one cell, which has no variable. */
async function addTaskWithoutAxes({ database: { sql } }: TestApi, { id, email }: V2Person): Promise<string> {
  const tags = parseJson('[{"id":"1","type":"prompt","value":"a cat"}]') as Json[];
  const input = { user: { id, email }, taskName: "one", tags, variables: new Map(), settings: new Map() };
  return (await submitTask({ sql, log: silentLog }, input)).id;
}

type Item = [field: string, value: string | undefined, wanted: string];
type Case = [method: string, path: string, body: unknown, items: Item[]];

async function setUp() {
  const api = await startApi();
  const { user, admin } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 3, ratios: 1 });
  const plain = await addTaskWithoutAxes(api, user);
  return { api, user, admin, task, plain, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

async function checkItems(
  t: Deno.TestContext,
  api: TestApi,
  caller: V2Person,
  cases: readonly Case[],
): Promise<void> {
  for (const [method, path, body, items] of cases) {
    const name = `${method} ${path} ${JSON.stringify(body)?.slice(0, 80) ?? ""}`;
    await t.step(name.slice(0, 160), async () => {
      const answer = await call(api, caller, method, path, body);
      const { errors } = checkProblem(answer, name);
      assert.deepEqual(errors?.map(({ field, value, wanted }) => [field, value, wanted]), items);
    });
  }
}

Deno.test("the value of an invalid field is JSON, whichever check found it", async (t) => {
  await using fixture = await setUp();
  const { api, admin, task } = fixture;
  const rating = `/tasks/${task}/cells/0/rating`;
  await checkItems(t, api, admin, [
    ["GET", "/users?limit=0", undefined, [["query.limit", '"0"', "a whole number from 1 to 200"]]],
    ["GET", "/users?cursor=0", undefined, [["query.cursor", '"0"', "'next' of the page before"]]],
    ["GET", "/tasks?status=done", undefined, [[
      "query.status",
      '"done"',
      "any of pending, processing, completed, failed, cancelled",
    ]]],
    ["GET", "/users?role=boss", undefined, [[
      "query.role",
      '"boss"',
      "one of admin, manager, user, guest",
    ]]],
    ["GET", `/tasks/${task}/stats?axis=v0&baseline=7`, undefined, [["query.baseline", '"7"', "0 to 2"]]],
    ["GET", `/tasks/${task}/stats?axis=v1&baseline=7`, undefined, [["query.baseline", '"7"', "0"]]],
    ["GET", `/compare?tasks=a,a`, undefined, [["query.tasks", '"a,a"', "two different tasks"]]],
    ["PUT", rating, { stars: 6 }, [["body.stars", "6", "at most 5"]]],
    ["PUT", rating, { stars: 0 }, [["body.stars", "0", "at least 1"]]],
    ["PUT", rating, { stars: "5" }, [["body.stars", '"5"', "a whole number"]]],
    ["PUT", rating, { stars: null }, [["body.stars", "null", "a whole number"]]],
    ["PUT", rating, { stars: [5] }, [["body.stars", undefined, "a whole number"]]],
    ["PUT", rating, { stars: 3, blind: 0 }, [["body.blind", "0", "true or false"]]],
    ["PUT", rating, {}, [["body.stars", undefined, "either stars or skipped"]]],
    ["PUT", rating, { skipped: "" }, [["body.skipped", '""', "1 to 500 characters"]]],
    ["PUT", rating, { stars: 3, more: 1 }, [["body.more", undefined, "not to be there: no such field"]]],
    ["POST", `/tasks/${task}/retry`, { where: { v0: [1, 7] } }, [["body.where.v0", "7", "0 to 2"]]],
    ["POST", `/tasks/${task}/ratings`, { ratings: [] }, [["body.ratings", undefined, "at least 1 item"]]],
    ["POST", `/tasks/${task}/shares`, { mode: "write" }, [["body.mode", '"write"', "one of read, rate"]]],
    ["POST", `/tasks/${task}/retry`, { since: "today" }, [[
      "body.since",
      '"today"',
      "a time such as 2025-05-13T07:40:46Z",
    ]]],
    ["POST", "/users", { email: "x", password: "short" }, [
      ["body.email", '"x"', "an e-mail address"],
      ["body.password", undefined, "8 characters to 72 bytes"],
    ]],
  ]);
});

Deno.test("the value of an invalid task is JSON, and the seed says which policy wants it", async (t) => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const tags = [{ type: "prompt", value: "a cat" }];
  const input = { name: "x", tags };
  const many = Array.from({ length: 1001 }, (_, i) => String(i));
  await checkItems(t, api, user, [
    ["POST", "/tasks", { ...input, seed: 5 }, [[
      "body.seed",
      "5",
      "to be left out, as seed_policy is not pinned",
    ]]],
    ["POST", "/tasks", { ...input, seed_policy: "pinned" }, [[
      "body.seed",
      undefined,
      "a seed from 0 to 2147483647, as seed_policy is pinned",
    ]]],
    ["POST", `/tasks/${task}/clone`, { seed: 5, seed_policy: "shared" }, [[
      "body.seed",
      "5",
      "to be left out, as seed_policy is not pinned",
    ]]],
    ["POST", "/tasks", { ...input, axis_roles: { v0: "content" } }, [[
      "body.axis_roles.v0",
      '"content"',
      "a variable with values",
    ]]],
    ["POST", "/tasks", { ...input, settings: { concurrency: "many" } }, [[
      "body.settings.concurrency",
      '"many"',
      "a number from 1 to 50",
    ]]],
    ["POST", "/tasks", { name: "x", tags: [{ type: "seed", value: "99999999999999999999" }] }, [[
      "body.tags",
      "99999999999999999999",
      "a seed from -2^63 to 2^63 - 1",
    ]]],
    ["POST", "/tasks", { name: "x", tags: [{ type: "prompt", isVariable: true, name: 5 }] }, [[
      "body.tags.0.name",
      "5",
      "the name of one of the variables",
    ]]],
    ["POST", "/tasks", { ...input, variables: { v0: { name: "v", values: many } } }, [[
      "body.variables.v0.values",
      undefined,
      "at most 1000 values; it has 1001",
    ]]],
  ]);
});

Deno.test("a task without axes, or without another axis, is told as that", async (t) => {
  await using fixture = await setUp();
  const { api, user, plain, task } = fixture;
  const none = "this task has no axes";
  await checkItems(t, api, user, [
    ["GET", `/tasks/${plain}/slice?x=v0`, undefined, [["query.x", '"v0"', none]]],
    ["GET", `/tasks/${plain}/stats?axis=v0`, undefined, [["query.axis", '"v0"', none]]],
    ["GET", `/tasks/${plain}/pairs/next?axis=v0`, undefined, [["query.axis", '"v0"', none]]],
    ["POST", `/tasks/${plain}/retry`, { where: { v0: [0] } }, [["body.where.v0", undefined, none]]],
    ["POST", `/tasks/${plain}/prune`, { where: { v0: [0] } }, [["body.where.v0", undefined, none]]],
    ["GET", `/tasks/${task}/slice?x=v3`, undefined, [["query.x", '"v3"', "one of v0, v1"]]],
    ["GET", `/tasks/${task}/slice?x=v0&y=v0`, undefined, [["query.y", '"v0"', "one of v1"]]],
    ["GET", `/tasks/${task}/slice?x=v0&at=v1:1`, undefined, [[
      "query.at",
      '"v1:1"',
      "v1 with an index: 0",
    ]]],
    ["GET", `/tasks/${task}/stats?axis=v0&by=v0`, undefined, [["query.by", '"v0"', "one of v1"]]],
    ["GET", `/tasks/${task}/pairs/next?axis=v1`, undefined, [["query.axis", '"v1"', "one of v0"]]],
    ["POST", `/tasks/${task}/retry`, { where: { v5: [0] } }, [["body.where.v5", undefined, "one of v0, v1"]]],
  ]);
});

Deno.test("a long value is cut to at most 101 characters of JSON, and stays JSON", async () => {
  await using fixture = await setUp();
  const { api, user } = fixture;
  for (
    const text of ["x".repeat(300), '"'.repeat(300), "😀".repeat(300), "\n".repeat(99), "\u0001x".repeat(99)]
  ) {
    const query = new URLSearchParams({ mine: text });
    const { errors } = checkProblem(await call(api, user, "GET", `/tasks?${query}`), text);
    const value = errors?.[0]?.value ?? "";
    const shown: string = JSON.parse(value);
    assert.ok(value.length <= 101 && value.length > 85, value);
    assert.ok(shown.endsWith("…") && shown.isWellFormed() && text.startsWith(shown.slice(0, -1)), value);
  }
});

Deno.test("a request without a media type is told as that", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const path = `/tasks/${task}/cells/0/rating`;
  const cases: [type: string, detail: RegExp, value: string | undefined][] = [
    ["", /: it has no Content-Type$/, undefined],
    ["text/plain", /: it is 'text\/plain'$/, '"text/plain"'],
  ];
  for (const [type, detail, value] of cases) {
    const answer = await call(api, user, "PUT", path, '{"stars":5}', { "content-type": type });
    const problem = checkProblem(answer, type);
    assert.match(problem.detail, detail);
    assert.equal(problem.errors?.[0]?.value, value);
  }
});
