/** Tasks on v2: creation, lists, detail, changes, clones and deletion. */
import assert from "node:assert/strict";
import { startApi } from "../../support/api.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

const input = {
  name: "fresh",
  tags: [
    { type: "prompt", isVariable: true, name: "who" },
    { type: "ratio", isVariable: true, name: "shape" },
    { type: "batch", value: 2 },
  ],
  variables: {
    v0: { name: "who", values: [{ value: "a cat" }, { value: "a dog" }, { value: "an owl" }] },
    v1: { name: "shape", values: ["1:1", "2:1"] },
  },
};

Deno.test("POST /tasks creates a task with its cells, and GET returns it with axes and counts", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const made = await call(api, user, "POST", "/tasks", {
    ...input,
    axis_roles: { v0: "content", v1: "treatment" },
    blind: true,
  });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.headers.get("location"), `/api/v2/tasks/${made.body.id}`);
  assert.deepEqual(made.body.cells, { total: 12, open: 12, completed: 0, failed: 0, cancelled: 0 });
  const shown = await call(api, other, "GET", `/tasks/${made.body.id}`);
  assert.equal(shown.status, 200, shown.text);
  const { axes, mine, seed_policy, blind, cells, rate, eta, errors } = shown.body;
  assert.deepEqual([mine, seed_policy, blind, rate, eta, errors], [false, "shared", true, null, null, []]);
  assert.deepEqual([cells.pending, cells.processing], [12, 0]);
  assert.deepEqual(
    axes.map((
      { axis, name, types, role, length }: Record<string, unknown>,
    ) => [axis, name, types, role, length]),
    [
      ["v0", "who", ["prompt"], "content", 3],
      ["v1", "shape", ["ratio"], "treatment", 2],
      ["batch", "batch", ["batch"], "replicate", 2],
    ],
  );
  assert.deepEqual(axes[1].values, ["1:1", "2:1"]);
  const notModified = await call(api, other, "GET", `/tasks/${made.body.id}`, undefined, {
    "if-none-match": shown.headers.get("etag")!,
  });
  assert.equal(notModified.status, 304);
  const seeds = await api.database.sql`
    select seed::text from subtasks where parent_task_id = ${made.body.id} order by cell`;
  assert.equal(new Set(seeds.map(({ seed }) => seed)).size, 2, "one seed per replicate");
});

Deno.test("client JSON is returned as sent: key order, 1.0, long integers and prototype keys", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const settings = '{"9":1,"1":12345678901234567890,"w":1.0,"__proto__":{"x":[]},"constructor":1}';
  const body = `{"name":"raw","tags":[{"type":"prompt","value":"x","weight":1.50}],"settings":${settings}}`;
  const made = await call(api, user, "POST", "/tasks", body);
  assert.equal(made.status, 201, made.text);
  const given = await call(api, user, "GET", `/tasks/${made.body.id}/order`);
  assert.ok(given.text.includes(`"settings":${settings}`), given.text);
  assert.ok(given.text.includes('"weight":1.5}'), given.text);
  const copy = await call(api, user, "POST", "/tasks", given.text);
  assert.equal(copy.status, 201, copy.text);
});

