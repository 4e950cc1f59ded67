/** Comparison of two tasks. */
import assert from "node:assert/strict";
import { startApi } from "../../support/api.ts";
import { rateAll } from "../support/stats.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

const codesOf = ({ warnings }: { warnings: { code: string }[] }) => warnings.map(({ code }) => code);

Deno.test("the difference covers units of equal content and equal values, wherever their cells are in either task", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const a = await addMatrix(api, user, { prompts: 8, ratios: 2, name: "first" });
  const b = await addMatrix(api, other, { prompts: 9, ratios: 3, name: "second" });
  const { sql } = api.database;
  await sql`update tasks set settings = '{"steps":20,"note":"x"}' where id = ${a}`;
  await sql`update tasks set settings = '{"steps":30,"note":"x"}', seed_policy = 'shared' where id = ${b}`;
  const odd = (unit: number) => unit % 2;
  await rateAll(api, a, user.id, (cell) => 2 + cell % 2);
  // One star more than in the first task for even prompts, two for odd ones. Only this task has a third ratio
  // and a ninth prompt.
  await rateAll(api, b, user.id, (cell) => cell % 3 === 2 ? 1 : 3 + odd(Math.floor(cell / 3)) + cell % 3);
  const { status, body, text } = await call(api, other, "GET", `/compare?tasks=${a},${b}`);
  assert.equal(status, 200, text);
  assert.deepEqual([body.units, body.combinations, body.shared_raters], [8, 16, 1]);
  assert.equal(body.difference.value, 1.5);
  assert.ok(body.difference.low > 1 && body.difference.high < 2 && body.p < 1e-3);
  assert.equal(body.p_sign_flip, 2 / 2 ** 8);
  assert.deepEqual([body.a.mean, body.b.mean], [2.5, 4]);
  assert.deepEqual([body.a.units_alone, body.b.units_alone, body.b.name], [0, 1, "second"]);
  assert.equal(body.shared.length, 8);
  assert.deepEqual(body.shared[0], { labels: ["prompt 1"], a: 2.5, b: 4.5, difference: 2 });
  assert.deepEqual(body.shared.at(-1), { labels: ["prompt 6"], a: 2.5, b: 3.5, difference: 1 });
  assert.deepEqual(body.differs, {
    settings: [{ key: "steps", a: "20", b: "30" }],
    fixed: [],
    axes: [
      { name: "prompt", type: "prompt", in: "both", only_a: [], only_b: ["prompt 8"] },
      { name: "ratio", type: "ratio", in: "both", only_a: [], only_b: ["3:1"] },
    ],
    seed_policy: { a: "per_cell", b: "shared" },
  });
  assert.deepEqual(codesOf(body), []);
  const reversed = await call(api, user, "GET", `/compare?tasks=${b},${a}`);
  assert.equal(reversed.body.difference.value, -1.5);
});

Deno.test("axes and tags of only one task are reported, and its axis is averaged over", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const a = await addMatrix(api, user, { prompts: 2, ratios: 2 });
  const b = await addMatrix(api, user, { prompts: 2, ratios: 2 });
  const { sql } = api.database;
  await sql`
    update tasks set tags = '[{"type":"element","value":"ink","weight":0.5},{"type":"prompt","isVariable":true,"name":"prompt"}]',
      variables = '{"v0":{"name":"prompt","values":["prompt 0","prompt 1"]},"v3":{"name":"style","values":[{"name":"x"},{"name":"y"}]}}'
    where id = ${b}`;
  await sql`update subtasks set variable_types_map = '{"v0":"prompt","v3":"element"}' where parent_task_id = ${b}`;
  await rateAll(api, a, user.id, (cell) => 1 + cell);
  await rateAll(api, b, other.id, (cell) => 5 - cell);
  const { body } = await call(api, user, "GET", `/compare?tasks=${a},${b}`);
  assert.deepEqual(body.differs.fixed, [{ type: "element", a: [], b: ['"ink" × 0.5'] }]);
  assert.deepEqual(body.differs.axes, [
    { name: "ratio", type: "ratio", in: "a", only_a: ["1:1", "2:1"], only_b: [] },
    { name: "style", type: "element", in: "b", only_a: [], only_b: ["x", "y"] },
  ]);
  assert.deepEqual([body.a.mean, body.b.mean, body.difference], [2.5, 3.5, {
    value: 1,
    low: null,
    high: null,
  }]);
  assert.deepEqual(codesOf(body), ["few_units", "other_raters"]);
});

Deno.test("tasks without shared rated units have no difference", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const a = await addMatrix(api, user);
  const b = await addMatrix(api, user);
  await rateAll(api, a, user.id, () => 3);
  const { status, body } = await call(api, user, "GET", `/compare?tasks=${a},${b}`);
  assert.equal(status, 200);
  assert.deepEqual(body.shared, []);
  assert.deepEqual([body.units, body.difference, body.p, body.a.mean, body.a.units_alone], [
    0,
    null,
    null,
    null,
    3,
  ]);
  assert.deepEqual(codesOf(body), ["nothing_shared"]);
});

Deno.test("a comparison requires access to the ratings of both tasks, and an invalid pair is refused", async () => {
  await using api = await startApi();
  const { user, other, guest } = await addPeople(api);
  const a = await addMatrix(api, user);
  const b = await addMatrix(api, other);
  await api.database.sql`update tasks set blind = true where id = ${b}`;
  const compareAs = async (person: Parameters<typeof call>[1], tasks: string) =>
    (await call(api, person, "GET", `/compare?tasks=${tasks}`)).status;
  assert.equal(await compareAs(user, `${a},${b}`), 403);
  assert.equal(await compareAs(guest, `${b},${a}`), 403);
  assert.equal(await compareAs(other, `${a},${b}`), 200);
  assert.equal(await compareAs(undefined, `${a},${b}`), 401);
  assert.equal(await compareAs(user, `${a},${crypto.randomUUID()}`), 404);
  assert.equal(await compareAs(user, `${a},x`), 404);
  for (const tasks of ["", a, `${a},`, `${a},${b},${a}`, `${a},${a}`]) {
    assert.equal(await compareAs(user, tasks), 422, tasks);
  }
});
