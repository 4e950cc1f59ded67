/** Responses to internal failures: they hide the cause and carry CORS headers. */
import assert from "node:assert/strict";
import { respondToPreflight } from "../../routes/common/cors.ts";
import { startApi } from "../support/api.ts";
import { createDatabase } from "../support/database.ts";
import { addUsers } from "../support/people.ts";
import { addTask } from "./support/tasks.ts";

const origin = "http://localhost:3000";

Deno.test("an unknown failure is 500 as plain text with CORS headers, and only the log has its cause", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  await api.database.sql`alter table users rename column fullname to renamed`;
  const response = await fetch(`${api.origin}/api/v1/users/me`, {
    headers: { authorization: `Bearer ${user.token}`, origin },
  });
  assert.deepEqual([response.status, await response.text()], [500, "Internal Server Error"]);
  assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  const error = api.lines.find(({ level }) => level === "error");
  assert.match(String(error?.cause), /fullname/);
});

Deno.test("an unreachable database is 503 with Retry-After and CORS headers", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  await addTask(api, user);
  await api.sql.end({ timeout: 0 });
  const paths = ["/users/me", "/tasks", "/tasks/00000000-0000-4000-8000-000000000000"];
  for (const path of paths) {
    const response = await fetch(`${api.origin}/api/v1${path}`, {
      headers: { authorization: `Bearer ${user.token}`, origin },
    });
    assert.deepEqual([response.status, await response.json()], [503, { detail: "Service Unavailable" }]);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
  }
});

Deno.test("a terminated connection fails at most the request that uses it", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const headers = { authorization: `Bearer ${user.token}` };
  const requests = Array.from({ length: 40 }, async (_, i) => {
    if (i === 20) {
      await api.database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`;
    }
    const response = await fetch(`${api.origin}/api/v1/users/me`, { headers });
    await response.body?.cancel();
    return response.status;
  });
  for (const status of await Promise.all(requests)) {
    assert.ok(status === 200 || status === 503, String(status));
  }
  const after = await fetch(`${api.origin}/api/v1/users/me`, { headers });
  assert.equal(after.status, 200);
  await after.body?.cancel();
});

Deno.test("an unfinished body ends with 408, and other requests are served meanwhile", async () => {
  await using api = await startApi({ bodyMsMax: 300 });
  for (const path of ["/api/v1/tasks", "/api/v1/auth/login"]) {
    const half =
      `POST ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{"task_name":`;
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: api.port });
    await connection.write(new TextEncoder().encode(half));
    const health = await fetch(`${api.origin}/health`);
    assert.equal(health.status, 200);
    await health.body?.cancel();
    // The response arrives in one read. The server keeps the connection open for the rest of the body.
    const answer = new Uint8Array(2000);
    const text = new TextDecoder().decode(answer.subarray(0, await connection.read(answer) ?? 0));
    assert.match(text, /^HTTP\/1.1 408 [\s\S]*\{"detail":"Request body came too slowly"\}$/);
  }
});

Deno.test("200 clients that disconnect during a response leak no connection", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const headers = { authorization: `Bearer ${user.token}` };
  const id = await addTask(api, user);
  await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), i % 20);
    const path = i % 2 ? `/tasks/${id}` : "/tasks?page_size=100";
    await fetch(`${api.origin}/api/v1${path}`, { headers, signal: stop.signal })
      .then((response) => response.text()).catch(() => "");
  }));
  const requests = Array.from({ length: 20 }, () => fetch(`${api.origin}/api/v1/tasks/${id}`, { headers }));
  for (const response of await Promise.all(requests)) assert.equal((await response.json()).code, 200);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

const cors: [
  what: string,
  headers: Record<string, string>,
  origins: string,
  allowed: string | null,
  vary: string | null,
][] = [
  ["no origin", {}, "*", null, null],
  ["any origin", { origin }, "*", "*", null],
  ["any origin, with a cookie", { origin, cookie: "a=b" }, "*", origin, "Origin"],
  ["an origin on the list", { origin }, `https://a.example,${origin}`, origin, "Origin"],
  ["an origin that is not on the list", { origin }, "https://a.example", null, null],
  ["null", { origin: "null" }, "https://a.example", null, null],
];
Deno.test("every response has the same CORS headers, by the origin and CORS_ORIGINS", async (t) => {
  await using database = await createDatabase();
  for (const [what, headers, origins, allowed, vary] of cors) {
    await t.step(`${what}, of '${origins}'`, async () => {
      await using api = await startApi({ database, env: { CORS_ORIGINS: origins } });
      const calls = [
        "GET /health",
        "GET /nothing",
        "PATCH /health",
        "GET /api/v1/users/me",
        "POST /api/v1/tasks",
        "GET /docs",
      ];
      for (const call of calls) {
        const [method = "", path = ""] = call.split(" ");
        const response = await fetch(api.origin + path, { method, headers });
        await response.body?.cancel();
        assert.equal(response.headers.get("access-control-allow-origin"), allowed, call);
        assert.equal(
          response.headers.get("access-control-allow-credentials"),
          headers.origin ? "true" : null,
          call,
        );
        assert.equal(response.headers.get("vary"), vary, call);
      }
    });
  }
});

Deno.test("a preflight of an origin that is not on the list is refused", async () => {
  const headers = { origin, "access-control-request-method": "POST" };
  const refused = respondToPreflight(new Request("http://x/", { method: "OPTIONS", headers }), [
    "https://a.example",
  ]);
  assert.deepEqual([refused?.status, await refused?.text()], [400, "Disallowed CORS origin"]);
  assert.equal(refused?.headers.get("access-control-allow-origin"), null);
});
