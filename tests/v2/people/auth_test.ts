/** Signing in and out of v2, sessions and tokens. */
import assert from "node:assert/strict";
import { createLimiter } from "../../../redis/limiter.ts";
import { openRedis } from "../../../redis/connect.ts";
import { silentLog } from "../../../log.ts";
import { createMetrics } from "../../../metrics.ts";
import { findFreePort } from "../../../dev/servers/ports.ts";
import { createAccessTokens } from "../../../routes/v2/kit/access_tokens.ts";
import { createSecrets } from "../../../routes/v2/kit/secrets.ts";
import { formatRefreshToken } from "../../../routes/v2/people/refresh.ts";
import { createSharedThrottle } from "../../../routes/common/shared_throttle.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { password } from "../../support/people.ts";
import { addPeople, type Answer, call } from "../support/api.ts";

const email = "user@example.com";

async function signIn(api: TestApi, who = email, given = password): Promise<Answer> {
  return await call(api, undefined, "POST", "/auth/login", { email: who, password: given });
}

const renew = (api: TestApi, refresh_token: string) =>
  call(api, undefined, "POST", "/auth/refresh", { refresh_token });
const readMe = async (api: TestApi, token: string) => (await call(api, token, "GET", "/users/me")).status;
const signInV1 = async (api: TestApi, username = email, given = password) => {
  const body = new URLSearchParams({ username, password: given });
  const response = await fetch(`${api.origin}/api/v1/auth/login`, { method: "POST", body });
  return { status: response.status, body: await response.json() };
};

Deno.test("signing in returns tokens for the user, and no token is stored or logged", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const answer = await signIn(api);
  assert.equal(answer.status, 200, answer.text);
  const { access_token, refresh_token, session_id, ...rest } = answer.body;
  assert.deepEqual(rest, { token_type: "bearer", expires_in: 900 });
  assert.match(answer.headers.get("cache-control")!, /no-store/);
  const me = await call(api, access_token, "GET", "/users/me");
  assert.deepEqual(me.body, { id: user.id, email, fullname: "user", roles: ["user"] });
  assert.match(refresh_token, new RegExp(`^refresh_${session_id}`));
  const rows = JSON.stringify(await api.database.sql`select sessions::text as row from sessions`);
  assert.doesNotMatch(
    rows + JSON.stringify(api.lines),
    new RegExp(`${refresh_token}|${access_token}|${password}`),
  );
});

Deno.test("sign-in is refused in the same way for unknown, wrong, disabled and deleted accounts", async () => {
  await using api = await startApi({ hashing: { cost: 9 } });
  await addPeople(api);
  await api.database.sql`
    insert into users (email, hashed_password)
    values ('malformed@example.com', '$2b$99$x'), ('empty@example.com', '')`;
  const cases: [who: string, given: string][] = [
    ["nobody@example.com", password],
    [email, "wrong horse"],
    [email, `${password}\\0`],
    ["User@example.com", password],
    ["disabled@example.com", password],
    ["disabled@example.com", "wrong horse"],
    ["deleted@example.com", password],
    ["malformed@example.com", password],
    ["empty@example.com", password],
    [`${email} `, password],
    ["' or 1=1--", password],
    [email, "x".repeat(1000)],
  ];
  const answers = [];
  for (const [who, given] of cases) answers.push(await signIn(api, who, given));
  const bodies = answers.map(({ status, body }) => ({ status, ...body, instance: null }));
  for (const body of bodies) assert.deepEqual(body, bodies[0]);
  assert.equal(bodies[0]!.status, 401);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error").map(({ msg }) => msg), [
    "the stored password hash is not a bcrypt hash",
    "the stored password hash is not a bcrypt hash",
  ]);
});

Deno.test("a refusal for an unknown user takes as long as computing a hash", async () => {
  await using api = await startApi({ hashing: { cost: 11 } });
  await addPeople(api);
  const timeOf = async (who: string) => {
    const times = [];
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      await signIn(api, who, "wrong horse");
      times.push(performance.now() - started);
    }
    return Math.min(...times);
  };
  const unknown = await timeOf("nobody@example.com");
  const started = performance.now();
  await readMe(api, "junk");
  assert.ok(unknown > 3 * (performance.now() - started), `${unknown} ms`);
});

