/** Shares: tokens are returned once, work for one task only, and can be revoked. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../../support/api.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";

async function setUp(env: Record<string, string> = {}) {
  const api = await startApi({ env });
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  return { api, ...people, task, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

async function createShare(api: TestApi, owner: V2Person, task: string, input: Record<string, unknown> = {}) {
  const answer = await call(api, owner, "POST", `/tasks/${task}/shares`, { mode: "rate", ...input });
  assert.equal(answer.status, 201, answer.text);
  return answer.body as { id: string; token: string; expires_at: string };
}

Deno.test("a share with mode rate reads and rates its task, and describes itself", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const { id, token, expires_at } = await createShare(api, user, task, { label: "for the jury" });
  assert.match(token, /^share_[\w-]{43}$/);
  const rated = await call(api, token, "PUT", `/tasks/${task}/cells/1/rating`, { stars: 4 });
  assert.equal(rated.status, 200, rated.text);
  const me = await call(api, token, "GET", "/shares/me");
  assert.deepEqual(me.body, {
    id,
    label: "for the jury",
    mode: "rate",
    blind: false,
    expires_at,
    task: { id: task, name: "a matrix" },
  });
  const [row] = await api.database.sql`select rater_id from ratings where task_id = ${task}`;
  assert.equal(row!.rater_id, id);
});

Deno.test("a share gives no access to other tasks or to shares, and one with mode read cannot rate", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const other = await addMatrix(api, user);
  const { token } = await createShare(api, user, task, { mode: "read" });
  const refused: [string, string, unknown?][] = [
    ["PUT", `/tasks/${task}/cells/1/rating`, { stars: 4 }],
    ["GET", `/tasks/${other}/cells/1/ratings`],
    ["GET", `/tasks/${task}/shares`],
    ["POST", `/tasks/${task}/shares`, { mode: "read" }],
    ["DELETE", `/tasks/${task}/shares/${crypto.randomUUID()}`],
  ];
  for (const [method, path, body] of refused) {
    const { status, text } = await call(api, token, method, path, body);
    assert.equal(status, 403, `${method} ${path}: ${text}`);
  }
  assert.equal((await call(api, token, "GET", `/tasks/${task}/cells/1/ratings`)).status, 200);
});

const ends: [string, (fixture: Awaited<ReturnType<typeof setUp>>, id: string) => Promise<unknown>][] = [
  ["revoked", ({ api, user, task }, id) => call(api, user, "DELETE", `/tasks/${task}/shares/${id}`)],
  ["expired", ({ api }, id) => api.database.sql`update shares set expires_at = now() where id = ${id}`],
  [
    "of a deleted task",
    ({ api, task }) => api.database.sql`update tasks set is_deleted = true where id = ${task}`,
  ],
];
Deno.test("a share that is revoked, expired or of a deleted task is refused with 401", async () => {
  await using fixture = await setUp();
  for (const [what, end] of ends) {
    const { id, token } = await createShare(fixture.api, fixture.user, fixture.task);
    await end(fixture, id);
    for (const path of ["/shares/me", `/tasks/${fixture.task}/cells/1/ratings`]) {
      const { status, text } = await call(fixture.api, token, "GET", path);
      assert.equal(status, 401, `${what}: ${text}`);
      assert.ok(!text.includes(token));
    }
  }
});

Deno.test("only the owner and admins create, list and revoke shares", async () => {
  await using fixture = await setUp();
  const { api, user, other, manager, guest, admin, task } = fixture;
  const { id } = await createShare(api, user, task);
  for (const person of [other, manager, guest, undefined]) {
    const wanted = person === undefined ? 401 : 403;
    const requests: [string, string, unknown?][] = [
      ["POST", `/tasks/${task}/shares`, { mode: "read" }],
      ["GET", `/tasks/${task}/shares`],
      ["DELETE", `/tasks/${task}/shares/${id}`],
    ];
    for (const [method, path, body] of requests) {
      assert.equal((await call(api, person, method, path, body)).status, wanted, `${method} ${path}`);
    }
  }
  await createShare(api, admin, task, { label: "by an admin" });
  const listed = await call(api, admin, "GET", `/tasks/${task}/shares`);
  assert.deepEqual(
    listed.body.items.map(({ label, created_by }: Record<string, unknown>) => [label, created_by]),
    [["by an admin", "admin@example.com"], ["", "user@example.com"]],
  );
  assert.equal((await call(api, admin, "DELETE", `/tasks/${task}/shares/${id}`)).status, 204);
});

Deno.test("the list of shares has pages, contains revoked shares and no tokens, and revoking is idempotent", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const made = [
    await createShare(api, user, task),
    await createShare(api, user, task),
    await createShare(api, user, task),
  ];
  const path = `/tasks/${task}/shares`;
  for (let i = 0; i < 2; i++) {
    assert.equal((await call(api, user, "DELETE", `${path}/${made[0]!.id}`)).status, 204);
  }
  const first = await call(api, user, "GET", `${path}?limit=2`);
  const second = await call(api, user, "GET", `${path}?limit=2&cursor=${first.body.next}`);
  const all = [...first.body.items, ...second.body.items];
  assert.deepEqual(all.map(({ id }) => id).sort(), made.map(({ id }) => id).sort());
  assert.equal(second.body.next, null);
  assert.deepEqual(all.filter(({ revoked_at }) => revoked_at !== null).map(({ id }) => id), [made[0]!.id]);
  assert.doesNotMatch(first.text + second.text, /share_|token/);
});

Deno.test("repeating a request with an idempotency key returns the same share and token, and stores no token", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const post = () =>
    call(api, user, "POST", `/tasks/${task}/shares`, { mode: "read" }, { "idempotency-key": "k1" });
  const first = await post();
  const second = await post();
  assert.equal(first.status, 201);
  assert.deepEqual(second.body, first.body);
  assert.equal(second.headers.get("idempotent-replay"), "true");
  assert.equal((await call(api, second.body.token, "GET", "/shares/me")).status, 200);
  const rows = await api.database.sql`select to_json(s)::text as text from shares s
    union all select to_json(k)::text from idempotency_keys k`;
  assert.equal(rows.length, 2);
  for (const { text } of rows) assert.ok(!text.includes(first.body.token) && !text.includes("share_"));
  assert.ok(api.lines.every((line) => !JSON.stringify(line).includes(first.body.token)));
});

const faulty: [string, unknown, RegExp][] = [
  ["no mode", {}, /body\.mode/],
  ["another mode", { mode: "write" }, /body\.mode/],
  ["over 90 days", { mode: "read", expires_in: 90 * 86_400 + 1 }, /body\.expires_in/],
  ["no time at all", { mode: "read", expires_in: 0 }, /body\.expires_in/],
  ["a long label", { mode: "read", label: "x".repeat(201) }, /body\.label/],
  ["a label with code 0", { mode: "read", label: "a\0b" }, /body\.label/],
  ["an unknown field", { mode: "read", token: "share_mine" }, /token/],
];
Deno.test("an invalid share is refused with 422 and the name of the field", async () => {
  await using fixture = await setUp();
  for (const [what, body, wanted] of faulty) {
    const { status, text } = await call(
      fixture.api,
      fixture.user,
      "POST",
      `/tasks/${fixture.task}/shares`,
      body,
    );
    assert.equal(status, 422, `${what}: ${text}`);
    assert.match(text, wanted, what);
  }
});

Deno.test("an unknown share or task, and a share of another task, are not found", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  for (const name of [crypto.randomUUID(), "nonsense", "%00"]) {
    assert.equal((await call(api, user, "DELETE", `/tasks/${task}/shares/${name}`)).status, 404);
    assert.equal((await call(api, user, "POST", `/tasks/${name}/shares`, { mode: "read" })).status, 404);
  }
  const elsewhere = await addMatrix(api, user);
  const { id } = await createShare(api, user, elsewhere);
  assert.equal((await call(api, user, "DELETE", `/tasks/${task}/shares/${id}`)).status, 404);
});

Deno.test("GET /shares/me is refused for a user", async () => {
  await using fixture = await setUp();
  assert.equal((await call(fixture.api, fixture.user, "GET", "/shares/me")).status, 403);
});

Deno.test("a task has at most 100 valid shares", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  await api.database.sql`
    insert into shares (task_id, token_hash, mode, created_by, expires_at)
    select ${task}, int8send(i), 'read', ${user.id}, now() + interval '1 day' from generate_series(1, 100) i`;
  assert.equal((await call(api, user, "POST", `/tasks/${task}/shares`, { mode: "read" })).status, 409);
});
