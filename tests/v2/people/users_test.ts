/** User administration on v2: permissions, unique e-mail addresses, and the last admin. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../../support/api.ts";
import { password } from "../../support/people.ts";
import { addPeople, call, type V2Person } from "../support/api.ts";

const newUser = { email: "new@example.com", password: "battery staple" };

const create = (api: TestApi, who: V2Person, body: unknown, headers: Record<string, string> = {}) =>
  call(api, who, "POST", "/users", body, headers);

const signIn = (api: TestApi, email: string, given: string) =>
  call(api, undefined, "POST", "/auth/login", { email, password: given });

Deno.test("an admin creates, reads, changes and deletes a user", async () => {
  await using api = await startApi();
  const { admin, manager } = await addPeople(api);
  const made = await create(api, admin, newUser);
  assert.equal(made.status, 201, made.text);
  const { id, created_at, updated_at, ...rest } = made.body;
  assert.deepEqual(rest, {
    email: newUser.email,
    old_id: null,
    fullname: null,
    roles: ["user"],
    is_active: true,
  });
  assert.equal(made.headers.get("location"), `/api/v2/users/${id}`);
  assert.ok(Date.parse(created_at) > 0 && updated_at === created_at);
  assert.deepEqual((await call(api, manager, "GET", `/users/${id}`)).body, made.body);
  assert.equal((await signIn(api, newUser.email, newUser.password)).status, 200);
  const changed = await call(api, admin, "PATCH", `/users/${id}`, {
    fullname: "Ну и ну",
    roles: ["manager", "user"],
  });
  assert.equal(changed.status, 200, changed.text);
  assert.deepEqual([changed.body.fullname, changed.body.roles, changed.body.email], [
    "Ну и ну",
    ["manager", "user"],
    newUser.email,
  ]);
  assert.ok(changed.body.updated_at > updated_at);
  assert.equal((await call(api, admin, "PATCH", `/users/${id}`, { fullname: null })).body.fullname, null);
  assert.equal((await call(api, admin, "DELETE", `/users/${id}`)).status, 204);
  for (const method of ["GET", "PATCH", "DELETE"]) {
    const body = method === "PATCH" ? {} : undefined;
    assert.equal((await call(api, admin, method, `/users/${id}`, body)).status, 404);
  }
  const rows = JSON.stringify(await api.database.sql`select body, headers from idempotency_keys`);
  assert.doesNotMatch(JSON.stringify(api.lines) + rows, new RegExp(newUser.password));
});

const faulty: [unknown, string][] = [
  [{ password: "battery staple" }, "body.email"],
  [{ ...newUser, email: "x" }, "body.email"],
  [{ ...newUser, email: "a b@example.com" }, "body.email"],
  [{ ...newUser, email: "a@b@example.com" }, "body.email"],
  [{ ...newUser, email: `a\0@example.com` }, "body.email"],
  [{ ...newUser, email: `${"x".repeat(400)}@example.com` }, "body.email"],
  [{ ...newUser, email: null }, "body.email"],
  [{ email: newUser.email }, "body.password"],
  [{ ...newUser, password: "1234567" }, "body.password"],
  [{ ...newUser, password: "x".repeat(73) }, "body.password"],
  [{ ...newUser, password: "語".repeat(25) }, "body.password"],
  [{ ...newUser, password: 12345678 }, "body.password"],
  [{ ...newUser, password: "1qaz2wsx" }, "body.password"],
  [{ ...newUser, password: "TrustNo1" }, "body.password"],
  [{ ...newUser, password: "Contactsheet-2026!" }, "body.password"],
  [{ ...newUser, password: "admin12345" }, "body.password"],
  [{ ...newUser, fullname: "" }, "body.fullname"],
  [{ ...newUser, fullname: "x".repeat(201) }, "body.fullname"],
  [{ ...newUser, fullname: 5 }, "body.fullname"],
  [{ ...newUser, roles: ["root"] }, "body.roles.0"],
  [{ ...newUser, roles: "admin" }, "body.roles"],
  [{ ...newUser, roles: [] }, "body.roles"],
  [{ ...newUser, roles: ["user", "user"] }, "body.roles"],
  [{ ...newUser, roles: null }, "body.roles"],
  [{ ...newUser, is_active: "true" }, "body.is_active"],
  [{ ...newUser, id: crypto.randomUUID() }, "body.id"],
  [{ ...newUser, hashed_password: "x" }, "body.hashed_password"],
  [{ ...newUser, token_version: 5 }, "body.token_version"],
  [{ ...newUser, _id: "x" }, "body._id"],
];

Deno.test("an invalid user is refused with the name of the field, for creation and change", async () => {
  await using api = await startApi();
  const { admin, other } = await addPeople(api);
  const before = await api.database.sql`select users::text from users order by id`;
  for (const [body, field] of faulty) {
    const calls: [string, string][] = [["POST", "/users"]];
    if (Object.keys(body as object).length > 1) calls.push(["PATCH", `/users/${other.id}`]);
    for (const [method, path] of calls) {
      const answer = await call(api, admin, method, path, body);
      const what = `${method} ${JSON.stringify(body).slice(0, 80)}: ${answer.text}`;
      if (method === "PATCH" && field === "body.password" && !("password" in (body as object))) continue;
      assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, field], what);
      assert.doesNotMatch(answer.text, /battery staple|12345678/);
    }
  }
  assert.deepEqual(await api.database.sql`select users::text from users order by id`, before);
});

Deno.test("an e-mail address is unique, compared exactly, with its domain in lower case", async () => {
  await using api = await startApi();
  const { admin, user, other } = await addPeople(api);
  assert.equal((await create(api, admin, { ...newUser, email: user.email })).status, 409);
  assert.equal((await create(api, admin, { ...newUser, email: "user@EXAMPLE.com" })).status, 409);
  const patch = (email: string) => call(api, admin, "PATCH", `/users/${other.id}`, { email });
  assert.equal((await patch(user.email)).status, 409);
  assert.equal((await patch("user@Example.Com")).status, 409);
  assert.equal((await patch(other.email)).status, 200);
  assert.equal((await patch("Other@Example.com")).body.email, "Other@example.com");
  assert.equal(
    (await create(api, admin, { ...newUser, email: "имя@пример.рф" })).body.email,
    "имя@пример.рф",
  );
});

Deno.test("of 20 concurrent creations with the same e-mail address one succeeds", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const answers = await Promise.all(Array.from({ length: 20 }, () => create(api, admin, newUser)));
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [201, ...Array(19).fill(409)]);
  const [row] = await api.database.sql`select count(*)::int as n from users where email = ${newUser.email}`;
  assert.equal(row!.n, 1);
});

Deno.test("a change or deletion based on an older state is refused", async () => {
  await using api = await startApi();
  const { admin, other } = await addPeople(api);
  const path = `/users/${other.id}`;
  const tag = (await call(api, admin, "GET", path)).headers.get("etag")!;
  const change = (fullname: string, match: string) =>
    call(api, admin, "PATCH", path, { fullname }, { "if-match": match });
  const first = await change("A", tag);
  assert.equal(first.status, 200, first.text);
  for (const stale of [tag, 'W/"x"', '""', "junk"]) assert.equal((await change("B", stale)).status, 409);
  assert.equal((await call(api, admin, "DELETE", path, undefined, { "if-match": tag })).status, 409);
  assert.equal((await change("C", `${tag}, ${first.headers.get("etag")}`)).status, 200);
  assert.equal((await change("D", "*")).status, 200);
  const now = (await call(api, admin, "GET", path)).headers.get("etag")!;
  const racers = await Promise.all(Array.from({ length: 8 }, (_, i) => change(`racer ${i}`, now)));
  assert.deepEqual(racers.map(({ status }) => status).sort(), [200, ...Array(7).fill(409)]);
  const etag = (await call(api, admin, "GET", path)).headers.get("etag")!;
  assert.equal((await call(api, admin, "GET", path, undefined, { "if-none-match": etag })).status, 304);
});

Deno.test("the last active admin cannot be demoted, disabled or deleted", async () => {
  await using api = await startApi();
  const { admin, other } = await addPeople(api);
  await api.database.sql`
    insert into users (email, hashed_password, roles, is_active) values ('asleep@example.com', 'x', '{admin}', false)`;
  const path = `/users/${admin.id}`;
  const attempts: [string, unknown][] = [
    ["PATCH", { roles: ["manager", "user"] }],
    ["PATCH", { is_active: false }],
    ["PATCH", { roles: ["user"], is_active: false, fullname: "x" }],
    ["DELETE", undefined],
  ];
  for (const [method, body] of attempts) {
    const answer = await call(api, admin, method, path, body);
    assert.deepEqual(
      [answer.status, answer.body.type],
      [409, "urn:contactsheet:problem:conflict"],
      answer.text,
    );
  }
  assert.equal(
    (await call(api, admin, "PATCH", path, { roles: ["user", "admin"], fullname: "x" })).status,
    200,
  );
  assert.equal((await call(api, admin, "PATCH", `/users/${other.id}`, { roles: ["admin"] })).status, 200);
  assert.equal((await call(api, admin, "PATCH", path, { roles: ["user"] })).status, 200);
  assert.equal((await call(api, admin, "GET", "/users")).status, 403);
  assert.equal((await call(api, other, "DELETE", `/users/${other.id}`)).status, 409);
});

Deno.test("when two admins remove each other concurrently, one remains", async (t) => {
  await using api = await startApi();
  const { sql } = api.database;
  const ways: [string, string, unknown][] = [
    ["demoted", "PATCH", { roles: ["user"] }],
    ["disabled", "PATCH", { is_active: false }],
    ["deleted", "DELETE", undefined],
  ];
  for (const [what, method, body] of ways) {
    await t.step(what, async () => {
      for (let round = 0; round < 8; round++) {
        await sql`truncate users cascade`;
        const { admin, other } = await addPeople(api);
        await sql`update users set roles = '{admin}' where id = ${other.id}`;
        const answers = await Promise.all([
          call(api, admin, method, `/users/${other.id}`, body),
          call(api, other, method, `/users/${admin.id}`, body),
          call(api, other, method, `/users/${other.id}`, body),
          call(api, admin, method, `/users/${admin.id}`, body),
        ]);
        const statuses = answers.map(({ status }) => status);
        // A principal that has lost the role or the session meanwhile is refused.
        assert.ok(
          statuses.every((status) => [200, 204, 401, 403, 404, 409].includes(status)),
          statuses.join(),
        );
        const [row] =
          await sql`select count(*)::int as n from users where is_active and 'admin' = any(roles)`;
        assert.equal(row!.n, 1);
      }
    });
  }
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

Deno.test("a new password and deactivation end the user's sessions, and other changes do not", async () => {
  await using api = await startApi();
  const { admin, user } = await addPeople(api);
  const patch = (body: unknown) => call(api, admin, "PATCH", `/users/${user.id}`, body);
  const isSignedIn = async (token: string) => (await call(api, token, "GET", "/users/me")).status === 200;
  await patch({ fullname: "x", email: "renamed@example.com", roles: ["manager"] });
  assert.ok(await isSignedIn(user.access));
  assert.equal((await call(api, user, "GET", "/users/me")).body.email, "renamed@example.com");
  await patch({ password: "battery staple" });
  assert.ok(!await isSignedIn(user.access));
  assert.equal((await signIn(api, "renamed@example.com", password)).status, 401);
  const { body: { access_token: again } } = await signIn(api, "renamed@example.com", "battery staple");
  await patch({ is_active: false });
  assert.ok(!await isSignedIn(again));
  await patch({ is_active: true });
  assert.ok(!await isSignedIn(again));
  const own = await call(api, admin, "PATCH", `/users/${admin.id}`, { password: "battery staple" });
  assert.deepEqual([own.status, await isSignedIn(admin.access)], [403, true]);
});

Deno.test("users are listed by page, filtered by part of the e-mail address or name, role and activity", async () => {
  await using api = await startApi();
  const { manager } = await addPeople(api);
  await api.database.sql`
    insert into users (email, hashed_password, fullname, roles)
    select 'many' || i || '@example.com', 'x', 'Mañy_' || i || '%', '{guest}' from generate_series(1, 30) as i`;
  const list = async (query: string) => {
    const found: string[] = [];
    for (let next: string | null = ""; next !== null;) {
      const page = await call(api, manager, "GET", `/users?limit=7&${query}${next && `&cursor=${next}`}`);
      assert.equal(page.status, 200, page.text);
      assert.ok(page.body.items.length <= 7);
      found.push(...page.body.items.map(({ email }: { email: string }) => email));
      next = page.body.next;
    }
    assert.equal(new Set(found).size, found.length);
    return found;
  };
  assert.equal((await list("")).length, 36);
  const counts: [string, number][] = [
    ["q=MANY1", 11],
    ["q=mañy_2", 11],
    ["q=%25", 30],
    ["q=_", 30],
    ["q=%5C", 0],
    ["role=guest", 31],
    ["role=admin", 1],
    ["active=false", 1],
    ["active=true&role=guest&q=many3", 2],
  ];
  for (const [query, count] of counts) assert.equal((await list(query)).length, count, query);
  for (
    const query of [
      "role=root",
      "active=1",
      "active=",
      "q=",
      `q=${"x".repeat(400)}`,
      "q=%00",
      "role=user&role=admin",
    ]
  ) {
    assert.equal((await call(api, manager, "GET", `/users?${query}`)).status, 422, query);
  }
  const forged = btoa('["0000-01-01T00:00:00.000Z","00000000-0000-4000-8000-000000000000"]').replaceAll(
    "=",
    "",
  );
  assert.equal((await call(api, manager, "GET", `/users?cursor=${forged}`)).status, 422);
});