const refused: [string, Record<string, unknown>, number, string][] = [
  ["no name", { name: "" }, 422, "body.name"],
  ["a NUL in the name", { name: "a\0b" }, 422, "body.name"],
  ["an unknown key", { user_name: "x" }, 422, "body.user_name"],
  ["no tags", { tags: [] }, 422, "body.tags"],
  ["a tag that is no object", { tags: ["x"] }, 422, "body.tags.0"],
  [
    "a variable tag without its variable",
    { tags: [{ type: "prompt", isVariable: true, name: "no" }] },
    422,
    "body.tags.0.name",
  ],
  [
    "a variable beyond v5",
    { variables: { ...input.variables, v6: { name: "x", values: [1] } } },
    422,
    "body.variables.v6",
  ],
  [
    "values that are no list",
    { variables: { ...input.variables, v2: { name: "x", values: "1" } } },
    422,
    "body.variables.v2",
  ],
  [
    "over 1,000 values",
    { variables: { ...input.variables, v2: { name: "x", values: Array(1001).fill(1) } } },
    422,
    "body.variables.v2.values",
  ],
  [
    "over 50,000 cells",
    {
      variables: {
        ...input.variables,
        v2: { name: "x", values: Array(1000).fill(1) },
        v3: { name: "y", values: Array(1000).fill(1) },
      },
    },
    422,
    "body.variables",
  ],
  ["concurrency that is no number", { settings: { concurrency: "5" } }, 422, "body.settings.concurrency"],
  ["a policy that is none", { seed_policy: "random" }, 422, "body.seed_policy"],
  ["pinned without a seed", { seed_policy: "pinned" }, 422, "body.seed"],
  ["a seed without pinned", { seed: 5 }, 422, "body.seed"],
  ["a seed past 31 bits", { seed_policy: "pinned", seed: 2 ** 31 }, 422, "body.seed"],
  [
    "a pinned seed whose replicates pass 31 bits",
    { seed_policy: "pinned", seed: 2 ** 31 - 1 },
    422,
    "body.seed",
  ],
  ["a role that is none", { axis_roles: { v0: "x" } }, 422, "body.axis_roles.v0"],
  ["a role of no axis", { axis_roles: { v4: "content" } }, 422, "body.axis_roles.v4"],
  ["a role of no slot", { axis_roles: { v9: "content" } }, 422, "body.axis_roles.v9"],
  ["priority 0", { priority: 0 }, 422, "body.priority"],
  ["priority 2 of a plain user", { priority: 2 }, 403, ""],
];

Deno.test("an invalid task is refused with the name of the field, and nothing is stored", async (t) => {
  await using api = await startApi();
  const { user, manager, guest } = await addPeople(api);
  for (const [what, change, status, field] of refused) {
    await t.step(what, async () => {
      const answer = await call(api, user, "POST", "/tasks", { ...input, ...change });
      assert.equal(answer.status, status, answer.text);
      if (field !== "") {
        assert.deepEqual(
          answer.body.errors.map((fault: { field: string }) => fault.field),
          [field],
          answer.text,
        );
      }
    });
  }
  await t.step("a number that is not finite", async () => {
    const answer = await call(
      api,
      user,
      "POST",
      "/tasks",
      '{"name":"x","tags":[{"type":"prompt","value":1e400}]}',
    );
    assert.equal(answer.status, 422, answer.text);
    assert.equal(answer.body.errors[0].field, "body.tags.0.value");
  });
  await t.step(
    "a guest",
    async () => assert.equal((await call(api, guest, "POST", "/tasks", input)).status, 403),
  );
  const rows = await api.database.sql`select 1 from tasks`;
  assert.equal(rows.length, 0);
  const urgent = await call(api, manager, "POST", "/tasks", { ...input, priority: 3 });
  assert.equal(urgent.body.priority, 3, urgent.text);
});

Deno.test("concurrent requests with the same idempotency key create one task", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const headers = { "idempotency-key": "k1" };
  const answers = await Promise.all([1, 2, 3].map(() => call(api, user, "POST", "/tasks", input, headers)));
  assert.deepEqual(answers.map(({ status }) => status), [201, 201, 201]);
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  assert.equal((await api.database.sql`select 1 from tasks`).length, 1);
  const other = await call(api, user, "POST", "/tasks", { ...input, name: "other" }, headers);
  assert.equal(other.status, 409);
});

