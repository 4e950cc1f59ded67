/** Headers of every response that keep browsers from running, framing or guessing at what is data. */
import assert from "node:assert/strict";
import { startApi } from "./support/api.ts";
import { createDatabase } from "./support/database.ts";
import { addPeople } from "./v2/support/api.ts";

const paths = [
  ...[
    "/health",
    "/api/v1/tasks",
    "/api/v1/users/me",
    "/api/v1/nothing",
    "/nothing",
    "/openapi.json",
    "/.git/config",
  ],
  ...[
    "/docs",
    "/docs/docs.js",
    "/api/v2/docs",
    "/api/v2/openapi.json",
    "/api/v2/users/me",
    "/api/v2/nothing",
  ],
  ...[
    "/console",
    "/console/assets/none.js",
    "/console/assets/..%2f..%2fdeno.json",
    "/metrics",
    "/console/../.env",
  ],
];

Deno.test("each response permits a browser nothing that its page does not need, and names its type", async () => {
  await using api = await startApi();
  for (const path of paths) {
    for (const method of ["GET", "POST", "OPTIONS", "PROPFIND"]) {
      const { status, headers, body } = await fetch(api.origin + path, { method });
      const text = `${method} ${path}: ${status}`;
      assert.equal(headers.get("x-content-type-options"), "nosniff", text);
      assert.equal(headers.get("referrer-policy"), "no-referrer", text);
      const policy = headers.get("content-security-policy") ?? "";
      for (const part of ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]) {
        assert.ok(policy.includes(part), `${text}: ${policy}`);
      }
      assert.doesNotMatch(policy, /unsafe|\*/, text);
      const type = headers.get("content-type") ?? "";
      if (body !== null && status !== 204 && status !== 405) assert.notEqual(type, "", text);
      if (type.startsWith("text/")) assert.match(type, /; charset=utf-8$/i, text);
      await body?.cancel();
    }
  }
});

Deno.test("files of the repository and private routes are not served", async () => {
  await using api = await startApi();
  for (
    const path of [
      "/.git/config",
      "/.git/HEAD",
      "/.env",
      "/deno.json",
      "/metrics",
      "/ready",
      "/debug",
      "/console/assets/",
    ]
  ) {
    const response = await fetch(api.origin + path);
    assert.equal(response.status, 404, path);
    await response.body?.cancel();
  }
});

Deno.test("TRACE is refused on every kind of path", async () => {
  await using api = await startApi();
  for (const path of ["/health", "/api/v1/tasks", "/api/v2/tasks", "/console"]) {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: api.port });
    const head = `TRACE ${path} HTTP/1.1\r\nHost: h\r\nX-Secret: 1\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head));
    const buffer = new Uint8Array(4000);
    const text = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    assert.match(text, /^HTTP\/1\.1 (404|405|501) /, path);
    assert.doesNotMatch(text, /X-Secret/i);
  }
});

Deno.test("a new database has no user", async () => {
  await using database = await createDatabase();
  const [row] = await database.sql<{ count: number }[]>`select count(*)::int as count from users`;
  assert.equal(row!.count, 0);
});

Deno.test("a token in the address signs in nowhere, and is not logged", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  for (const name of ["token", "access_token", "authorization", "bearer"]) {
    for (
      const [path, token] of [["v1/users/me", user.token], ["v2/users/me", user.access], [
        "v2/tasks/events",
        user.access,
      ]]
    ) {
      const response = await fetch(`${api.origin}/api/${path}?${name}=${token}`);
      assert.equal(response.status, 401, `${path}?${name}`);
      await response.body?.cancel();
    }
  }
});

Deno.test("the line of a request names the user that its token is for", async () => {
  await using api = await startApi();
  const { user, guest } = await addPeople(api);
  for (
    const [path, token, status, caller] of [
      ["v1/users/me", user.token, 200, user.legacyId],
      ["v1/users/", user.token, 403, user.legacyId],
      ["v2/users/me", guest.access, 200, guest.id],
      ["v2/users", guest.access, 403, guest.id],
      ["v2/users", "junk", 401, undefined],
    ] as const
  ) {
    const response = await fetch(`${api.origin}/api/${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await response.body?.cancel();
    const line = api.lines.findLast(({ msg }) => msg === "request")!;
    assert.deepEqual([response.status, line.status, line.caller], [status, status, caller], path);
  }
});
