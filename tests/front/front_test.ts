import assert from "node:assert/strict";
import { changeTraffic, type Phase, readTraffic } from "../../db/traffic/traffic.ts";
import { listFrontProcesses } from "../../db/traffic/processes.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { bucketOf } from "../../routes/front/user.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { waitFor } from "../support/wait.ts";
import { addMatrix, addPeople, call } from "../v2/support/api.ts";

/** A played old backend. */
interface OldBackend extends AsyncDisposable {
  url: string;
  /** `METHOD path` of the requests so far. */
  seen: string[];
  headers: Headers[];
}

type Respond = (request: Request) => Response | Promise<Response>;

function startOld(respond: Respond): OldBackend {
  const seen: string[] = [];
  const headers: Headers[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname, search } = new URL(request.url);
    seen.push(`${request.method} ${pathname}${search}`);
    headers.push(request.headers);
    return respond(request);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    seen,
    headers,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const fromOld: Respond = () => Response.json({ from: "old" });

/** Changes the phase, and waits until the API has acknowledged it. */
async function setPhase(
  sql: Pool,
  phase: Phase,
  { share = 0, holdMs = null as number | null } = {},
): Promise<void> {
  const { version } = await readTraffic(sql);
  const changed = await changeTraffic(sql, version, {
    phase,
    share,
    by: "test",
    reason: "test",
    forced: true,
    holdMs,
  });
  await waitFor("the acknowledgement", async () => {
    const processes = await listFrontProcesses(sql);
    return processes.length === 1 && processes.every(({ acknowledged }) => acknowledged >= changed!.version);
  });
}

async function startFront(respond: Respond, env: Record<string, string> = {}) {
  const old = startOld(respond);
  const api = await startApi({ env: { LEGACY_API_URL: old.url, ...env } });
  return {
    old,
    api,
    sql: api.database.sql,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await old[Symbol.asyncDispose]();
    },
  };
}

const createUser = async ({ database, tokens }: TestApi, email: string): Promise<Record<string, string>> => {
  await database.sql`insert into users (email, hashed_password) values (${email}, '')`;
  return { authorization: `Bearer ${await tokens.sign({ sub: "1", email })}` };
};

const me = (api: TestApi, headers: Record<string, string>) =>
  fetch(`${api.origin}/api/v1/users/me`, { headers });
const isFromOld = async (response: Response) => (await response.json()).from === "old";

Deno.test("in phase old the old backend answers reads and writes, byte for byte", async () => {
  const bytes = new Uint8Array(300_000).map((_, i) => i % 251);
  await using front = await startFront(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/v1/echo") {
      return new Response(await request.arrayBuffer(), {
        status: 201,
        headers: { "x-method": request.method },
      });
    }
    if (pathname === "/api/v1/gzip") {
      const packed = await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip")))
        .bytes();
      return new Response(packed, { headers: { "content-encoding": "gzip", "content-type": "text/plain" } });
    }
    if (pathname === "/api/v1/cookies") {
      const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-own", "é".normalize()]]);
      return new Response(null, { status: 204, headers });
    }
    if (pathname === "/api/v1/moved") {
      return new Response(null, { status: 307, headers: { location: "/api/v1/there/" } });
    }
    return Response.json({ detail: "Not Found" }, { status: 404 });
  });
  const { api: { origin }, old } = front;
  const echo = await fetch(`${origin}/api/v1/echo?a=%2F&b=`, {
    method: "PUT",
    body: bytes,
    headers: { "x-forwarded-for": "203.0.113.9", connection: "close" },
  });
  assert.equal(echo.status, 201);
  assert.equal(echo.headers.get("x-method"), "PUT");
  assert.deepEqual(await echo.bytes(), bytes);
  assert.equal(old.seen.at(-1), "PUT /api/v1/echo?a=%2F&b=");
  assert.equal(old.headers.at(-1)!.get("x-forwarded-for"), "203.0.113.9, 127.0.0.1");
  const zipped = await fetch(`${origin}/api/v1/gzip`);
  assert.equal(zipped.headers.get("content-encoding"), "gzip");
  assert.deepEqual(await zipped.bytes(), bytes, "fetch unpacks what the old backend has packed");
  const cookies = await fetch(`${origin}/api/v1/cookies`);
  assert.equal(cookies.status, 204);
  assert.deepEqual(cookies.headers.getSetCookie(), ["a=1", "b=2"]);
  const moved = await fetch(`${origin}/api/v1/moved`, { redirect: "manual" });
  assert.equal(moved.status, 307);
  assert.equal(moved.headers.get("location"), "/api/v1/there/");
  await moved.body?.cancel();
  const missing = await fetch(`${origin}/nothing`);
  assert.deepEqual([missing.status, await missing.json()], [404, { detail: "Not Found" }]);
  const head = await fetch(`${origin}/api/v1/gzip`, { method: "HEAD" });
  assert.equal(head.status, 200);
});