Deno.test("GET /tasks lists tasks newest first by cursor, filtered by status, owner, name and time", async () => {
  await using api = await startApi();
  const { user, other, guest } = await addPeople(api);
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    const { body } = await call(api, i % 2 === 0 ? user : other, "POST", "/tasks", {
      ...input,
      name: `Task ${i} Ä%_`,
    });
    ids.push(body.id);
    await api.database.sql`
      update tasks set created_at = ${`2026-01-0${i + 1}T00:00:00Z`} where id = ${body.id}`;
  }
  const read = async (query: string, who = user) => {
    const names: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const page = await call(
        api,
        who,
        "GET",
        `/tasks?limit=2${query}${cursor === "" ? "" : `&cursor=${cursor}`}`,
      );
      assert.equal(page.status, 200, page.text);
      names.push(...page.body.items.map(({ name }: { name: string }) => name.slice(5, 6)));
      cursor = page.body.next;
    }
    return names.join("");
  };
  assert.equal(await read(""), "43210");
  assert.equal(await read("", guest), "43210");
  assert.equal(await read("&mine=true"), "420");
  assert.equal(await read("&name=task"), "43210");
  assert.equal(await read(`&name=${encodeURIComponent("3 ä%_")}`), "3");
  assert.equal(await read("&created_from=2026-01-02T00:00:00Z&created_before=2026-01-04T00:00:00Z"), "21");
  await call(api, user, "POST", `/tasks/${ids[4]}/cancel`);
  assert.equal(await read("&status=cancelled"), "4");
  assert.equal(await read("&status=pending,cancelled"), "43210");
  await call(api, user, "DELETE", `/tasks/${ids[2]}`);
  assert.equal(await read("&mine=true&name=TASK"), "40");
  for (const query of ["status=bogus", "mine=yes", "name=%00", "created_from=x", "cursor=e30", "limit=0"]) {
    assert.equal((await call(api, user, "GET", `/tasks?${query}`)).status, 422, query);
  }
});

Deno.test("the owner changes a task if If-Match matches its editable fields, regardless of progress", async () => {
  await using api = await startApi();
  const { user, other, admin, manager } = await addPeople(api);
  const { body: { id } } = await call(api, user, "POST", "/tasks", input);
  const path = `/tasks/${id}`;
  const tag = (await call(api, user, "GET", path)).headers.get("etag")!;
  await call(api, user, "POST", `${path}/pause`);
  const patch = { name: "new", blind: true, axis_roles: { v0: "content" } };
  const changed = await call(api, user, "PATCH", path, patch, { "if-match": tag });
  assert.equal(changed.status, 200, changed.text);
  assert.deepEqual([changed.body.name, changed.body.blind], ["new", true]);
  assert.equal((await call(api, user, "PATCH", path, { name: "newer" }, { "if-match": tag })).status, 409);
  assert.equal((await call(api, other, "PATCH", path, { name: "theirs" })).status, 403);
  assert.equal((await call(api, manager, "PATCH", path, { name: "theirs" })).status, 403);
  assert.equal((await call(api, user, "PATCH", path, { priority: 4 })).status, 403);
  assert.equal((await call(api, admin, "PATCH", path, { priority: 4 })).body.priority, 4);
  const kept = await call(api, user, "PATCH", path, { priority: 4, name: "kept" });
  assert.deepEqual([kept.status, kept.body.priority], [200, 4], "keeping the priority needs no permission");
  for (
    const bad of [{}, { name: "" }, { axis_roles: { v5: "content" } }, { status: "completed" }, {
      priority: 11,
    }]
  ) {
    assert.equal((await call(api, user, "PATCH", path, bad)).status, 422, JSON.stringify(bad));
  }
  const shown = await call(api, user, "GET", path);
  assert.deepEqual([shown.body.name, shown.body.axes[0].role, shown.body.hold], ["kept", "content", "pause"]);
});

Deno.test("deleting a task is idempotent for its owner, and others do not find it", async () => {
  await using api = await startApi();
  const { user, other, admin } = await addPeople(api);
  const id = await addMatrix(api, user, { drawn: 1 });
  assert.equal((await call(api, other, "DELETE", `/tasks/${id}`)).status, 403);
  assert.equal((await call(api, user, "DELETE", `/tasks/${id}`)).status, 204);
  assert.equal((await call(api, user, "DELETE", `/tasks/${id}`)).status, 204);
  assert.equal((await call(api, admin, "DELETE", `/tasks/${id}`)).status, 204);
  assert.equal((await call(api, other, "DELETE", `/tasks/${id}`)).status, 404);
  for (const path of [`/tasks/${id}`, `/tasks/${id}/order`, "/tasks/x", `/tasks/${id.toUpperCase()}`]) {
    assert.equal((await call(api, user, "GET", path)).status, 404, path);
  }
  const rows = await api.database
    .sql`select status from subtasks where parent_task_id = ${id} and status = 'pending'`;
  assert.equal(rows.length, 0, "pending cells are cancelled");
});