Deno.test("credentials must be text: other types are refused by field, and query operators have no effect", async () => {
  await using api = await startApi();
  await addPeople(api);
  const cases: [unknown, string][] = [
    [{ email: { $gt: "" }, password }, "body.email"],
    [{ email: [email], password }, "body.email"],
    [{ email, password: { $ne: "" } }, "body.password"],
    [{ email, password: 5 }, "body.password"],
    [{ email, password: "" }, "body.password"],
    [{ email, password: "x".repeat(1025) }, "body.password"],
    [{ email: "x".repeat(321), password }, "body.email"],
    [{ email: `${email}\0`, password }, "body.email"],
    [{ email, password: `${password}\0` }, "body.password"],
    [{ email }, "body.password"],
    [{ username: email, password }, "body.email"],
    [{ email, password, grant_type: "password" }, "body.grant_type"],
  ];
  for (const [body, field] of cases) {
    const answer = await call(api, undefined, "POST", "/auth/login", body);
    assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, field], answer.text);
  }
});

Deno.test("a refresh token is exchanged for the next one of the session, and old access tokens stay valid", async () => {
  await using api = await startApi();
  await addPeople(api);
  const first = (await signIn(api)).body;
  let last = first;
  for (let i = 0; i < 3; i++) {
    const answer = await renew(api, last.refresh_token);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.session_id, first.session_id);
    assert.notEqual(answer.body.refresh_token, last.refresh_token);
    last = answer.body;
    assert.equal(await readMe(api, last.access_token), 200);
  }
  assert.equal(await readMe(api, first.access_token), 200);
});

Deno.test("reusing an old refresh token ends the session and all its tokens", async (t) => {
  await using api = await startApi();
  await addPeople(api);
  const cases: [what: string, renewals: number, use: number, ageBy: string][] = [
    ["the previous token, after the grace period", 1, 0, "11 s"],
    ["a token from three renewals ago", 3, 0, "0 s"],
    ["a token from two renewals ago, within the grace period", 2, 0, "0 s"],
  ];
  for (const [what, renewals, use, ageBy] of cases) {
    await t.step(what, async () => {
      api.lines.length = 0;
      const other = (await signIn(api)).body;
      const chain = [(await signIn(api)).body];
      for (let i = 0; i < renewals; i++) chain.push((await renew(api, chain.at(-1).refresh_token)).body);
      const { session_id: id, access_token, refresh_token } = chain.at(-1);
      await api.database.sql`
        update sessions set rotated_at = rotated_at - ${ageBy}::interval where id = ${id}`;
      assert.equal((await renew(api, chain[use].refresh_token)).status, 401);
      assert.equal((await renew(api, refresh_token)).status, 401);
      assert.equal(await readMe(api, access_token), 401);
      const [row] = await api.database.sql`select end_reason from sessions where id = ${id}`;
      assert.equal(row!.end_reason, "reuse");
      assert.equal(
        api.lines.filter(({ level, session_id }) => level === "warning" && session_id === id).length,
        1,
      );
      // Other sessions of the user continue.
      assert.equal(await readMe(api, other.access_token), 200);
    });
  }
});

Deno.test("concurrent renewals and a retry after a lost response get the same valid token", async () => {
  await using api = await startApi();
  await addPeople(api);
  for (let round = 0; round < 5; round++) {
    const { refresh_token, session_id } = (await signIn(api)).body;
    const answers = await Promise.all(Array.from({ length: 8 }, () => renew(api, refresh_token)));
    assert.deepEqual(answers.map(({ status }) => status), answers.map(() => 200));
    const next = new Set(answers.map(({ body }) => body.refresh_token));
    assert.equal(next.size, 1);
    for (const { body } of answers) {
      assert.equal(body.session_id, session_id);
      assert.equal(await readMe(api, body.access_token), 200);
    }
    assert.equal((await renew(api, [...next][0])).status, 200);
    const [row] = await api.database.sql`select ended_at from sessions where id = ${session_id}`;
    assert.equal(row!.ended_at, null);
  }
});

Deno.test("an invalid refresh token is refused and ends no session", async () => {
  await using api = await startApi();
  await addPeople(api);
  const { access_token, refresh_token, session_id } = (await signIn(api)).body;
  const [head, renewals, signature] = refresh_token.split(".");
  const flipped = (signature[0] === "A" ? "B" : "A") + signature.slice(1);
  const secret = api.config.SECRET_KEY;
  const foreign = [
    "x",
    access_token,
    `${head}.${renewals}.${flipped}`,
    `${head}.1.${signature}`,
    `${head}.0`,
    `${head}..${signature}`,
    refresh_token.toUpperCase(),
    `${refresh_token} `,
    `${refresh_token}=`,
    await formatRefreshToken(createSecrets("another secret of thirty-two bytes"), {
      sessionId: session_id,
      renewals: 0,
    }),
    await formatRefreshToken(createSecrets(secret), { sessionId: crypto.randomUUID(), renewals: 0 }),
  ];
  for (const token of foreign) assert.equal((await renew(api, token)).status, 401, token);
  assert.equal((await renew(api, refresh_token)).status, 200);
  await api.database.sql`update sessions set expires_at = now() where id = ${session_id}`;
  assert.equal((await renew(api, refresh_token)).status, 401);
  assert.equal(await readMe(api, access_token), 401);
});