Deno.test("in phase canary the share of the users is served by this system, and always the same users", async () => {
  await using front = await startFront(fromOld);
  const { api, sql, old } = front;
  await sql`insert into migration.sources (fingerprint, kind, location) values ('f', 'followed', 'x')`;
  await sql`
    insert into migration.follows (fingerprint, source_identity, mode, state, position, position_at)
    values ('f', 'x', 'stream', 'following', 1, now() + interval '1 hour')`;
  const emails = Array.from({ length: 40 }, (_, i) => `user${i}@example.com`);
  const users = await Promise.all(emails.map((email) => createUser(api, email)));
  for (const share of [0, 30, 100]) {
    await setPhase(sql, "canary", { share });
    for (let turn = 0; turn < 2; turn++) {
      for (const [i, headers] of users.entries()) {
        assert.equal(await isFromOld(await me(api, headers)), bucketOf(emails[i]!) >= share, emails[i]);
      }
    }
  }
  const anonymous = await fetch(`${api.origin}/api/v1/users/me`);
  assert.equal(await isFromOld(anonymous), true, "a request without a token belongs to no user");
  const write = await fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers: users[0]!, body: "{}" });
  assert.equal(await isFromOld(write), true, "writes go to the old backend");
  assert.equal(old.seen.at(-1), "POST /api/v1/tasks");
});

Deno.test("in phase canary a user reads their own write from the old backend until it is applied here", async () => {
  await using front = await startFront(fromOld);
  const { api, sql } = front;
  await sql`insert into migration.sources (fingerprint, kind, location) values ('f', 'followed', 'x')`;
  await sql`
    insert into migration.follows (fingerprint, source_identity, mode, state, position, position_at)
    values ('f', 'x', 'stream', 'following', 1, now())`;
  const user = await createUser(api, "a@example.com");
  await setPhase(sql, "canary", { share: 100 });
  assert.equal(await isFromOld(await me(api, user)), false);
  await (await fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers: user, body: "{}" })).body
    ?.cancel();
  assert.equal(await isFromOld(await me(api, user)), true, "the write is not applied yet");
  const other = await createUser(api, "b@example.com");
  assert.equal(await isFromOld(await me(api, other)), false, "others are not affected");
  await sql`update migration.follows set position_at = now() + interval '4 s'`;
  assert.equal(await isFromOld(await me(api, user)), false);
  await sql`update migration.follows set position_at = now() - interval '1 min'`;
  assert.equal(await isFromOld(await me(api, other)), true, "a sync that fell behind serves nobody");
});

/** Makes all notes of writes fail, as PostgreSQL does while it cannot be reached, or lets them succeed again. */
const failNotes = (sql: Pool, areFailing: boolean) =>
  areFailing
    ? sql`alter table migration.front_writes rename to front_writes_away`
    : sql`alter table migration.front_writes_away rename to front_writes`;

Deno.test("a write whose end was not noted keeps its user at the old backend until the next write notes it", async () => {
  let whileWriting = async () => {};
  await using front = await startFront(async (request) => {
    if (request.method === "POST") await whileWriting();
    return Response.json({ from: "old" });
  });
  const { api, sql } = front;
  await sql`insert into migration.sources (fingerprint, kind, location) values ('f', 'followed', 'x')`;
  await sql`
    insert into migration.follows (fingerprint, source_identity, mode, state, position, position_at)
    values ('f', 'x', 'stream', 'following', 1, now() + interval '1 min')`;
  const user = await createUser(api, "a@example.com");
  const other = await createUser(api, "b@example.com");
  await setPhase(sql, "canary", { share: 100 });
  const write = async (headers: Record<string, string>) => {
    const response = await fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers, body: "{}" });
    assert.equal(await isFromOld(response), true);
  };
  whileWriting = async () => void await failNotes(sql, true);
  await write(user);
  await failNotes(sql, false);
  assert.equal(await isFromOld(await me(api, user)), true, "what was written may not be applied");
  whileWriting = async () => {};
  await write(other);
  assert.equal(await isFromOld(await me(api, user)), false, "another user's write notes the end");
  await sql`update migration.front_writes set pending = 1`;
  assert.equal(await isFromOld(await me(api, user)), true);
  await sql`update migration.front_writes set at = now() - interval '11 min'`;
  assert.equal(await isFromOld(await me(api, user)), false, "a write of a process that has died ends too");
});

Deno.test("a write that cannot be noted waits, and is sent once or refused", async () => {
  await using front = await startFront(fromOld, { HOLD_MS: "3000" });
  const { api, sql, old } = front;
  const user = await createUser(api, "a@example.com");
  const write = () => fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers: user, body: "{}" });
  await failNotes(sql, true);
  const refused = await write();
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  await refused.body?.cancel();
  assert.deepEqual(old.seen, []);
  const waiting = write();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await failNotes(sql, false);
  assert.equal(await isFromOld(await waiting), true);
  assert.deepEqual(old.seen, ["POST /api/v1/tasks"]);
  const [row] = await sql`select pending from migration.front_writes`;
  assert.equal(row!.pending, 0);
});

