/** Shares: links to one task, shown once, ended at will, of no use anywhere else. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../../support/api.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";

async function stage(env: Record<string, string> = {}) {
  const api = await startApi({ env });
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  return { api, ...people, task, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

async function share(api: TestApi, owner: V2Person, task: string, wish: Record<string, unknown> = {}) {
  const answer = await call(api, owner, "POST", `/tasks/${task}/shares`, { mode: "rate", ...wish });
  assert.equal(answer.status, 201, answer.text);
  return answer.body as { id: string; token: string; expires_at: string };
}

Deno.test("a share to rate lets its holder look at the task and rate it, and says what it is for", async () => {
  await using at = await stage();
  const { api, user, task } = at;
  const { id, token, expires_at } = await share(api, user, task, { label: "for the jury" });
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

Deno.test("a share reaches no other task, no users, no system; one to look cannot rate", async () => {
  await using at = await stage();
  const { api, user, task } = at;
  const other = await addMatrix(api, user);
  const { token } = await share(api, user, task, { mode: "read" });
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

const ends: [string, (at: Awaited<ReturnType<typeof stage>>, id: string) => Promise<unknown>][] = [
  ["revoked", ({ api, user, task }, id) => call(api, user, "DELETE", `/tasks/${task}/shares/${id}`)],
  ["expired", ({ api }, id) => api.database.sql`update shares set expires_at = now() where id = ${id}`],
  [
    "of a deleted task",
    ({ api, task }) => api.database.sql`update tasks set is_deleted = true where id = ${task}`,
  ],
];
Deno.test("a share that was revoked, has expired, or whose task is deleted is no good: 401", async () => {
  await using at = await stage();
  for (const [what, end] of ends) {
    const { id, token } = await share(at.api, at.user, at.task);
    await end(at, id);
    for (const path of ["/shares/me", `/tasks/${at.task}/cells/1/ratings`]) {
      const { status, text } = await call(at.api, token, "GET", path);
      assert.equal(status, 401, `${what}: ${text}`);
      assert.ok(!text.includes(token));
    }
  }
});

Deno.test("only the owner and admins make, see and end shares", async () => {
  await using at = await stage();
  const { api, user, other, manager, guest, admin, task } = at;
  const { id } = await share(api, user, task);
  for (const person of [other, manager, guest, undefined]) {
    const wanted = person === undefined ? 401 : 403;
    const tries: [string, string, unknown?][] = [
      ["POST", `/tasks/${task}/shares`, { mode: "read" }],
      ["GET", `/tasks/${task}/shares`],
      ["DELETE", `/tasks/${task}/shares/${id}`],
    ];
    for (const [method, path, body] of tries) {
      assert.equal((await call(api, person, method, path, body)).status, wanted, `${method} ${path}`);
    }
  }
  await share(api, admin, task, { label: "by an admin" });
  const listed = await call(api, admin, "GET", `/tasks/${task}/shares`);
  assert.deepEqual(
    listed.body.items.map(({ label, created_by }: Record<string, unknown>) => [label, created_by]),
    [["by an admin", "admin@example.com"], ["", "user@example.com"]],
  );
  assert.equal((await call(api, admin, "DELETE", `/tasks/${task}/shares/${id}`)).status, 204);
});

Deno.test("the list is in pages, without tokens, with the shares that ended; ending one twice is one end", async () => {
  await using at = await stage();
  const { api, user, task } = at;
  const made = [await share(api, user, task), await share(api, user, task), await share(api, user, task)];
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

Deno.test("repeated under a key: one share, the same token again, and no token is stored", async () => {
  await using at = await stage();
  const { api, user, task } = at;
  const again = () =>
    call(api, user, "POST", `/tasks/${task}/shares`, { mode: "read" }, { "idempotency-key": "k1" });
  const first = await again();
  const second = await again();
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
Deno.test("a share that is asked for wrongly: 422, which names the field", async () => {
  await using at = await stage();
  for (const [what, body, wanted] of faulty) {
    const { status, text } = await call(at.api, at.user, "POST", `/tasks/${at.task}/shares`, body);
    assert.equal(status, 422, `${what}: ${text}`);
    assert.match(text, wanted, what);
  }
});

Deno.test("what is not there: 404; a user asks what their share is for: 403; a hundred at most: 409", async () => {
  await using at = await stage();
  const { api, user, task } = at;
  for (const name of [crypto.randomUUID(), "nonsense", "%00"]) {
    assert.equal((await call(api, user, "DELETE", `/tasks/${task}/shares/${name}`)).status, 404);
    assert.equal((await call(api, user, "POST", `/tasks/${name}/shares`, { mode: "read" })).status, 404);
  }
  const elsewhere = await addMatrix(api, user);
  const { id } = await share(api, user, elsewhere);
  assert.equal((await call(api, user, "DELETE", `/tasks/${task}/shares/${id}`)).status, 404);
  assert.equal((await call(api, user, "GET", "/shares/me")).status, 403);
  await api.database.sql`
    insert into shares (task_id, token_hash, mode, created_by, expires_at)
    select ${task}, int8send(i), 'read', ${user.id}, now() + interval '1 day' from generate_series(1, 100) i`;
  assert.equal((await call(api, user, "POST", `/tasks/${task}/shares`, { mode: "read" })).status, 409);
});