Deno.test("each kind of token is valid only for its own purpose", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const { access_token, refresh_token, session_id } = (await signIn(api)).body;
  assert.equal(await readMe(api, refresh_token), 401);
  assert.equal((await renew(api, access_token)).status, 401);
  assert.equal(await readMe(api, user.token), 401);
  const v1 = await fetch(`${api.origin}/api/v1/users/me`, {
    headers: { authorization: `Bearer ${access_token}` },
  });
  assert.deepEqual([v1.status, (await v1.json()).detail], [401, "无效的认证凭据"]);
  const refreshed = await fetch(`${api.origin}/api/v1/users/me`, {
    headers: { authorization: `Bearer ${refresh_token}` },
  });
  assert.equal(refreshed.status, 401);
  await refreshed.body?.cancel();
  const payload = { userId: user.id, sessionId: session_id, version: 0 };
  const sign = (secret: string, changed: Partial<typeof payload> = {}, life = 900) =>
    createAccessTokens(secret, life).sign({ ...payload, ...changed });
  const secret = api.config.SECRET_KEY;
  assert.equal(await readMe(api, await sign(secret)), 200);
  const forged: [string, string][] = [
    ["another key", await sign("another secret of thirty-two bytes")],
    ["expired", await sign(secret, {}, -1)],
    ["another's session", await sign(secret, { userId: crypto.randomUUID() })],
    ["no session", await sign(secret, { sessionId: crypto.randomUUID() })],
    ["an older token version", await sign(secret, { version: -1 })],
    ["a newer token version", await sign(secret, { version: 1 })],
    ["sub that is not a UUID", await sign(secret, { userId: "x" })],
    [
      "none",
      access_token.split(".").with(0, btoa('{"alg":"none"}').replaceAll("=", "")).with(2, "").join("."),
    ],
    ["4 parts", `${access_token}.x`],
    ["2 parts", access_token.split(".").slice(0, 2).join(".")],
    ["long", "x".repeat(7000)],
  ];
  for (const [what, token] of forged) assert.equal(await readMe(api, token), 401, what);
  for (const header of ["", "Bearer", "Bearer ", "Basic dTpw", `bearer${access_token}`, access_token]) {
    const answer = await call(api, undefined, "GET", "/users/me", undefined, { authorization: header });
    assert.deepEqual([answer.status, answer.headers.get("www-authenticate")], [401, "Bearer"], header);
  }
  const lower = await call(api, undefined, "GET", "/users/me", undefined, {
    authorization: `bearer ${access_token}`,
  });
  assert.equal(lower.status, 200);
});

Deno.test("signing out ends this session, another one or all of them immediately", async () => {
  await using api = await startApi();
  await addPeople(api);
  const a = (await signIn(api)).body;
  const b = (await signIn(api)).body;
  const c = (await signIn(api)).body;
  const d = (await signIn(api)).body;
  assert.equal((await call(api, a.access_token, "POST", "/auth/logout")).status, 204);
  assert.deepEqual([await readMe(api, a.access_token), (await renew(api, a.refresh_token)).status], [
    401,
    401,
  ]);
  assert.equal((await call(api, b.access_token, "DELETE", `/auth/sessions/${c.session_id}`)).status, 204);
  assert.deepEqual([await readMe(api, c.access_token), (await renew(api, c.refresh_token)).status], [
    401,
    401,
  ]);
  assert.equal(await readMe(api, b.access_token), 200);
  assert.equal((await call(api, b.access_token, "POST", "/auth/logout-everywhere")).status, 204);
  for (const { access_token, refresh_token } of [b, d]) {
    assert.deepEqual([await readMe(api, access_token), (await renew(api, refresh_token)).status], [401, 401]);
  }
  assert.equal((await signIn(api)).status, 200);
});