Deno.test("a clone equals the task except for the fields in the body", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const made = await call(api, manager, "POST", "/tasks", {
    ...input,
    seed_policy: "pinned",
    seed: 77,
    axis_roles: { v0: "content", v1: "treatment" },
    priority: 5,
  });
  const clone = async (body: unknown, who = other) =>
    await call(api, who, "POST", `/tasks/${made.body.id}/clone`, body);
  const same = await clone({});
  assert.equal(same.status, 201, same.text);
  assert.deepEqual(
    [same.body.name, same.body.owner, same.body.seed_policy, same.body.priority, same.body.cells.total],
    ["fresh (copy)", "other@example.com", "pinned", 1, 12],
  );
  const seedsOf = async (id: string) =>
    (await api.database.sql`select seed::text from subtasks where parent_task_id = ${id} order by cell`)
      .map(({ seed }) => seed);
  assert.deepEqual((await seedsOf(same.body.id)).slice(0, 3), ["77", "78", "77"]);
  const smaller = await clone({
    name: "one",
    tags: input.tags.slice(0, 1),
    variables: { v0: input.variables.v0 },
  });
  assert.deepEqual([smaller.status, smaller.body.cells?.total], [201, 3], smaller.text);
  const reseeded = await clone({ seed_policy: "shared" });
  assert.equal(reseeded.body.seed_policy, "shared", reseeded.text);
  assert.notDeepEqual(await seedsOf(reseeded.body.id), await seedsOf(same.body.id));
  const pinned = await call(api, user, "POST", `/tasks/${reseeded.body.id}/clone`, { seed_policy: "pinned" });
  assert.deepEqual(await seedsOf(pinned.body.id), await seedsOf(reseeded.body.id), "the seed of the task");
  for (
    const bad of [{ seed: 5, seed_policy: "shared" }, { axis_roles: { v3: "content" } }, { tags: [] }, {
      x: 1,
    }]
  ) {
    assert.equal((await clone(bad)).status, 422, JSON.stringify(bad));
  }
  assert.equal((await clone({ priority: 5 })).status, 403);
});

Deno.test("the task detail reports the rate, the remaining time and the causes of failures", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const id = await addMatrix(api, user, { prompts: 10, ratios: 4, drawn: 16 });
  await api.database.sql`
    update subtasks
    set status = 'failed', completed_at = now(), error = '已尝试 ' || cell || ' 次: HTTP 500 of request ' || gen_random_uuid()
    where parent_task_id = ${id} and cell between 20 and 23`;
  await api.database.sql`
    update tasks set subtasks_failed = 4, started_at = now() - interval '100 s' where id = ${id}`;
  const { body } = await call(api, user, "GET", `/tasks/${id}`);
  assert.deepEqual(body.cells, {
    total: 40,
    open: 20,
    completed: 16,
    failed: 4,
    cancelled: 0,
    pending: 20,
    processing: 0,
  });
  assert.deepEqual(body.errors, [{ cause: "HTTP 500 of request …", cells: 4 }]);
  assert.equal(body.rate.cells, 20);
  assert.ok(body.rate.per_minute > 1 && body.rate.per_minute <= 12, String(body.rate.per_minute));
  assert.ok(body.eta.seconds_low < body.eta.seconds_high);
  await call(api, user, "POST", `/tasks/${id}/pause`);
  const paused = await call(api, user, "GET", `/tasks/${id}`);
  assert.deepEqual([paused.body.eta, paused.body.hold, paused.body.hold_reason], [
    null,
    "pause",
    "paused by its owner",
  ]);
});
