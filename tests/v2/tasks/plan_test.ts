/** Plans: what a task would consist of, without creating it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { expandTask } from "../../../jobs/matrix/expand.ts";
import { countCells } from "../../../jobs/moves/plan.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import { startApi } from "../../support/api.ts";
import { addPeople, call } from "../support/api.ts";

const value = (text: string) => ({ value: text });
const input = {
  tags: [
    { type: "prompt", isVariable: true, name: "who" },
    { type: "ratio", isVariable: true, name: "shape" },
    { type: "batch", value: 2 },
  ],
  variables: {
    v0: { name: "who", values: ["a", "b", "a"].map(value) },
    v1: { name: "shape", values: ["1:1", "2:1"] },
  },
  axis_roles: { v0: "content", v1: "treatment" },
};

Deno.test("a plan counts cells, duplicates and reusable images, and stores nothing", async () => {
  await using api = await startApi();
  const { user, other, guest } = await addPeople(api);
  const pinned = { ...input, seed_policy: "pinned", seed: 5 };
  const before = await call(api, user, "POST", "/tasks/plan", pinned);
  assert.equal(before.status, 200, before.text);
  assert.deepEqual([before.body.cells, before.body.duplicates, before.body.reusable], [12, 4, 0]);
  assert.deepEqual(before.body.queues, [{
    queue: "standard",
    cells: 12,
    backlog: 0,
    slots: null,
    observed: 0,
  }]);
  assert.equal(before.body.seconds, null);
  assert.equal((await api.database.sql`select 1 from tasks`).length, 0);
  const made = await call(api, other, "POST", "/tasks", { ...pinned, name: "first" });
  await api.database.sql`
    update subtasks
    set status = 'completed', intent_at = now() - interval '40 s', completed_at = now(), image_url = 'https://i/1.png'
    where parent_task_id = ${made.body.id} and cell < 2`;
  await api.database.sql`update tasks set subtasks_completed = 2 where id = ${made.body.id}`;
  await api.database
    .sql`insert into queue_slots (queue, slots, wanted, reason) values ('standard', 4, 4, 'test')`;
  const after = await call(api, user, "POST", "/tasks/plan", pinned);
  assert.equal(after.body.reusable, 4, "cells 0 and 1, and the two with the equal prompt");
  assert.deepEqual(after.body.queues, [{ queue: "standard", cells: 12, backlog: 10, slots: 4, observed: 2 }]);
  assert.deepEqual(after.body.seconds, { p50: 120, p90: 260 });
  assert.equal((await call(api, user, "POST", "/tasks/plan", { ...pinned, seed: 6 })).body.reusable, 2);
  assert.equal(
    (await call(api, user, "POST", "/tasks/plan", input)).body.reusable,
    0,
    "its seed is not drawn yet",
  );
  await call(api, other, "DELETE", `/tasks/${made.body.id}`);
  assert.equal((await call(api, user, "POST", "/tasks/plan", pinned)).body.reusable, 0);
  assert.equal((await call(api, guest, "POST", "/tasks/plan", pinned)).status, 403);
  assert.equal((await call(api, user, "POST", "/tasks/plan", { ...pinned, seed: undefined })).status, 422);
  assert.equal((await call(api, user, "POST", "/tasks/plan", { ...input, priority: 2 })).status, 403);
});

const six = ["1:1", "2:1", "3:1", "4:1", "5:1", "6:1"];
const cases: [string, Record<string, unknown>, string[]][] = [
  ["a good design", {
    variables: { v0: { name: "who", values: six.map(value) }, v1: input.variables.v1 },
  }, []],
  ["a seed per cell", {
    seed_policy: "per_cell",
    variables: { v0: { name: "who", values: six.map(value) }, v1: input.variables.v1 },
  }, ["seeds_confounded"]],
  ["no roles", { axis_roles: {} }, ["roles_missing", "duplicates"]],
  ["no content axis", { seed_policy: "per_combination", axis_roles: { v0: "treatment", v1: "treatment" } }, [
    "no_content_axis",
    "duplicates",
  ]],
  ["nothing compared", { axis_roles: { v0: "content", v1: "content" } }, ["nothing_compared", "duplicates"]],
  ["replicates that differ", { axis_roles: { v0: "replicate", v1: "treatment" } }, ["replicates_differ"]],
  ["few units", {}, ["few_units", "duplicates"]],
  ["an axis with one value and an unused one", {
    variables: {
      v0: { name: "who", values: six.map(value) },
      v1: { name: "shape", values: ["1:1"] },
      v2: { name: "idle", values: [1, 2] },
    },
    axis_roles: { v0: "content", v1: "treatment", v2: "treatment" },
  }, ["one_level", "unused_axis", "duplicates"]],
  ["a seed axis that is a treatment", {
    tags: [...input.tags, { type: "seed", isVariable: true, name: "s" }],
    variables: { ...input.variables, v2: { name: "s", values: [1, 2] } },
    axis_roles: { ...input.axis_roles, v2: "treatment" },
  }, ["seed_tag_wins", "seed_axis_role", "few_units", "duplicates"]],
  ["too many cells", {
    variables: {
      ...input.variables,
      v2: { name: "x", values: Array(1000).keys().toArray() },
      v3: { name: "y", values: Array(1000).keys().toArray() },
    },
  }, ["too_many_cells", "roles_missing", "few_units", "unused_axis"]],
];

Deno.test("a plan warns of designs that weaken comparisons", async (t) => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  for (const [what, change, codes] of cases) {
    await t.step(what, async () => {
      const { status, body, text } = await call(api, user, "POST", "/tasks/plan", { ...input, ...change });
      assert.equal(status, 200, text);
      assert.deepEqual(body.warnings.map(({ code }: { code: string }) => code), codes, text);
    });
  }
});

Deno.test("the count of duplicates equals that of comparing all requests", async () => {
  const word = fc.constantFrom("", "x", "y");
  const axis = fc.array(word, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(axis, axis, fc.integer({ min: 1, max: 2 }), async (first, second, batch) => {
      const tags = parseJson(JSON.stringify([
        { type: "prompt", isVariable: true, name: "a" },
        { type: "prompt", value: "x" },
        { type: "prompt", isVariable: true, name: "b" },
        { type: "batch", value: batch },
      ])) as Json[];
      const variables = parseJson(JSON.stringify({
        v0: { name: "a", values: first.map(value) },
        v1: { name: "b", values: second.map(value) },
      })) as JsonObject;
      const rule = { policy: "pinned" as const, seed: 1, roles: {} };
      const body = { tags, variables, settings: new Map() as JsonObject };
      const expansion = expandTask(body, { seedRule: rule });
      const requests = [...expansion.cells].map(({ prompts, seed }) => `${prompts} ${seed}`);
      const { duplicates } = await countCells(expansion, 1, () => {});
      assert.equal(duplicates, requests.length - new Set(requests).size);
    }),
  );
});