Deno.test("a user lists their open sessions by page and cannot end those of others", async () => {
  await using api = await startApi();
  const { other } = await addPeople(api);
  const mine: Record<string, string>[] = [];
  for (let i = 0; i < 5; i++) mine.push((await signIn(api)).body);
  await call(api, mine[1]!.access_token!, "POST", "/auth/logout");
  const current = mine[4]!;
  const found = [];
  for (let next = ""; next !== null;) {
    const page = await call(
      api,
      current.access_token,
      "GET",
      `/auth/sessions?limit=2${next && `&cursor=${next}`}`,
    );
    assert.equal(page.status, 200, page.text);
    found.push(...page.body.items);
    next = page.body.next;
  }
  // addPeople() opens one more session.
  assert.equal(found.length, 5);
  assert.deepEqual(found.filter(({ current }) => current).map(({ id }) => id), [current.session_id]);
  assert.ok(!found.some(({ id }) => id === mine[1]!.session_id));
  for (const id of [mine[1]!.session_id, current.session_id, crypto.randomUUID(), "x", "%00"]) {
    const answer = await call(api, other, "DELETE", `/auth/sessions/${id}`);
    assert.equal(answer.status, 404, answer.text);
  }
  assert.equal(await readMe(api, current.access_token!), 200);
});

Deno.test("changing the password ends all sessions and starts a new one", async () => {
  await using api = await startApi();
  await addPeople(api);
  const mine = (await signIn(api)).body;
  const elsewhere = (await signIn(api)).body;
  const put = (token: string, body: unknown) => call(api, token, "PUT", "/users/me/password", body);
  const refused: [unknown, number][] = [
    [{ current_password: "wrong horse", new_password: "battery staple" }, 403],
    [{ new_password: "battery staple" }, 422],
    [{ current_password: password, new_password: "1234567" }, 422],
    [{ current_password: password, new_password: "x".repeat(73) }, 422],
    [{ current_password: password, new_password: "é".repeat(37) }, 422],
    [{ current_password: password, new_password: "battery\0staple" }, 422],
  ];
  for (const [body, status] of refused) assert.equal((await put(mine.access_token, body)).status, status);
  assert.equal(await readMe(api, elsewhere.access_token), 200);
  const changed = await put(mine.access_token, { current_password: password, new_password: "é".repeat(36) });
  assert.equal(changed.status, 200, changed.text);
  assert.equal(await readMe(api, changed.body.access_token), 200);
  assert.equal((await renew(api, changed.body.refresh_token)).status, 200);
  for (const { access_token, refresh_token } of [mine, elsewhere]) {
    assert.deepEqual([await readMe(api, access_token), (await renew(api, refresh_token)).status], [401, 401]);
  }
  assert.equal((await signIn(api)).status, 401);
  assert.equal((await signIn(api, email, "é".repeat(36))).status, 200);
});

Deno.test("of two concurrent password changes one succeeds, and its session is the only open one", async () => {
  await using api = await startApi();
  await addPeople(api);
  const { access_token } = (await signIn(api)).body;
  const answers = await Promise.all(
    ["battery staple", "staple battery"].map((new_password) =>
      call(api, access_token, "PUT", "/users/me/password", { current_password: password, new_password })
    ),
  );
  const won = answers.filter(({ status }) => status === 200);
  assert.equal(won.length, 1, answers.map(({ text }) => text).join());
  assert.ok(answers.every(({ status }) => [200, 401, 403, 409].includes(status)));
  assert.equal(await readMe(api, won[0]!.body.access_token), 200);
  const open = await api.database.sql`
    select 1 from sessions s join users u on u.id = s.user_id where u.email = ${email} and ended_at is null`;
  assert.equal(open.length, 1);
});

Deno.test("a concurrent sign-in with the old password leaves no valid session", async () => {
  await using api = await startApi();
  await addPeople(api);
  const { access_token } = (await signIn(api)).body;
  const change = { current_password: password, new_password: "battery staple" };
  const [changed, ...signIns] = await Promise.all([
    call(api, access_token, "PUT", "/users/me/password", change),
    ...Array.from({ length: 12 }, () => signIn(api)),
  ]);
  assert.equal(changed.status, 200, changed.text);
  for (const { body } of signIns) {
    if (body.access_token) assert.equal(await readMe(api, body.access_token), 401);
  }
});