Deno.test("a held write waits for the switch and is answered by the system in charge then", async () => {
  await using front = await startFront(fromOld, { HOLD_MS: "20000" });
  const { api, sql, old } = front;
  const user = await createUser(api, "a@example.com");
  await setPhase(sql, "holding", { holdMs: 30_000 });
  const write = fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers: user, body: "{}" });
  assert.equal(await isFromOld(await me(api, user)), true, "reads go on");
  await waitFor("the held write", async () => (await listFrontProcesses(sql))[0]?.writes_held === 1);
  await setPhase(sql, "new");
  const answer = await write;
  assert.equal(answer.status, 422, "this system validates the empty body");
  await answer.body?.cancel();
  assert.deepEqual(old.seen.filter((line) => line.startsWith("POST")), []);
});

Deno.test("a held write is refused after HOLD_MS, and a hold that is not renewed ends by itself", async () => {
  await using front = await startFront(fromOld, { HOLD_MS: "300" });
  const { api, sql } = front;
  const user = await createUser(api, "a@example.com");
  await setPhase(sql, "holding", { holdMs: 3_000 });
  const refused = await fetch(`${api.origin}/api/v1/tasks`, {
    method: "POST",
    headers: Object.assign({ origin: "https://page.example.com" }, user),
    body: "{}",
  });
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.ok(refused.headers.has("access-control-allow-origin"));
  assert.match((await refused.json()).detail, /切换/);
  await waitFor("the end of the hold", async () => (await readTraffic(sql)).phase === "old");
  await waitFor("writes to be served again", async () => {
    const write = await fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers: user, body: "{}" });
    await write.body?.cancel();
    return write.status === 200;
  });
});

Deno.test("a write counts as in flight until the old backend has answered it", async () => {
  const answered = Promise.withResolvers<void>();
  await using front = await startFront(async ({ method }) => {
    if (method === "POST") await answered.promise;
    return Response.json({ from: "old" });
  });
  const { api, sql } = front;
  const user = await createUser(api, "a@example.com");
  const write = fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers: user, body: "{}" });
  await waitFor("the write", async () => (await listFrontProcesses(sql))[0]?.writes_in_flight === 1);
  await setPhase(sql, "holding", { holdMs: 30_000 });
  assert.equal((await listFrontProcesses(sql))[0]!.writes_in_flight, 1);
  answered.resolve();
  await (await write).body?.cancel();
  await waitFor(
    "the end of the write",
    async () => (await listFrontProcesses(sql))[0]?.writes_in_flight === 0,
  );
});

Deno.test("an old backend that is down or answers no HTTP is a 502, without an effect on v2", async () => {
  const front = await startFront(fromOld);
  const { api, old } = front;
  await old[Symbol.asyncDispose]();
  for (const method of ["GET", "POST"]) {
    const answer = await fetch(`${api.origin}/api/v1/tasks`, {
      method,
      headers: { origin: "https://page.example.com" },
    });
    assert.equal(answer.status, 502, method);
    assert.ok(answer.headers.has("access-control-allow-origin"));
    assert.equal(typeof (await answer.json()).detail, "string");
  }
  const v2 = await fetch(`${api.origin}/api/v2/tasks`);
  assert.equal(v2.status, 401);
  await v2.body?.cancel();
  await api[Symbol.asyncDispose]();
});

Deno.test("v2 changes no users and tasks before the switch, but ratings work", async () => {
  await using front = await startFront(fromOld);
  const { api, sql } = front;
  const { user: owner, admin } = await addPeople(api);
  const task = await addMatrix(api, owner, { prompts: 2, ratios: 1 });
  const changes = [
    () => call(api, owner, "PATCH", `/tasks/${task}`, { name: "other" }),
    () => call(api, owner, "POST", `/tasks/${task}/cancel`),
    () => call(api, admin, "POST", "/users", { email: "new@example.com", password: "battery staple" }),
  ];
  for (const change of changes) {
    const { status, body } = await change();
    assert.equal(status, 409);
    assert.equal(body.type, "urn:contactsheet:problem:before_cutover");
  }
  const rated = await call(api, owner, "PUT", `/tasks/${task}/cells/0/rating`, { stars: 4 });
  assert.equal(rated.status, 200);
  await setPhase(sql, "new");
  for (const change of changes) assert.ok((await change()).status < 300);
});

Deno.test("LEGACY_API_URL must be the base URL of a server", async () => {
  for (const url of ["old:8000", "http://old:8000/api", "ftp://old"]) {
    await assert.rejects(
      startApi({ env: { LEGACY_API_URL: url } }),
      /LEGACY_API_URL '.*': wanted http:/,
      url,
    );
  }
});