Deno.test("changing the password or deactivating a user in v1 ends v2 sessions but not v1 tokens", async (t) => {
  for (
    const [change, again] of [[{ password: "battery staple" }, 200], [{ is_active: false }, 401]] as const
  ) {
    await t.step(Object.keys(change)[0]!, async () => {
      await using api = await startApi();
      const { admin, user } = await addPeople(api);
      const { access_token, refresh_token } = (await signIn(api)).body;
      const put = (body: unknown) =>
        fetch(`${api.origin}/api/v1/users/${user.legacyId}`, {
          method: "PUT",
          headers: { authorization: `Bearer ${admin.token}`, "content-type": "application/json" },
          body: JSON.stringify(body),
        }).then((response) => response.json());
      assert.equal((await put({ fullname: "Another" })).code, 200);
      assert.equal(await readMe(api, access_token), 200);
      assert.equal((await put(change)).code, 200);
      assert.deepEqual([await readMe(api, access_token), (await renew(api, refresh_token)).status], [
        401,
        401,
      ]);
      await put({ is_active: true });
      assert.deepEqual([await readMe(api, access_token), (await renew(api, refresh_token)).status], [
        401,
        401,
      ]);
      const v1 = await fetch(`${api.origin}/api/v1/users/me`, {
        headers: { authorization: `Bearer ${user.token}` },
      });
      assert.equal(v1.status, 200);
      await v1.body?.cancel();
      assert.equal((await signIn(api)).status, again === 200 ? 401 : 200);
    });
  }
});

Deno.test("disabling, deleting or demoting a user takes effect with the next request", async () => {
  await using api = await startApi();
  const { manager } = await addPeople(api);
  const { access_token, refresh_token } = (await signIn(api)).body;
  const { sql } = api.database;
  assert.equal((await call(api, manager, "GET", "/users")).status, 200);
  await sql`update users set roles = '{guest}' where email = 'manager@example.com'`;
  assert.equal((await call(api, manager, "GET", "/users")).status, 403);
  await sql`update users set is_active = false where email = ${email}`;
  assert.deepEqual([await readMe(api, access_token), (await renew(api, refresh_token)).status], [401, 401]);
  await sql`update users set is_active = true where email = ${email}`;
  assert.equal(await readMe(api, access_token), 200);
  await sql`delete from users where email = ${email}`;
  assert.deepEqual([await readMe(api, access_token), (await renew(api, refresh_token)).status], [401, 401]);
});

Deno.test("sign-in attempts are counted together with v1's by e-mail address, without affecting others", async () => {
  const free = { burst: 1e6, perSecond: 1e6 };
  const limits = { address: free, email: { burst: 4, perSecond: 0.001 }, overall: free };
  await using api = await startApi({ limits });
  await addPeople(api);
  assert.equal((await signInV1(api, email, "wrong horse")).status, 401);
  for (let i = 0; i < 3; i++) assert.equal((await signIn(api, email, "wrong horse")).status, 401);
  const refused = await signIn(api);
  assert.deepEqual([refused.status, refused.body.type], [429, "urn:contactsheet:problem:too_many_requests"]);
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  assert.equal((await signInV1(api)).status, 429);
  assert.equal((await signIn(api, "other@example.com")).status, 200);
});

Deno.test("attempts to guess the current password count as sign-in attempts", async () => {
  const free = { burst: 1e6, perSecond: 1e6 };
  await using api = await startApi({
    limits: { address: free, email: { burst: 3, perSecond: 0.001 }, overall: free },
  });
  const { user } = await addPeople(api);
  const guess = { current_password: "wrong horse", new_password: "battery staple" };
  const statuses = [];
  for (let i = 0; i < 5; i++) {
    statuses.push((await call(api, user, "PUT", "/users/me/password", guess)).status);
  }
  assert.deepEqual(statuses, [403, 403, 403, 429, 429]);
});

Deno.test("sign-in fails with 503 while attempts cannot be counted, and existing sessions continue", async () => {
  const metrics = createMetrics();
  await using door = openRedis({ url: `redis://127.0.0.1:${findFreePort()}/0`, timeoutMs: 500 });
  const limiter = createLimiter(door.redis, "logins", "0123456789abcdef0123456789abcdef");
  await using api = await startApi({ throttle: createSharedThrottle({ limiter, log: silentLog, metrics }) });
  const { user } = await addPeople(api);
  const answer = await signIn(api);
  assert.deepEqual([answer.status, answer.body.type], [503, "urn:contactsheet:problem:busy"], answer.text);
  assert.ok(Number(answer.headers.get("retry-after")) > 0);
  assert.match(await metrics.registry.metrics(), /limiter_fail_closes_total 1/);
  assert.equal(await readMe(api, user.access), 200);
});
